"""Every key that confines a task, each with a real task, as root, that tries to break out.

All run under one supervisor. Each script prints what it could do and what it could not.
"""

import json
import os
import re
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, wait_for

from supervisor.config.schema import LIMITS, TASK
from supervisor.host import cgroup

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces, users, capabilities")

TRY = """trap 'echo .' EXIT
can() {
    shown=$*; case $1 in */python*) shown=$5;; esac
    shown=${shown//$PPID/PARENT}; shown=${shown//$$/SELF}
    if "$@" 2>/dev/null; then echo "can $shown"; else echo "cannot $shown"; fi
}
"""
WORDS = {"SEE": "/proc/self/status | tr -s '\\t ' ' '", "PYTHON": f"{sys.executable} -I -c"}


DAC_OVERRIDE = 1 << 1


def cases() -> dict[str, tuple[str, str, str]]:
    """Of confine.txt: the keys, the script and what it says, by name."""
    found = {}
    for block in (Path(__file__).parent / "confine.txt").read_text().split("\n\n"):
        if block.startswith("["):
            name, *lines = block.splitlines()
            keys = "\n".join(line for line in lines if not line.startswith(("$ ", "    ")))
            script = "".join(f"{line[2:]}\n" for line in lines if line.startswith("$ "))
            for word, meaning in WORDS.items():
                script = script.replace(word, meaning)
            said = "".join(f"{line[4:]}\n" for line in lines if line.startswith("    "))
            found[name.strip("[]")] = (keys, TRY + script, said)
    return found


ROWS = cases()


@pytest.fixture(scope="module")
def said() -> Iterator[dict[str, str]]:
    """What each of them said; the supervisor is stopped after it."""
    lab = Lab(Path(tempfile.mkdtemp(prefix="lab-", dir="/opt")))  # not in /tmp, which some of them do not see
    place = lab.dir / "place"
    for name in ("ok/not", "secrets/in"):
        (place / name).mkdir(parents=True)
    lab.dir.chmod(0o755)
    place.chmod(0o777)
    (place / "secret").write_text("hunter2\n")
    (place / "secret").chmod(0o600)
    (place / "secrets" / "a").write_text("a")
    (place / "file").write_text("")
    (place / "open").write_text("open\n")
    (place / "capable").write_bytes(Path("/bin/cat").read_bytes())
    (place / "capable").chmod(0o755)
    os.setxattr(place / "capable", "security.capability", struct.pack("<5I", 0x02000001, DAC_OVERRIDE, 0, 0, 0))
    (place / "setuid").write_bytes(Path("/usr/bin/id").read_bytes())
    (place / "setuid").chmod(0o4755)
    try:
        yield run(lab, place)
    finally:
        lab.clean()


