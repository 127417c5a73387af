"""A helper that is down: `status` has the reason, since when, and the consequence."""

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from lab import Lab, alive, wait_for
from someone import as_someone

WEB = '[task.web]\ncommand = "sleep 1000"\nlog = { to = "file" }\n'


def helpers(lab: Lab) -> list[str]:
    return lab.ask("status")["answer"]["supervisor"]["helpers"]


def test_the_reason_is_the_last_line_of_its_stderr(lab: Lab) -> None:
    """A directory is at the path of the lock of @scribe."""
    lab.start(WEB)
    lab.up("web")
    scribe = wait_for(lab.scribe)
    wait_for((lab.run / "scribe.lock").exists)
    (lab.run / "scribe.lock").unlink()
    (lab.run / "scribe.lock").mkdir()
    os.kill(scribe, signal.SIGKILL)
    (first,) = wait_for(lambda: [one for one in helpers(lab) if "exit 1" in one])
    assert first.startswith("@scribe does not run (exit 1: IsADirectoryError: ")
    assert "output waits in the pipes, and nothing is lost; a task that writes much blocks" in first
    since = first.partition(" since ")[2].partition(",")[0]
    wait_for(lambda: lab.stderr.count("IsADirectoryError") >= 3, "it has failed again and again")
    assert f" since {since}," in helpers(lab)[0], "it is down since the first end"
    assert "IsADirectoryError" in lab.ctl("status").out
    (lab.run / "scribe.lock").rmdir()
    wait_for(lambda: not helpers(lab), "it is well again")


def test_a_port_in_use_is_reported(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lab.start('[task.web]\ncommand = "sleep 1000"\n', f'health_listen = "127.0.0.1:{port}"\n')
        (said,) = wait_for(lambda: helpers(lab))
        assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in said
        assert "/live, /ready and /health do not answer" in said
    wait_for(lambda: not helpers(lab))


def test_stderr_of_a_helper_without_a_supervisor_is_read_by_the_next_one(lab: Lab) -> None:
    lab.start(WEB)
    lab.up("web")
    path = Path(f"/proc/{wait_for(lab.scribe)}/fd/2")
    assert os.readlink(path) == f"{lab.run}/helpers/@scribe:1.err"
    with path.open("wb", buffering=0) as stderr:
        stderr.write(b"said before\n")
        wait_for(lambda: "\nsaid before\n" in lab.stderr)
        assert lab.process
        lab.process.kill()
        lab.process.wait()
        stderr.write(b"said meanwhile \xff\n")
        lab.start()
        wait_for(lambda: "said meanwhile" in lab.stderr)


@pytest.mark.parametrize("successor", [False, True])
def test_scribe_ends_without_its_supervisor_and_its_runtime_directory(lab: Lab, *, successor: bool) -> None:
    """Nobody knows of it any more. A supervisor that comes at once has a @scribe of its own."""
    lab.start(WEB)
    web, scribe = lab.up("web")["web"], wait_for(lab.scribe)
    wait_for((lab.run / "scribe.ledger").exists)
    assert lab.process
    lab.process.kill()
    lab.process.wait()
    assert alive(scribe)
    wait_for(lambda: shutil.rmtree(lab.run, ignore_errors=True) or not (lab.run / "scribe.lock").exists())
    if successor:
        lab.start()
        assert wait_for(lab.scribe) != scribe
    wait_for(lambda: not alive(scribe))
    if alive(web):
        os.kill(web, signal.SIGKILL)


def test_scribe_stays_without_its_supervisor_in_its_runtime_directory(lab: Lab) -> None:
    """The next supervisor adopts it, although its manifest was away."""
    lab.start(WEB)
    web, scribe = lab.up("web")["web"], wait_for(lab.scribe)
    wait_for((lab.run / "scribe.ledger").exists)
    assert lab.process
    lab.process.kill()
    lab.process.wait()
    (lab.run / "output" / "manifest.json").unlink()
    lab.start()
    assert lab.tasks()["web"]["pid"] == web
    assert f"@scribe: adopted (pid {scribe}," in lab.stderr


ALL = """
[task.web]
command = ["sh", "-c", "echo hello; sleep 1000"]
log = { to = "file" }
health = { http = "http://127.0.0.1:1/", failures = 1000 }
[task.job]
every = "1h"
command = "true"
"""


def test_helpers_of_a_normal_user_work_and_hide_their_memory(lab: Lab) -> None:
    """Nobody but root may read what is not dumpable: the supervisor supervises them all the same."""
    command, user = as_someone(lab)
    lab.start(ALL, f'health_listen = "unix:{lab.dir}/health.sock"\n', command=command, **user)
    for name in ("scribe", "prober", "timekeeper", "health"):
        pid = wait_for(lambda name=name: lab.helper(name))
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
        assert title == f"supervisor: lab @{name} {lab.run}".encode()
        wait_for(lambda pid=pid: Path(f"/proc/{pid}/environ").stat().st_uid == 0, "only root may read its files")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda name=name, pid=pid: lab.helper(name) not in (0, pid), "it comes back")
    wait_for(lambda: (lab.dir / "log/web.log").exists() and "hello" in (lab.dir / "log/web.log").read_text())
    assert helpers(lab) == []
