"""Commands as processes: the whole way through, Ctrl-C, and an orderly end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import psutil
import pytest
from support.waiting import wait_until

from dispatcher.cli.output import ExitCode
from dispatcher.processes import start_workers
from dispatcher.servers import located
from dispatcher.settings import Settings

from .builders import OFFER, PEOPLE, Dispatch, Write, a_sender

ROOT = Path(__file__).parents[2]


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`dispatch` in a process of its own, in the project's folder."""
    program = "from dispatcher.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_file_reaches_its_people_with_one_command(
    with_sender: Dispatch, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # why not in this process: should the campaign never end, only a child can be given up.
    send = ["send", write(PEOPLE), *OFFER, "--key", "spring-1"]
    with start_workers(Settings.load(), "all", 1):
        with started(*send, "--json") as sending:
            out, _ = sending.communicate(timeout=60)
        with started(*send) as again:
            text, notes = again.communicate(timeout=60)
    said = orjson.loads(out)
    assert sending.returncode == again.returncode == 0
    assert said["campaign"]["state"] == "completed"
    assert said["campaign"]["counts"]["accepted"] == 3
    assert said["campaign"]["counts"]["adds_up"]
    assert said["imported"]["rows"] == 5
    assert "nothing was imported" in notes
    assert "the states add up to the audience" in text
    assert with_sender("check").code == 0


def test_ctrl_c_leaves_the_campaign_running_and_says_how_to_go_on(
    with_sender: Dispatch, write: Write
) -> None:
    with started("send", write(PEOPLE), *OFFER) as sending:
        assert sending.stderr is not None
        while "campaign" not in (line := sending.stderr.readline()) or "running:" not in line:
            assert line, "it ended before it followed"
        sending.send_signal(signal.SIGINT)
        out, err = sending.communicate(timeout=20)
    assert sending.returncode == ExitCode.INTERRUPTED
    assert out == ""
    [campaign] = with_sender("campaign", "list", "--json").json["campaigns"]
    assert campaign["state"] == "running"
    for order in ("follow", "pause", "cancel"):
        assert f"dispatch campaign {order} {campaign['id']}" in err
    assert "Traceback" not in err


def test_ctrl_c_in_json_is_answered_in_json(with_sender: Dispatch, write: Write) -> None:
    campaign = with_sender("campaign", "create", write(PEOPLE), *OFFER, "--json").json["campaign"]["id"]
    with started("campaign", "follow", campaign, "--json") as following:
        process = psutil.Process(following.pid)
        while not process.net_connections(kind="all"):
            assert following.poll() is None
        following.send_signal(signal.SIGINT)
        out, _ = following.communicate(timeout=20)
    assert following.returncode == ExitCode.INTERRUPTED
    assert orjson.loads(out)["error"]["kind"] == "interrupted"


@pytest.fixture
def private(clean_environment: None, server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder for private servers, as somebody has who configured nothing."""
    folder = server_folder / f"private-{os.urandom(4).hex()}"
    monkeypatch.setenv("DISPATCHER_DATA_DIR", str(folder))
    return folder


def test_up_runs_everything_until_it_is_told_to_stop(private: Path, typed: Dispatch) -> None:
    with started("up", "--with-sandbox", "--port", "0", "--json") as up:
        assert up.stdout is not None
        said = orjson.loads(up.stdout.readline())
        children = psutil.Process(up.pid).children(recursive=True)
        assert said["workers"]["pid"] in {child.pid for child in children}
        assert said["sandbox_url"] == said["graph_url"]
        assert is_alive(said["api_url"])
        found = typed("doctor", "--json")
        assert found.code == 0
        what = {finding["what"]: finding for finding in found.json["findings"]}
        assert what["servers"]["text"].startswith("private ones run")
        assert what["PostgreSQL"]["level"] == what["Redis"]["level"] == what["schema"]["level"] == "ok"
        up.send_signal(signal.SIGTERM)
        out, _ = up.communicate(timeout=30)
    assert (up.returncode, out) == (0, "")
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def is_alive(api_url: str) -> bool:
    """Whether the HTTP process there answers."""
    try:
        return httpx.get(f"{api_url}/livez", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def test_up_replaces_an_http_process_that_dies(configured: None) -> None:
    with started("up", "--port", "0", "--json") as up:
        assert up.stdout is not None
        url = orjson.loads(up.stdout.readline())["api_url"]
        [served] = [
            child
            for child in psutil.Process(up.pid).children(recursive=True)
            if "dispatcher.serve" in child.cmdline()
        ]
        served.kill()
        await wait_until(lambda: not is_alive(url), description="it is gone")
        await wait_until(lambda: is_alive(url), description="another one answers at its address")
        up.send_signal(signal.SIGTERM)
        assert up.wait(timeout=30) == 0


def test_http_is_served_in_the_place_of_the_command_and_ends_gracefully(configured: None) -> None:
    with started("serve", "--port", "0") as serve:
        assert serve.stdout is not None
        said = orjson.loads(serve.stdout.readline())
        assert said["pid"] == serve.pid
        assert is_alive(said["url"])
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(timeout=20) == 0


def test_sending_without_workers_says_so_and_ends(
    private: Path, typed: Dispatch, sandbox_url: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPATCHER_GRAPH_URL", sandbox_url)
    with located(Settings.load()):
        typed(*a_sender("shop"))
        typed("templates", "sync")
    said = typed("send", write(PEOPLE), *OFFER)
    assert said.code == ExitCode.NO
    assert "no worker is running" in said.err
    assert "dispatch up" in said.err
    assert "queued" in said.out


def test_the_sandbox_runs_alone_and_says_where(clean_environment: None) -> None:
    with started("sandbox") as sandbox:
        assert sandbox.stdout is not None
        assert orjson.loads(sandbox.stdout.readline())["url"].startswith("http://127.0.0.1:")
        sandbox.send_signal(signal.SIGTERM)
        assert sandbox.wait(timeout=20) == 0


def test_a_worker_takes_the_place_of_the_command_and_ends_gracefully(configured: None) -> None:
    with started("worker", "--role", "upkeep") as worker:
        process = psutil.Process(worker.pid)
        while "workers" not in process.cmdline() or not process.net_connections(kind="all"):
            assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) in {0, -signal.SIGTERM}
