"""A supervisor without a kernel resource that it needs, and a task that writes very much at once."""

import subprocess
import sys

import pytest
from lab import SUPERVISOR, Lab, wait_for

OWN_USERS = ["unshare", "-U", "-r"]

WITHOUT_INOTIFY = ["sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"', "sh", *SUPERVISOR]
"""In a user namespace of its own: the limit of the machine stays as it is."""

SAYS = """
import fcntl, termios, time
print(1, flush=True)
while any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))):
    time.sleep(0.001)
print("z" * {size})
"""
"""One line, and, once that was read, one that is larger than the FIFO."""


def helpers(lab: Lab) -> list[str]:
    found: list[str] = lab.ask("status")["answer"]["supervisor"]["helpers"]
    return found


@pytest.mark.skipif(
    bool(subprocess.run([*OWN_USERS, "true"], check=False, capture_output=True).returncode),
    reason="this machine allows no user namespace",
)
def test_without_an_inotify_instance_everything_works_and_status_says_so(lab: Lab) -> None:
    tasks = '[task.web]\nlog = { to = "file", format = "raw" }\ncommand = ["sh", "-c", "echo begun; exec sleep 1000"]\n'
    lab.write(tasks)
    lab.start(command=[*OWN_USERS, *WITHOUT_INOTIFY, "-c", str(lab.path)])
    lab.up("web")
    log = lab.dir / "log" / "web.log"
    wait_for(lambda: log.exists() and log.read_text() == "begun\n", "its output is read")
    wait_for(lambda: len(helpers(lab)) == 2, "the supervisor and @scribe say that they are not told of changes")
    assert all("no instance is left for this user" in said for said in helpers(lab))
    lab.write(tasks, "freeze = true\n")
    lab.until("freeze")


@pytest.mark.parametrize("size", [1_200_000, 2_000_000])
def test_a_run_that_prints_one_large_line_ends(lab: Lab, size: int) -> None:
    (lab.dir / "says.py").write_text(SAYS.format(size=size))
    words = f'"{sys.executable}", "{lab.dir}/says.py"'
    lab.start(f'[task.j]\nkind = "triggered"\nlog = {{ to = "file", format = "raw" }}\ncommand = [{words}]\n')
    for count in (1, 2):
        lab.ctl("run", "j", "--wait")
        wait_for(lambda count=count: (lab.dir / "log" / "j.log").stat().st_size == count * (size + 3))
