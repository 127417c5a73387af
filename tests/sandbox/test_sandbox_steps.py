"""The steps that confine a child, where the machine of `e2e/test_e2e_confine.py` cannot show them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from supervisor.host.step import StepError
from supervisor.sandbox import privileges, rlimits, seccomp

# -- mounts -----------------------------------------------------------------------------------------------------------

ARRANGE = """
import json, os, subprocess, sys
place = sys.argv[1]
inner = place + "/inner"
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inner], check=True)
open(inner + "/file", "w").close()
mounts_before = open("/proc/self/mounts").read()
if os.fork() == 0:
    from supervisor.sandbox import mounts
    mounts.arrange(read_only=(place,), read_write=(), inaccessible=(), private_tmp=False)
    try:
        open(inner + "/new", "w").close()
        wrote = True
    except OSError:
        wrote = False
    print(json.dumps({"below": os.listdir(inner), "wrote": wrote}), flush=True)
    os._exit(0)
os.wait()
assert open("/proc/self/mounts").read() == mounts_before, "seen outside"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces")
def test_a_machine_whose_mounts_are_shared(tmp_path: Path) -> None:
    """The default of systemd: mounts of a run do not appear outside. A mount below a path belongs to that path."""
    (tmp_path / "inner").mkdir()
    words = ["unshare", "-m", "--propagation", "shared", sys.executable, "-c", ARRANGE, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"below": ["file"], "wrote": False}


# -- privileges -------------------------------------------------------------------------------------------------------

ANN = SimpleNamespace(pw_name="ann", pw_uid=1000, pw_gid=100)


@pytest.mark.parametrize(
    ("group", "groups", "expected"),
    [
        (None, (), ([7, 100], 100)),
        (None, ("extra",), ([7, 100, 300], 100)),
        ("own", (), ([7, 200], 200)),
        ("own", ("extra",), ([7, 200, 300], 200)),
    ],
)
def test_the_groups_of_a_user_are_those_of_the_system(
    group: str | None, groups: tuple[str, ...], expected: tuple[list[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`groups` are added, `group` replaces the user's own group, and no group of the supervisor is left."""
    done: list[tuple[str, object]] = []
    monkeypatch.setattr(privileges, "entry_of", lambda _: ANN)
    monkeypatch.setattr(privileges, "_gid", {"own": 200, "extra": 300}.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgroups", lambda: [0, 1])
    monkeypatch.setattr(os, "getgrouplist", lambda _, gid: [7, gid])
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda value, name=name: done.append((name, value)))
    privileges.become("ann", group, groups, keep=False)
    assert done == [("setgroups", expected[0]), ("setgid", expected[1]), ("setuid", 1000)]


def test_a_capability_that_the_kernel_does_not_have_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []
    monkeypatch.setattr(privileges, "_prctl", lambda _, number: dropped.append(number))
    with pytest.raises(StepError, match="this kernel does not have all of them"):
        privileges.bound((0, 63))
    assert dropped == [], "it was not begun"


def test_a_processor_that_is_not_available_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel alone would silently use the available ones (a cpuset, or a processor that is off)."""
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, processors: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    rlimits.cpu_affinity((0,))
    with pytest.raises(StepError, match="no processor 1, 7 is available"):
        rlimits.cpu_affinity((0, 7, 1))


# -- system calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("@system-service", "~@basic-io", "~@default"), ("~@basic-io",), ("openat",)])
def test_system_calls_that_every_program_needs_are_always_allowed(words: tuple[str, ...]) -> None:
    forbid, names = seccomp.chosen(words)
    assert not names & seccomp.ALWAYS if forbid else names >= seccomp.ALWAYS


def test_without_libseccomp_the_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(seccomp.ctypes, "CDLL", missing)
    with pytest.raises(StepError, match="libseccomp is not installed"):
        seccomp.load(("@system-service",))
    seccomp.load(())
