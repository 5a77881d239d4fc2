"""The life of one private server: lock, prepare, start on a leash, wait until it answers; and back.

What is prepared, what is started and what counts as an answer is left to ``postgres.py`` and ``valkey.py``.

Invariant: the lock of a data folder is held from before the first change in it until the last process of the server
has ended, also if its holder was killed: the server inherits the locked file, and the kernel unlocks it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from dispatcher.embedded.places import EmbeddedError, make_folders, socket_folder
from dispatcher.leash import Account, Leash

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
"""Complete on purpose: a stray PGDATA or PGHOST of the user must not reach the servers."""

_START_TIMEOUT = timedelta(seconds=60)
"""A crashed PostgreSQL first repeats up to ``max_wal_size`` of its log."""
_STOP_GRACE = timedelta(seconds=20)
_LOCK_PATIENCE_S = 1.0
"""The lock of a server that we stopped ourselves is free some milliseconds later."""
_ORPHAN_PATIENCE_S = 30.0
"""A server whose holder was killed is on its way out, at the latest after ``_STOP_GRACE``."""
_POLL_S = 0.005
_LOG_KEPT_BYTES = 16 * 2**20


class Server(ABC):
    """One private server: lock, prepare, start on a leash, wait until it answers; and back."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    crash_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.expanduser().resolve()
        self._home = self._data_dir / self.name
        self._log = self._data_dir / f"{self.name}.log"
        self._account: Account | None = None
        self._leash: Leash | None = None
        self._lock_fd: int | None = None
        self._sockets: Path | None = None
        self._holder = os.getpid()

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the running server is reached; EmbeddedError before ``start()``."""

    def start(self) -> None:
        """Start the server and return when it answers. Does nothing if it runs already.

        Blocks (about 0.2 s; about 1 s the first time, which creates the database): call it in a thread from a loop.
        Raises EmbeddedError; nothing is left running or locked then.
        """
        if self._leash is not None and self._leash.poll() is None:
            return
        self.stop()
        try:
            make_folders(self._data_dir)
            self._lock_fd = _lock(self._data_dir / f"{self.name}.lock", self.name)
            self._prepare()
            self._sockets = socket_folder(self._home, self._account)
            self._launch(self._lock_fd)
        except OSError as error:
            self.stop()
            raise EmbeddedError(
                f"Cannot start the private {self.name} in {self._data_dir}: {error}. "
                "Choose another folder with DISPATCHER_DATA_DIR, or configure the URL of a running server."
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server: fast and orderly, by SIGKILL after 20 s. Idempotent; also runs when Python exits."""
        if os.getpid() != self._holder:  # why: a forked copy of the holder must not end what is not its own
            return
        atexit.unregister(self.stop)
        if self._leash is not None:
            self._leash.stop()
            self._leash = None
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def crash(self) -> None:
        """End the server at once, as a power cut would; `start()` has to recover it. For tests and rehearsals."""
        if self._leash is not None:
            self._leash.send_signal(self.crash_signal)
            self._leash.wait(_STOP_GRACE)
        self.stop()

    def _launch(self, lock_fd: int) -> None:
        if self._log.exists() and self._log.stat().st_size > _LOG_KEPT_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._log.chmod(0o600)
            said_before_bytes = log.tell()
            self._leash = Leash(
                self._command(),
                stop_signal=self.stop_signal,
                grace=_STOP_GRACE,
                env=ENVIRONMENT,
                cwd=Path("/"),
                output=log,
                account=self._account,
                pass_fds=(lock_fd,),
            )
        atexit.register(self.stop)
        deadline = time.monotonic() + _START_TIMEOUT.total_seconds()
        while not self._is_ready(self._leash.pid):
            code = self._leash.poll()
            if code is not None or time.monotonic() > deadline:
                what = (
                    f"ended with code {code}"
                    if code is not None
                    else f"did not answer within {_START_TIMEOUT}"
                )
                said = self._log.read_bytes()[said_before_bytes:].decode(errors="replace").strip()
                raise EmbeddedError(
                    f"The private {self.name} {what}. Its log, {self._log}, ends:\n{said[-2000:]}"
                )
            time.sleep(_POLL_S)

    def _socket(self, name: str) -> Path:
        if self._sockets is None:
            raise EmbeddedError(
                f"The private {self.name} is not running; start() it before asking for its URL."
            )
        return self._sockets / name

    @abstractmethod
    def _prepare(self) -> None: ...

    @abstractmethod
    def _command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def _is_ready(self, pid: int) -> bool: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _lock(path: Path, name: str) -> int:
    """The held lock as a file descriptor for the server to inherit: it is free when the last of its processes ended."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    started = time.monotonic()
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 32, 0).decode(errors="replace")
            holder = int(text) if text.isdigit() else 0
            patience_s = _LOCK_PATIENCE_S if holder and is_alive(holder) else _ORPHAN_PATIENCE_S
            if time.monotonic() - started > patience_s:
                os.close(fd)
                server = pid_in(path.parent / name / "postmaster.pid")
                raise EmbeddedError(
                    f"A private {name} already runs on {path.parent}, started by process {holder}"
                    + (f" and itself process {server}. " if server else ". ")
                    + "Stop that one, or choose another data folder with DISPATCHER_DATA_DIR."
                ) from None
            time.sleep(_POLL_S)
        else:
            os.truncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            return fd


def pid_in(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(path.read_text().splitlines()[0])
    return None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
