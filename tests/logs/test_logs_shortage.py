"""@scribe without a resource that it needs: it works in another way, reports that, and returns to normal later."""

import errno
import os
import resource
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paper import Paper, wait_for

from supervisor.logs import compress, rotate
from supervisor.logs.compress import AGAIN, Compressor
from supervisor.logs.pump import Pump
from supervisor.store import manifest
from supervisor.store.statefile import TROUBLES

FILTERED = """
import runpy, sys
from supervisor.sandbox import seccomp
seccomp.load(tuple(sys.argv[1].split(",")))
sys.argv = sys.argv[3:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""A scribe under a filter of system calls: what follows is "~CALL,… -m MODULE RUNTIME_DIR"."""

NO_EPOLL = """
import errno, runpy, select, sys
from supervisor.host.descriptors import Descriptors
before = Descriptors.watch

def watch(self, fd, reader, mask=select.EPOLLIN):
    if mask & select.EPOLLET:
        raise OSError(errno.ENOSPC, "No space left on device")
    before(self, fd, reader, mask)

Descriptors.watch = watch
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""A scribe whose FIFOs find no room in an epoll (fs.epoll.max_user_watches)."""

INSTANCES = "/proc/sys/user/max_inotify_instances"
"""The limit of a user namespace: that of the machine stays as it is."""

OWN_USERS = ["unshare", "-U", "-r"]


def has_own_users() -> bool:
    return not subprocess.run([*OWN_USERS, "true"], check=False, capture_output=True).returncode


def troubles(paper: Paper) -> dict[str, Any]:
    return TROUBLES.read(str(paper.run))


def reads(paper: Paper, number: int = 1) -> None:
    """A task that begins now, and another line of it, and its end."""
    fifo = f"web:1.{number}@e.out"
    with paper.open(fifo) as task:
        for word in (b"first", b"second"):
            line = b"%s %d\n" % (word, number)
            task.write(line)
            wait_for(lambda line=line: line in paper.read("web.log"))
    paper.open(f"web:1.{number + 1}@e.out").close()
    wait_for(lambda: fifo not in paper.fifos())


# -- inotify ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not has_own_users(), reason="this machine allows no user namespace")
def test_without_an_inotify_instance_it_polls(paper: Paper) -> None:
    paper.manifest(format="raw")
    without = ["sh", "-c", f'echo 0 > {INSTANCES}; exec "$@"', "sh", sys.executable]
    paper.scribe([*OWN_USERS, *without])
    reads(paper)
    assert "no instance is left for this user" in troubles(paper)["inotify"]
    paper.manifest(format="json")
    with paper.open("web:1.2@e.out") as task:
        task.write(b"old plan, or new\n")
        wait_for(lambda: b"old plan" in paper.read("web.log"))
        wait_for(lambda: (task.write(b"again\n"), b'"message":"again"' in paper.read("web.log"))[1])
    inside = ["nsenter", "-U", "--preserve-credentials", "-t", str(paper.process.pid)]
    subprocess.run([*inside, "sh", "-c", f"echo 100 > {INSTANCES}"], check=True)
    wait_for(lambda: troubles(paper) == {})
    paper.manifest(format="raw")
    reads(paper, 3)


@pytest.mark.parametrize("call", ["inotify_init1", "inotify_add_watch"])
def test_a_filter_that_refuses_inotify_stops_no_output(paper: Paper, call: str) -> None:
    paper.manifest(format="raw")
    paper.scribe([sys.executable, "-c", FILTERED, f"~{call}"])
    reads(paper)
    assert "Operation not permitted" in troubles(paper)["inotify"]


# -- tee, the epoll ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["tee", "splice"])
def test_a_filter_that_refuses_tee_stops_no_output(paper: Paper, call: str) -> None:
    """An incomplete line is then in memory; an orderly end writes it."""
    paper.manifest(format="raw")
    paper.scribe([sys.executable, "-c", FILTERED, f"~{call}"])
    reads(paper)
    assert "Operation not permitted" in troubles(paper)["tee"]
    data = b"".join(b"%08d\n" % number for number in range(200_000)) + b"no end"
    with paper.open("web:1.2@e.out") as task:
        task.write(data)
        paper.drained()
        paper.process.send_signal(signal.SIGTERM)
        assert paper.process.wait(30) == 0
    assert paper.read("web.log").endswith(data)


def test_buffered_output_is_not_lost_when_tee_works_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> tuple[int, ...]:
        raise OSError(errno.ENFILE, "Too many open files in system")

    with monkeypatch.context() as patch:
        patch.setattr("supervisor.logs.pump._opened", refused)
        pump = Pump()
    ours, theirs = os.pipe2(os.O_NONBLOCK)
    os.write(theirs, b"one\ntwo")
    assert (pump.why, pump.peek(ours, 100), pump.unread(ours)) == ("Too many open files in system", b"one\ntwo", 7)
    pump.consume(ours, 4)
    pump.renew()
    os.write(theirs, b" and more")
    assert pump.why == ""
    assert pump.peek(ours, 100) == b"two and more"
    pump.consume(ours, 12)
    assert pump.peek(ours, 100) is None
    os.write(theirs, b"three")
    assert pump.peek(ours, 100) == b"three"
    assert not pump.holds(ours), "it is in the pipe"
    pump.close()
    os.close(ours)
    os.close(theirs)