def run(lab: Lab, place: Path) -> dict[str, str]:
    """One run of each, and what must be true of the world after it."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket(socket.AF_UNIX) as listening_too:
        listening_too.bind(f"\0{place}")
        listening_too.listen()
        text = "".join(task(name, *row[:2]) for name, row in ROWS.items()).replace("HERE", str(place))
        words = {
            "PORT": str(listening.getsockname()[1]),
            "ABSTRACT": str(place),
            "RUN": str(lab.run),
            "CGROUPS": cgroup.mounted(),
        }
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        lab.start(text)
        for name in ROWS:
            wait_for(lambda name=name: lab.tasks()[name]["last_exit"], f"{name} ends")
    assert all(one["last_exit"]["code"] is not None for one in lab.tasks().values())
    assert "of-the-task" not in os.listdir("/tmp")
    assert not (lab.run / "credentials" / "pw").exists()
    assert not any("hunter2" in str(lab.ask(verb, names=["credentials"])) for verb in ("status", "show"))
    shown = {str(place): "HERE", str(lab.run): "RUN", cgroup.mounted(): "CGROUPS"}
    found = {name: said_by(lab, name) for name in ROWS}
    for path, word in shown.items():
        found = {name: text.replace(path, word) for name, text in found.items()}
    return found


def said_by(lab: Lab, name: str) -> str:
    """All that a task has said until its last line, a dot."""
    path = lab.dir / "log" / f"{name}.log"
    return str(wait_for(lambda: path.exists() and (text := path.read_text()).endswith(".\n") and text)[:-2])


def task(name: str, keys: str, script: str) -> str:
    return (
        f"[task.{name}]\ncommand = {json.dumps(['bash', '-c', script])}\n{keys}\nrestart = 'never'\n"
        "log = { to = 'file', format = 'raw' }\nkind = 'startup'\n"
    )


def test_every_key_is_tried() -> None:
    """What needs the controllers of cgroups is tried in a VM; and how long a run may live, beside them."""
    here = Path(__file__).parent
    elsewhere = [here / "test_e2e_limits.py", here.parent / "vm" / "limits.py"]
    tried = "\n".join(keys for keys, _, _ in ROWS.values()).replace("limits.", "")
    limits = set(re.findall(r"limits = \{+ (.*?) \}+", "".join(path.read_text() for path in elsewhere)))
    tried += "\n" + "\n".join(one for some in limits for one in some.split(", "))
    found = set(re.findall(r"^(\w+) = ", tried, re.MULTILINE))
    context = (
        "user", "group", "groups", "umask", "no_new_privileges", "capabilities", "private_tmp", "read_only",
        "read_write", "inaccessible", "network", "credentials", "system_calls",
    )  # fmt: skip
    assert {*LIMITS, *context} <= found, {*LIMITS, *context} - found
    assert set(context) <= set(TASK)


@pytest.mark.parametrize("name", ROWS)
def test_a_task_cannot_break_out(said: dict[str, str], name: str) -> None:
    assert said[name] == ROWS[name][2]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("limits.open_files = 1073741816", "cannot start: set limits: RLIMIT_NOFILE = 1073741816"),
        ("inaccessible = ['HERE/in']\ndirectory = 'HERE/in/deep'", "cannot start: chdir HERE/in/deep: No such file"),
        ("credentials = { pw = 'HERE/large' }", "cannot start: make mount namespace: HERE/large is larger"),
    ],
)  # fmt: skip
def test_a_protection_that_is_not_available_fails_the_start(lab: Lab, keys: str, reason: str) -> None:
    (lab.dir / "in" / "deep").mkdir(parents=True)
    lab.dir.chmod(0o777)
    (lab.dir / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    lab.start(f"[task.one]\ncommand = 'true'\nrestart = 'never'\n{keys}\n".replace("HERE", str(lab.dir)))
    last = wait_for(lambda: lab.tasks()["one"]["last_exit"])
    assert last["reason"].replace(str(lab.dir), "HERE").startswith(reason)


@pytest.mark.parametrize("key", ["inaccessible", "read_only", "read_write"])
def test_an_optional_path_that_private_tmp_hides_is_ignored(lab: Lab, key: str) -> None:
    """An optional path exists on the machine, but not in the private /tmp of the run."""
    assert str(lab.dir).startswith("/tmp/")
    lab.start(f"[task.one]\ncommand = 'sleep 1000'\nprivate_tmp = true\n{key} = ['-{lab.dir}']\n")
    lab.up("one")


def test_a_python_task_is_confined_as_well(lab: Lab) -> None:
    (lab.dir / "mine.py").write_text(
        "import os, pathlib\n"
        "def main(stop):\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    print(os.getuid(), *(status[key].strip() for key in ('CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')))\n"
        "    try:\n"
        f"        pathlib.Path('{lab.dir}/x').touch()\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
        "    print('.')\n"
    )
    lab.dir.chmod(0o755)
    lab.start(
        f"[task.one]\npython = 'mine:main'\ndirectory = '{lab.dir}'\nrestart = 'never'\n"
        "log = { to = 'file', format = 'raw' }\n"
        "user = 'nobody'\ncapabilities = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE']\nsystem_calls = ['@system-service']\n"
        "read_only = ['/']\n"
    )
    lab.until(name="one", to="stopped")
    assert said_by(lab, "one") == "65534 0000000000000003 0000000000000003 1 2\nRead-only file system\n"


def test_nobody_but_the_run_sees_its_credentials(lab: Lab) -> None:
    """No other task and no process of the host sees them, and they end with the run."""
    (lab.dir / "pw").write_text("hunter2")
    (lab.dir / "pw").chmod(0o600)
    sleep = "command = 'sleep 1000'\n"
    lab.dir.chmod(0o755)
    lab.start(f"[task.one]\n{sleep}credentials = {{ pw = 'pw' }}\n[task.two]\n{sleep}private_tmp = true\n")
    pids = lab.up("one", "two")
    place = f"{lab.run}/credentials"
    inside = Path(f"/proc/{pids['one']}/root{place}/pw")
    assert inside.read_text() == "hunter2"
    assert os.listdir(place) == []
    assert not Path(f"/proc/{pids['two']}/root{place}/pw").exists()
    assert b"hunter2" not in Path(f"/proc/{pids['one']}/environ").read_bytes()
    assert f"CREDENTIALS_DIRECTORY={place}".encode() in Path(f"/proc/{pids['one']}/environ").read_bytes()
    lab.ctl("stop", "one", code=0)
    assert place not in Path("/proc/mounts").read_text()


def test_credentials_in_a_private_tmp_and_behind_a_umask(lab: Lab) -> None:
    """The runtime directory may be below /tmp, which the task does not see.

    The user of the task has access all the same.
    """
    (lab.dir / "pw").write_text("hunter2")
    script = "cat $CREDENTIALS_DIRECTORY/pw; ls -A /tmp | wc -l; echo .; sleep 1000"
    keys = "private_tmp = true\numask = '077'\nuser = 'nobody'\ncredentials = { pw = 'pw' }\n"
    lab.start(
        f"[task.one]\ncommand = {json.dumps(['sh', '-c', script])}\n{keys}log = {{ to = 'file', format = 'raw' }}\n"
    )
    assert str(lab.run).startswith("/tmp/")
    assert said_by(lab, "one") == "hunter21\n"
