"""The umask of the caller only sets the default umask of the tasks."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from lab import Lab, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: tasks of other users, a group")

UMASKS = pytest.mark.parametrize("umask", [0o000, 0o027, 0o077], ids="{:03o}".format)

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or "python3"
"""One that other users can reach, too."""

SPEAKER = (
    "import os,socket,time;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);"
    "s.sendto(b'READY=1',os.environ['NOTIFY_SOCKET'])"
    ";print('up',flush=True);time.sleep(1000)"
)

TASK = f"""
[task.theirs]
user = "nobody"
command = ["{PYTHON}", "-S", "-c", "{SPEAKER}"]
ready = "notify"
log = {{ to = "file" }}
"""


def modes(directory: Path) -> dict[str, int]:
    """The mode of everything below a directory, and of itself; the names of runs are left out."""
    places = [directory, *directory.rglob("*")]
    names = {str(place.relative_to(directory)).partition("@")[0]: place for place in places}
    return {name: stat.S_IMODE(place.lstat().st_mode) for name, place in names.items()}


@UMASKS
def test_a_task_of_another_user_becomes_ready(lab: Lab, umask: int) -> None:
    os.chmod(lab.dir, 0o755)
    lab.start(TASK, umask=umask)
    lab.up("theirs")
    log = lab.dir / "log/theirs.log"
    wait_for(lambda: log.exists() and "up" in log.read_text(), "its output")
    assert stat.S_IMODE(lab.run.stat().st_mode) == 0o755
    assert stat.S_IMODE((lab.dir / "log").stat().st_mode) == 0o755
    assert stat.S_IMODE((lab.dir / "state").stat().st_mode) == 0o755
    assert stat.S_IMODE(log.stat().st_mode) == 0o640


def test_every_mode_is_the_same_with_each_umask(lab: Lab) -> None:
    os.chmod(lab.dir, 0o755)
    found = []
    for umask in (0o000, 0o027, 0o077):
        lab.start(TASK, umask=umask)
        lab.up("theirs")
        log = lab.dir / "log/theirs.log"
        wait_for(lambda log=log: log.exists() and "up" in log.read_text(), "its output")
        lab.ctl("freeze", "theirs")
        lab.ctl("thaw", "theirs")
        found.append({place: modes(lab.dir / place) for place in ("run", "log", "state")})
        lab.hang_up()
        lab.end()
        for place in ("run", "log", "state"):
            subprocess.run(["rm", "-r", str(lab.dir / place)], check=True)
    common = [{place: {n: m for n, m in one[place].items() if all(n in other[place] for other in found)}
               for place in one} for one in found]  # fmt: skip
    assert common[0] == common[1] == common[2]
    assert not [name for names in common[0].values() for name, mode in names.items() if mode & 0o002 and mode != 0o666]


@UMASKS
def test_a_member_of_the_group_may_ask(lab: Lab, umask: int) -> None:
    os.chmod(lab.dir, 0o755)
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    lab.start(TASK, f'socket_group = "{group}"', umask=umask)
    lab.up("theirs")
    asks = (
        "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
        's.sendall(b\'{"v": 1, "verb": "status", "args": {}}\\n\');print(s.makefile().readline())'
    )
    done = subprocess.run(
        [PYTHON, "-c", asks, str(lab.socket)], capture_output=True, text=True, check=False, cwd="/",
        user="daemon", group=group, extra_groups=[],
    )  # fmt: skip
    assert "theirs" in done.stdout, (done.stdout, done.stderr)


def test_a_task_without_a_umask_has_the_callers(lab: Lab) -> None:
    """Also after an upgrade: the next program gets the umask that this one got."""
    lab.start('[task.one]\ncommand = ["sh", "-c", "umask >> masks; exec sleep 1000"]\n', umask=0o027)
    lab.up("one")
    lab.ctl("upgrade")
    lab.ctl("restart", "one")
    assert (lab.dir / "masks").read_text().split() == ["0027", "0027"]
