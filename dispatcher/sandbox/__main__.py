"""`python -m dispatcher.sandbox`: start a sandbox of its own.

Reads the arguments and the world's file; a fault in either is one line on standard error and status 2.
"""

import argparse
import sys
from pathlib import Path

from .app import Sandbox
from .behaviour import Behaviour
from .server import serve
from .settings import load_world
from .world import SandboxWorld


def main() -> int:
    """Serve until told to stop, then return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m dispatcher.sandbox", description="A simulator of Meta's Cloud API"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (default) chooses a free one")
    parser.add_argument(
        "--world", type=Path, help="TOML file; without it the world is empty, for the console to fill"
    )
    parser.add_argument("--seed", type=int, help="makes latencies, errors, faults and webhooks repeatable")
    arguments = parser.parse_args()
    world, behaviour = SandboxWorld(), Behaviour()
    if arguments.world is not None:
        try:
            world, behaviour = load_world(arguments.world)
        except (OSError, ValueError, KeyError) as error:
            sys.stderr.write(f"the world in {arguments.world} cannot be used: {error}\n")
            return 2
    try:
        serve(Sandbox(world, behaviour, seed=arguments.seed), arguments.host, arguments.port)
    except OSError as error:
        sys.stderr.write(f"cannot listen on {arguments.host}:{arguments.port}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
