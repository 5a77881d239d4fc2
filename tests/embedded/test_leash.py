"""A child on a leash ends with its holder, however the holder ends."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from dispatcher.leash import Leash

SLEEP = "/bin/sleep"
PYTHON = sys.executable

HOLDER = """
import subprocess, sys, time
from dispatcher.leash import Leash
leash = Leash(["/bin/sleep", "60"])
stranger = subprocess.Popen(["/bin/sleep", "60"], close_fds=False)
print(leash.pid, stranger.pid, flush=True)
time.sleep(60)
"""

HOLDER_OF_A_FILE = """
import os, sys
from dispatcher.leash import Leash
number = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
code = Leash(["/bin/sh", "-c", f"printf x >&{number}"], pass_fds=[number]).wait()
print(f"descriptor {number}, code {code}")
"""


def a_holder_with_a_child_on_a_leash_and_one_without() -> tuple[
    subprocess.Popen[str], psutil.Process, psutil.Process
]:
    holder = subprocess.Popen([PYTHON, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    leashed, free = map(int, holder.stdout.readline().split())
    holder.stdout.close()
    return holder, psutil.Process(leashed), psutil.Process(free)


def a_deaf_child(ready: Path) -> Leash:
    """A child that ignores SIGTERM and has said so before we go on."""
    script = f"trap '' TERM; echo deaf > {ready}; while :; do sleep 1; done"
    leash = Leash(["/bin/sh", "-c", script], grace=timedelta(seconds=1))
    while not ready.exists() or not ready.read_text():
        assert leash.poll() is None
    return leash


def test_a_child_ends_when_its_holder_is_killed_and_others_do_not_hold_the_leash() -> None:
    holder, leashed, free = a_holder_with_a_child_on_a_leash_and_one_without()
    try:
        holder.kill()
        holder.wait()
        gone, _ = psutil.wait_procs([leashed], timeout=5)
        assert gone == [leashed]
        assert free.is_running()
    finally:
        free.kill()


def test_the_pid_is_the_commands_own_and_ctrl_c_does_not_reach_it() -> None:
    with Leash([SLEEP, "60"]) as leash:
        child = psutil.Process(leash.pid)
        # why the whole command line: while a program is being replaced, the kernel shows its new name before its arguments.
        while child.cmdline() != [SLEEP, "60"]:
            assert leash.poll() is None
        assert child.children() == []
        with subprocess.Popen(
            ["/bin/ps", "-o", "sid=", "-p", str(leash.pid)], stdout=subprocess.PIPE, text=True
        ) as ps:
            assert ps.communicate()[0].strip() == str(leash.pid), "a session of its own"


def test_stop_sends_the_signal_asked_for_and_may_be_repeated() -> None:
    leash = Leash([SLEEP, "60"], stop_signal=signal.SIGINT)
    assert leash.poll() is None
    assert leash.stop() == -signal.SIGINT
    assert leash.stop() == -signal.SIGINT
    assert leash.poll() == -signal.SIGINT


def test_a_deaf_child_is_killed_after_the_grace(tmp_path: Path) -> None:
    assert a_deaf_child(tmp_path / "ready").stop() == -signal.SIGKILL


def test_the_exit_of_the_command_is_reported_as_it_is() -> None:
    assert Leash(["/bin/sh", "-c", "exit 7"]).wait(timedelta(seconds=5)) == 7
    assert Leash(["/no/such/program"]).wait(timedelta(seconds=5)) == 127


def test_waiting_is_bounded() -> None:
    with Leash([SLEEP, "60"]) as leash, pytest.raises(TimeoutError):
        leash.wait(timedelta(milliseconds=20))


def test_the_command_reads_nothing_and_has_no_file_of_ours() -> None:
    script = "import os, sys; sys.exit(len(sys.stdin.read()) or sum(os.path.exists(f'/dev/fd/{n}') for n in (3, 4, 5, 6)))"
    assert Leash([PYTHON, "-c", script]).wait(timedelta(seconds=5)) in (
        0,
        1,
    )  # 1: the listing's own descriptor


def test_a_file_with_the_number_of_the_guards_pipe_is_inherited_as_well(tmp_path: Path) -> None:
    file = tmp_path / "file"
    done = subprocess.run(
        [PYTHON, "-c", HOLDER_OF_A_FILE, str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "descriptor 3, code 0\n"
    assert file.read_text() == "x"
