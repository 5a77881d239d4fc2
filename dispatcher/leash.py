"""A child process that ends with the process that started it, even if that one is killed.

Used for the private servers of ``dispatcher.embedded`` and for worker processes. What the child does, and when it
counts as ready, is left to the caller.

Invariant: no child outlives its holder by more than ``grace``, not even after SIGKILL, which no ``atexit`` and no
signal handler survives. The child's guard therefore waits on a pipe whose other end only the holder has; the kernel
closes that end whatever way the holder dies. (``PR_SET_PDEATHSIG`` would be shorter, but is Linux only and fires
when the *thread* that started the child ends.)
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_GUARDED = """
name=$1 tenths=$(($2 * 10)); shift 2
exec PIPE<&0 </dev/null
( { read -r released <&PIPE || {
        kill -s "$name" $$
        while [ "$tenths" -gt 0 ] && kill -0 $$; do sleep 0.1; tenths=$((tenths - 1)); done
        kill -s KILL $$
    }; } >/dev/null 2>&1 & )
exec "$@" PIPE<&-
"""
"""The guard is a grandchild, so that the command never meets a child it does not know. The shell then *becomes* the
command: its pid, exit code and signals are the command's own. End of file on the pipe means that the holder is gone;
a line means that the command has ended and the guard may leave without signalling a pid that could be someone else's."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a child runs as; only root may name one."""

    uid: int
    gid: int


class Leash:
    """One child process on a leash: starts at once, ends with ``stop()`` or with this process.

    command: program and arguments; the program by absolute path.
    stop_signal: how the command is asked to end. grace: whole seconds it then has before SIGKILL.
    output: an open file for stdout and stderr; without one they go where ours go.
    account: run as this account (root only). pass_fds: file descriptors the command shall inherit.

    The child has a session of its own: Ctrl-C in the terminal reaches the holder alone, who then calls ``stop()``.
    The holding end of the pipe is closed on exec; a child forked *without* exec would hold the leash as well.
    Raises OSError when no process can be started; a command that cannot be executed ends with code 126 or 127.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: timedelta = timedelta(seconds=10),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: IO[bytes] | None = None,
        account: Account | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._stop_signal = stop_signal
        self._grace_s = max(1, round(grace.total_seconds()))
        self._holder = os.getpid()
        # why: the shell knows one-digit descriptors only, and one that the command shall inherit may be among them
        pipe = min(set(range(3, 10)).difference(pass_fds))
        script = _GUARDED.replace("PIPE", str(pipe))
        signal_name = stop_signal.name.removeprefix("SIG")
        self._process = subprocess.Popen(  # noqa: S603 - the caller's own program and arguments
            ["/bin/sh", "-c", script, "leash", signal_name, str(self._grace_s), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            pass_fds=pass_fds,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The command's own process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: ended by that signal), or None while the command runs."""
        code = self._process.poll()
        if code is not None:
            self._release()
        return code

    def wait(self, timeout: timedelta | None = None) -> int:
        """Wait for the command to end by itself and return its exit code; raises TimeoutError."""
        try:
            code = self._process.wait(None if timeout is None else timeout.total_seconds())
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs") from error
        self._release()
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Pass a signal to the command; nothing happens if it has ended."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """Ask the command to end, wait up to ``grace``, then kill it. Idempotent; returns the exit code."""
        if (
            os.getpid() != self._holder
        ):  # why: a forked copy of the holder may run its atexit; the child is not its own
            return 0
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self.wait()

    def _release(self) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):  # the guard was ended by someone else
                pipe.write(b"\n")
                pipe.flush()
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stop_all(leashes: Sequence[Leash]) -> None:
    """Ask several commands to end at the same time, and wait for all of them."""
    if leashes:
        with ThreadPoolExecutor(len(leashes)) as pool:
            list(pool.map(Leash.stop, leashes))
