"""Where private servers keep their files and sockets, and which account may go there.

Knows folders, owners and permission bits, nothing of the servers. Only folders made here ever get new permissions.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import stat
import tempfile
from pathlib import Path

from dispatcher.leash import Account

_SOCKET_PATH_MAX_BYTES = 100
"""``sun_path`` holds 108 bytes on Linux, 104 on macOS."""


class EmbeddedError(RuntimeError):
    """A private server could not be started. The text says what happened and what can be done."""


def default_data_dir() -> Path:
    """``/var/lib/dispatcher`` for root, else ``dispatcher`` below ``$XDG_DATA_HOME`` or ``~/.local/share``."""
    if os.geteuid() == 0:
        return Path("/var/lib/dispatcher")
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local/share") / "dispatcher"


def make_folders(path: Path) -> None:
    """Create what is missing of ``path``: private for a user; for root such that ``nobody`` may pass but not look."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def socket_folder(home: Path, account: Account | None) -> Path:
    """A private folder with a short name, always the same for one ``home``: a killed server's left-over is reused."""
    name = "dispatcher-" + hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    for base in filter(None, (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp")):  # noqa: S108
        folder = Path(base) / name
        plain = re.fullmatch(
            r"[\w./-]+", str(folder), re.ASCII
        )  # arq and PostgreSQL's option give others a meaning
        short = len(str(folder)) + len("/.s.PGSQL.5432.lock") <= _SOCKET_PATH_MAX_BYTES
        reachable = (
            Path(base).is_dir()
            and os.access(base, os.W_OK)
            and not (account and first_closed(Path(base), account))
        )
        if plain and short and reachable:
            break
    else:
        raise EmbeddedError(
            "No folder for sockets: set XDG_RUNTIME_DIR or TMPDIR to a short path you may write to."
        )
    wanted_uid = account.uid if account else os.geteuid()
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted_uid or stat.S_IMODE(found.st_mode) != 0o700:
        raise EmbeddedError(
            f"{folder} is not private to us: somebody else made it. Remove it, or set XDG_RUNTIME_DIR."
        )
    for left_over in folder.iterdir():  # why: we hold the lock, so these belong to a dead server
        left_over.unlink()
    return folder


def nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and there is no user nobody here. Run as an ordinary user."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def first_closed(path: Path, account: Account) -> Path | None:
    """The first folder (or program) on the way to ``path`` that the account may not enter (or run); None if all are open."""
    real = path.resolve()  # why: installers may link a package's files from elsewhere
    for step in (*reversed(path.parents), path, *reversed(real.parents), real):
        found = step.stat()
        owner = stat.S_IXUSR if found.st_uid == account.uid else 0
        group = stat.S_IXGRP if found.st_gid == account.gid else 0
        if not found.st_mode & (owner or group or stat.S_IXOTH):
            return step
    return None


def package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # why not import: only the files are wanted
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package} is not installed. Install it, or configure the URL of a running server."
        )
    return Path(spec.submodule_search_locations[0])
