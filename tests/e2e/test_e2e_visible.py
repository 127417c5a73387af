"""Output of tasks and strangers cannot control the terminal of a person. In a pipe it has each byte."""

import stat
import sys
from pathlib import Path

import pytest
from lab import SUPERVISOR, Lab, Terminal, wait_for

ESCAPE = "\x1b]0;owned\x07\x1b[8m\x85\u202e"

SAYS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(15, b"\\x1b[8mname")
os.write(1, b"said \\x1b[8m\\xc2\\x85\\xe9\\n")
"""

TASKS = f"""
[task.says]
kind = "triggered"
command = [{sys.executable!r}, "-S", "-c", '''{SAYS}''']
log = {{ to = "file" }}
[task.fails]
kind = "triggered"
command = [{sys.executable!r}, "-S", "-c", '''{SAYS}; sys.exit(1)''']
log = {{ to = "file" }}
[task.left]
kind = "triggered"
command = [{sys.executable!r}, "-S", "-c", '''
import ctypes, os, signal, time
if os.fork():
    time.sleep(0.2)
    os._exit(1)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ctypes.CDLL(None).prctl(15, b"\\x1b[8mname")
time.sleep(1000)
''']
stop = {{ grace = "100ms" }}
"""


def test_a_terminal_gets_no_escape_sequence(lab: Lab) -> None:
    lab.start(TASKS)
    lab.ctl("run", "says", "--wait", "--", ESCAPE)
    lab.ctl("run", "fails", "--wait", code=None)
    lab.ctl("run", "left", "--wait", code=None)
    assert "\\x1b[8mname (pid" in lab.stderr
    for words in ("status", "show fails", "why fails", "why left", "runs", "logs says -n 5"):
        terminal = Terminal(lab, *words.split())
        assert terminal.end() in (0, 3)
        shown = terminal.until(b"\n")
        for raw in (b"\x1b[8m", b"\x1b]", b"\x07", "\x85".encode(), "\u202e".encode()):
            assert raw not in shown, (words, shown)
    for line in Path(lab.dir / "stderr").read_bytes().splitlines():
        assert line.decode().isprintable(), line


def test_pipes_and_raw_get_each_byte(lab: Lab) -> None:
    lab.start(TASKS)
    lab.ctl("run", "says", "--wait")
    said = b"said \x1b[8m\xc2\x85\xe9"
    wait_for(lambda: said in lab.ctl("logs", "says", text=False).out)
    terminal = Terminal(lab, "logs", "says")
    assert rb"said \x1b[8m\x85\xe9" in terminal.until(b"said")
    assert said in Terminal(lab, "logs", "says", "--raw").until(said)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nothing_in_the_runtime_directory_is_writable_by_others(lab: Lab, umask: int) -> None:
    """Whatever the umask of the caller. Only sockets are open to all, and the kernel tells who sends."""
    web = '[task.web]\ncommand = "sleep 1000"\nhealth = { tcp = "127.0.0.1:9" }\nlog = { to = "file" }\n'
    start = [sys.executable, "-c", WITH_UMASK.format(umask), *SUPERVISOR, "-c", str(lab.path)]
    lab.start(web + 'limits = { memory = "1G" }', command=start)
    lab.up("web")
    lab.ctl("freeze", "web")
    open_to_others = [
        f"{path}: {stat.filemode(mode)}"
        for path in [*lab.run.rglob("*"), *(lab.dir / "state").rglob("*")]
        if (mode := path.lstat().st_mode) & 0o022 and not stat.S_ISLNK(mode) and path.parent.name != "notify"
    ]
    assert [one for one in open_to_others if not one.startswith(f"{lab.run}/supervisor.sock: srw-rw----")] == []


WITH_UMASK = "import os, sys; os.umask({}); os.execv(sys.argv[1], sys.argv[1:])"