def test_without_room_in_the_epoll_it_polls(paper: Paper) -> None:
    paper.manifest(format="raw")
    paper.scribe([sys.executable, "-c", NO_EPOLL])
    reads(paper)
    wait_for(lambda: "No space left on device" in troubles(paper).get("epoll", ""))


# -- descriptors ------------------------------------------------------------------------------------------------------


def test_a_fifo_that_cannot_be_opened_is_reported_and_opened_later(paper: Paper) -> None:
    keys = [f"web:{number}" for number in range(1, 31)]
    paper.manifest(format="raw", instances=tuple(keys))
    paper.scribe()
    reads(paper)
    pid = paper.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 8, hard))
    tasks = [paper.open(f"{key}.5@e.out") for key in keys]
    for number, task in enumerate(tasks, 1):
        task.write(b"task %d\n" % number)
    says = wait_for(lambda: troubles(paper).get("output"))
    assert "cannot be read and waits: Too many open files" in says
    assert "web:" in says
    assert paper.process.poll() is None
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: "output" not in troubles(paper))
    paper.drained()
    for task in tasks:
        task.write(b"and more\n")
        task.close()
    paper.drained()
    said = b"".join(map(paper.read, paper.logs()))
    assert said.count(b"and more\n") == said.count(b"task ") == len(tasks)
    wait_for(lambda: troubles(paper) == {})


# -- compression ------------------------------------------------------------------------------------------------------


def short_of_memory(*_: object) -> None:
    raise MemoryError


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def loses_the_end(fd: int, data: bytes) -> None:
    rotate.write_all(fd, data[:-1])


def turns_a_bit(fd: int, data: bytes) -> None:
    rotate.write_all(fd, data[:-20] + bytes([data[-20] ^ 1]) + data[-19:] if len(data) > 20 else data)


FAULTS: list[tuple[Any, str, Callable[..., None], str]] = [
    (zlib, "compressobj", short_of_memory, "MemoryError"),
    (zlib, "decompressobj", short_of_memory, "MemoryError"),
    (compress, "write_all", no_room, "No space left on device"),
    (compress, "write_all", loses_the_end, ""),
    (compress, "write_all", turns_a_bit, ""),
    (os, "fsync", no_room, "No space left on device"),
]


@pytest.mark.parametrize(("where", "call", "fault", "why"), FAULTS)
def test_a_failed_compression_keeps_the_original_and_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, call: str, fault: Callable[..., None], why: str
) -> None:
    data, told = b"".join(b"line %d\n" % number for number in range(50_000)), [""]
    (tmp_path / "web.log.1").write_bytes(data)
    compressor = Compressor(told.append)
    with monkeypatch.context() as patch:
        patch.setattr(where, call, fault)
        compressor.add(str(tmp_path / "web.log"))
        now = 0.0
        while (moment := compressor.next_deadline() or 0.0) <= now:
            compressor.due(now)
        assert moment == now + AGAIN
    assert os.listdir(tmp_path) == ["web.log.1"]
    assert (tmp_path / "web.log.1").read_bytes() == data
    assert f"web.log.1 cannot be compressed: {why}" in told[-1]
    while (next_one := compressor.next_deadline()) is not None:
        compressor.due(next_one)
    assert os.listdir(tmp_path) == ["web.log.1.gz"]
    assert zlib.decompress((tmp_path / "web.log.1.gz").read_bytes(), 31) == data
    assert told[-1] == ""


def test_it_compresses_without_a_new_thread_or_process(paper: Paper) -> None:
    paper.manifest(format="raw", max_size=100_000, keep=3)
    paper.scribe([sys.executable, "-c", FILTERED, "~clone,~clone3,~fork,~vfork"])
    paper.write("web:1.1@e.out", b"".join(b"%09d\n" % number for number in range(45_000))).join()
    paper.drained()
    wait_for(lambda: paper.logs() == ["web.log", "web.log.1.gz", "web.log.2.gz", "web.log.3.gz"])
    assert paper.process.poll() is None


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_a_manifest_without_room_does_not_replace_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.write(str(tmp_path), {"tasks": {}})
    before, room = os.write, [5]

    def write(fd: int, data: bytes) -> int:
        """Take a part, as a disk that becomes full."""
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return before(fd, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left on device"):
        manifest.write(str(tmp_path), {"tasks": {"web": {}}})
    assert manifest.read(str(tmp_path)) == {"tasks": {}}
