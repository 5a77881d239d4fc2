"""A simulator of Meta's WhatsApp Cloud API, and the judge of whoever sends to it.

It imports nothing of the house it is used by: its limits are its own arithmetic, written from Meta's rules,
so that a mistake made there is not made here again.

    world      numbers, templates, people            limits     rate, pair, reach
    templates  what a template asks for              parameters what a message fills in
    envelope   recipient, product, token             freeform   text, media, interactive
    judge      one post, one verdict                 record     what was accepted and what was violated
    campaigns  who got what, and twice               refusals   codes and Meta's error JSON
    behaviour  latency, errors, faults, webhooks     weather    which behaviour counts now
    dice       what happens to a post                connection how it is broken
    graph      Meta's API                            webhooks/  what is reported, and how it travels
    console/   the operator's API                    settings, inputs  TOML and console input
    app, wire, server, __main__                      one application, served
"""

from .app import Sandbox
from .behaviour import Behaviour, Fault, Latency, LatencyShape, WebhookBehaviour
from .refusals import ViolationKind
from .settings import load_world, read_world
from .webhooks.callback import Callback
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
    "Callback",
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
    "WebhookBehaviour",
    "load_world",
    "read_world",
]
