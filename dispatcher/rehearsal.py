"""A rehearsal: the whole house on this machine, against the sandbox, in a folder that is thrown away.

The demo, the benchmarks and some tests play on it: private servers, the sandbox and worker processes, all real, all on
leashes, so that nothing outlives the process that opened the rehearsal.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher.domain.errors import ChannelUnavailable
from dispatcher.embedded import Embedded
from dispatcher.leash import Leash, stop_all
from dispatcher.processes import start_api, start_sandbox, start_workers
from dispatcher.settings import Settings

TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but a sandbox
APP_SECRET = "sandbox-secret"  # noqa: S105 - signs nothing but a sandbox's webhooks
WEBHOOKS_PATH = "/webhooks/whatsapp"
_CALL_TIMEOUT_S = 30
_LOOK_EVERY_S = 0.02


class Sandbox:
    """A running sandbox, seen from the console under `/_sandbox`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        """Read something, such as `record`."""
        return self._call("GET", path)

    def send(self, method: str, path: str, body: object) -> Any:
        """Change something: PUT `numbers`, PATCH `behaviour`, POST `reset` …"""
        return self._call(method, path, body)

    def reports_to(self, api_url: str) -> None:
        """Send webhooks to our HTTP process from the next accepted message on."""
        self.send("PUT", "callback", {"url": f"{api_url}{WEBHOOKS_PATH}", "app_secret": APP_SECRET})

    def accepted(self) -> Iterator[Mapping[str, Any]]:
        """Every message it has accepted: wamid, phone_number_id, to (digits), content, token, at_ms."""
        with self._open("GET", "record?detail=1", None) as answer:
            for line in answer:
                yield json.loads(line)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        with self._open(method, path, body) as answer:
            return json.load(answer)

    def _open(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the address of our own child process
            f"{self.url}/_sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            return urllib.request.urlopen(request, timeout=_CALL_TIMEOUT_S)  # noqa: S310
        except urllib.error.HTTPError as error:
            raise ChannelUnavailable(
                f"the sandbox refused {method} {path}: {error.read().decode()}"
            ) from error
        except OSError as error:
            raise ChannelUnavailable(f"the sandbox does not answer: {error}") from error


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is running."""

    home: Path
    servers: Embedded
    settings: Settings
    """With the addresses of everything."""
    sandbox: Sandbox
    token_ref: str
    """For senders: where the sandbox's token is read from."""
    workers: Sequence[Leash]


def believing_sandbox(settings: Settings, folder: Path) -> Settings:
    """Settings that take a sandbox's webhooks for Meta's; folder: where the secret they share is kept."""
    secret = _private(folder / "sandbox-app-secret", APP_SECRET)
    return settings.model_copy(update={"webhook_secrets": settings.webhook_secrets | {f"file:{secret}"}})


@contextmanager
def rehearsal(
    world: Path | None,
    *,
    lanes: int,
    durable: bool = True,
    webhooks: bool = False,
    events: bool = False,
    **settings: Any,
) -> Iterator[Rehearsal]:
    """Open one: `lanes` lane workers and one for upkeep, a sandbox with the given world (None: an empty one).

    webhooks: let the sandbox report, with an HTTP process and an intake worker that take its webhooks in, and a reply
    worker that answers.
    events: a worker that delivers them.
    settings: what differs from the defaults. Raises EmbeddedError, ChannelUnavailable, BadValue.
    """
    with ExitStack() as stack:
        home = _folder(stack)
        servers = stack.enter_context(Embedded(home / "data", durable=durable))
        simulator, url = start_sandbox(world, port=0)
        stack.enter_context(simulator)
        sandbox = Sandbox(url)
        token = _private(home / "token", TOKEN)
        found = Settings.load(
            database_url=servers.database_url, redis_url=servers.redis_url, graph_url=sandbox.url, **settings
        )
        roles = [*["lanes"] * lanes, "upkeep"]
        if webhooks:
            found = believing_sandbox(found, home)
            roles += ["intake", "replies"]
        roles += ["events"] if events else []
        workers = [start_workers(found, role, 1) for role in roles]
        stack.callback(stop_all, workers)
        if webhooks:
            api, api_url = start_api(found)
            stack.enter_context(api)
            sandbox.reports_to(api_url)
        yield Rehearsal(home, servers, found, sandbox, f"file:{token}", workers)


def _private(path: Path, text: str) -> Path:
    """A file that only this user can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _folder(stack: ExitStack) -> Path:
    home = Path(tempfile.mkdtemp(prefix="dispatcher-"))
    # why: as root, PostgreSQL runs as another user, who must be able to pass through.
    home.chmod(0o711)
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    return home
