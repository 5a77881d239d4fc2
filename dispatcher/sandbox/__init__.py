"""A simulator of Meta's WhatsApp Cloud API, and the judge of whoever sends to it.

It imports nothing of the house it is used by: its limits are its own arithmetic, written from Meta's rules,
so that a mistake made there is not made here again.

    world      numbers, templates, people            limits     rate, pair, reach
    templates  what a template asks for              parameters what a message fills in
    envelope   recipient, product, token             freeform   text, media, interactive
    judge      one post, one verdict                 record     what was accepted and what was violated
    refusals   codes and Meta's error JSON           behaviour  latency, errors, faults
    graph      Meta's API                            console    the operator's API
    settings   TOML and console input                app, server, __main__
"""

from .app import Sandbox
from .behaviour import Behaviour, Fault, Latency, LatencyShape
from .refusals import ViolationKind
from .settings import load_world, read_world
from .world import (
    LimitScope,
    Number,
    NumberStatus,
    Portfolio,
    Quality,
    SandboxWorld,
    Template,
    Timing,
    Waba,
)

__all__ = [
    "Behaviour",
    "Fault",
    "Latency",
    "LatencyShape",
    "LimitScope",
    "Number",
    "NumberStatus",
    "Portfolio",
    "Quality",
    "Sandbox",
    "SandboxWorld",
    "Template",
    "Timing",
    "ViolationKind",
    "Waba",
    "load_world",
    "read_world",
]
