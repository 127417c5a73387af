"""Each test here runs on the fake machine, on this one, on it without cgroups, and, when we are root, as a normal user.

The real ones run in a forked child: the host becomes a subreaper, takes over the signals and reaps every child.
"""

import os
import pwd
import shutil
import tempfile
import traceback
from functools import partial
from pathlib import Path

import pytest
from contract.machine import Fake, Real

from supervisor.host import cgroup

MACHINES = ["fake", "linux", "linux-without-cgroups", *(["linux-as-nobody"] if os.geteuid() == 0 else [])]


@pytest.fixture
def place():
    """A directory that everybody may use. Not below pytest's, which each other run of pytest closes to others again."""
    path = Path(tempfile.mkdtemp(prefix="contract-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=MACHINES)
def machine(request, place):
    """Filled in by `pytest_pyfunc_call`, in the process in which the test runs."""
    return request.param, place


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Calls the test with a machine."""
    if "machine" not in pyfuncitem.funcargs:
        return None
    kind, place = pyfuncitem.funcargs["machine"]
    others = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames if name != "machine"}
    test = partial(pyfuncitem.obj, **others)
    if kind == "fake":
        test(machine=Fake(place))
        return True
    said = in_a_child(lambda: _real(test, place), kind)
    if said:
        pytest.fail(said, pytrace=False)
    return True


def _real(test, place):
    machine = Real(place)
    try:
        test(machine=machine)
    finally:
        machine.end()


def in_a_child(act, kind):
    """What went wrong there, as text."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = "it ended without a word"
        try:
            if kind == "linux-as-nobody":
                _become_nobody()
            if kind == "linux-without-cgroups":
                os.environ[cgroup.NEVER] = "no"
            act()
            text = ""
        except BaseException:  # noqa: BLE001 - a child must say it, and never run on
            text = traceback.format_exc()
        finally:
            os.write(theirs, text.encode())
            os._exit(0)
    os.close(theirs)
    with open(ours, encoding="utf-8") as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    return text or (f"the child ended with status {status}" if status else "")


def _become_nobody():
    entry = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
