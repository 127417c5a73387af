"""Text from outside may have any bytes.

It reaches its task unchanged and stops nothing on its way. This holds for arguments, variables, paths, reasons, STATUS=
and process names, and for every file that is read again after a crash.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import SUPCTL, Lab, alive, wait_for

from supervisor.store import spool

SAYS = (
    "import os, sys; code = 3 * (sys.argv[1:2] == ['fail']);"
    "os.write(1, b'GOT ' + repr([os.fsencode(a) for a in sys.argv[1:]] + [os.environb.get(b'K')]).encode() + b'\\n');"
    "os.write(2, b'last \\xff\\xe9 \\xe2\\x80\\xa8 \\x1b[31m words'); sys.exit(code)"
)
JOB = (
    f'[task.j]\nkind = "triggered"\ncommand = ["{sys.executable}", "-S", "-c", """{SAYS}"""]\nlog = {{ to = "file" }}\n'
)
JOB = JOB.replace("\\", "\\\\")

WORDS = (
    b"caf\xe9.csv", b"\xff", b"\x1b[31mred", b"\xe2\x80\xa8", b"\xc2\x85\n\r\t", b"\xef\xbb\xbfbom", b"\xed\xa0\x80",
    b"\\udce9", b"\xc3", b"\xa9", "é€😀".encode(), b'"\\', b"x" * 100_000, b"\xe9" * 20_000,
)  # fmt: skip

LOCALES = (
    {}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "utf-8:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)  # fmt: skip


def supctl(lab: Lab, *words: str | bytes, code: int | None = 0, **env: str) -> bytes:
    """The bytes that it prints; never a traceback."""
    where = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket), "NO_COLOR": "1", **env}
    done = subprocess.run([*SUPCTL, *words], env=where, cwd=lab.dir, capture_output=True, check=False, timeout=60)
    assert code in (done.returncode, None), (words, done)
    assert b"Traceback" not in done.stderr, (words, done)
    return done.stdout


def got(lab: Lab, *words: bytes, value: bytes | None = None) -> None:
    """Waits until a run has said that it got exactly these."""
    line = f"GOT {[*words, value]!r}\n".encode()
    log = lab.dir / "log" / "j.log"
    wait_for(lambda: log.exists() and line in log.read_bytes(), f"{line[:100]!r} in {log}")


def written(lab: Lab, count: int) -> list[dict]:
    """The newest runs, once there are so many."""

    def there() -> list[dict] | None:
        found = json.loads(supctl(lab, "runs", "-n", "1000", "--json"))["runs"]
        return found if sum(one["runs"] for one in found) >= count else None

    found: list[dict] = wait_for(there, f"{count} runs in the history")
    return found


def test_arguments_reach_the_task_and_the_history_unchanged(lab: Lab) -> None:
    lab.start(JOB)
    scribe = wait_for(lab.scribe)
    for word in WORDS:
        supctl(lab, "run", "j", "--wait", "--env", b"K=" + word[:1000], "--", word)
        got(lab, word, value=word[:1000])
    supctl(lab, "run", "j", "--wait", "--", "fail", b"caf\xe9", code=1)
    kept = [one["arguments"] for one in written(lab, len(WORDS) + 1)]
    assert kept[: len(WORDS) - 2] == [[os.fsdecode(word)] for word in WORDS[:-2]]
    assert kept[-1] == ["fail", "caf\udce9"]
    assert lab.scribe() == scribe, "@scribe has not ended"
    assert lab.tasks()["j"]["why"] == "exit 3"


@pytest.mark.parametrize("env", LOCALES, ids=str)
def test_supctl_shows_any_text_in_any_locale(lab: Lab, env: dict[str, str]) -> None:
    lab.start(JOB)
    supctl(lab, "run", "j", "--wait", "--", "fail", b"caf\xe9", "é€".encode(), b"\x1b\xff", code=1, **env)
    got(lab, b"fail", b"caf\xe9", "é€".encode(), b"\x1b\xff")
    supctl(lab, "freeze", "j", "--reason", "d\u00e9ploy \u20ac", **env)
    written(lab, 1)
    encoding = env.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    for line in ("events", "runs", "runs --json", "show j", "show j/1", "show j --json", "logs j", "logs j --json",
                 "why j", "status --json", "top --once"):  # fmt: skip
        words = line.split()
        # In a pipe, the output of a task is shown byte by byte. Its last run has failed, so `status` ends with 3.
        printed = supctl(lab, *words, code=3 if words[0] == "status" else 0, **env)
        text = printed.decode(encoding, "replace" if line == "logs j" else "strict")
        if words[0] == "events" or (words[:2] == ["logs", "j"] and "--json" in words):
            assert all(map(json.loads, text.rstrip("\n").split("\n")))
        elif "--json" in words:
            assert json.loads(text)
    supctl(lab, "status", code=3, **env)
    assert rb"caf\\xe9" in supctl(lab, "events", **env)


def test_answers_over_the_socket_are_utf_8_for_every_client(lab: Lab) -> None:
    """Also if the client sends bytes that are not UTF-8."""
    lab.start(JOB)
    request = b'{"v": 1, "verb": "run", "args": {"names": ["j"], "wait": true, "args": ["caf\xe9"]}}\n'
    for line in (request, b'{"v": 1, "verb": "events"}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(lab.socket))
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            for answer in connection.makefile("rb"):
                assert json.loads(answer.decode("utf-8", "strict"))
    got(lab, b"caf\xe9")


def test_a_byte_that_no_argument_can_hold_is_refused(lab: Lab) -> None:
    lab.start(JOB)
    for args in ({"args": ["a\0b"]}, {"env": ["A\0=b"]}, {"env": ["A=b\0"]}):
        answer = lab.ask("run", names=["j"], **args)
        assert "NUL" in answer["error"]
        assert answer["exit"] == 2
    supctl(lab, "run", "j", "--wait")


@pytest.fixture
def strange() -> Iterator[Lab]:
    """A lab in a directory whose name is no UTF-8."""
    above = Path(tempfile.mkdtemp(prefix="lab-"))
    directory = above / os.fsdecode(b"d\xe9p\xf4t\x1b")
    directory.mkdir()
    made = Lab(directory)
    yield made
    made.clean()
    shutil.rmtree(above)


def test_directories_whose_names_are_not_utf_8(strange: Lab) -> None:
    lab = strange
    text = lab.text(
        JOB
        + f'[task.py]\ncommand = ["{sys.executable}", "-c", "import os; print(os.getcwdb()); input()"]\n'
        + 'directory = "${HERE}"\nlog = { to = "${HERE}/py.out" }\n'
        + '[task.bad]\ncommand = "true"\nautostart = false\n'
        + '[task.probed]\ncommand = "sleep 1000"\nready = { command = ["test", "-d", "${HERE}"] }\n'
        + '[task.speaks]\ncommand = "sleep 1000"\nwatchdog = "60s"\nready = "started"\n'
    ).replace(str(lab.dir), "${HERE}")
    lab.path.write_text(text)
    lab.env["HERE"] = str(lab.dir)
    lab.start()
    lab.up("probed", "speaks")
    for _ in range(2):
        supctl(lab, "run", "j", "--wait", "--", b"\xff")
        got(lab, b"\xff")
        supctl(lab, "status", "--json", code=None)
        supctl(lab, "show", "py", PYTHONIOENCODING="ascii")
        assert lab.process
        lab.process.kill()
        lab.process.wait()
        lab.start()  # adopts
    written(lab, 2)
    assert b": ok, " in subprocess.check_output(
        [sys.executable, "-m", "supervisor", "-c", str(lab.path), "--check"], env=lab.env, cwd=lab.dir
    )
    supctl(lab, "reload")
    pid = lab.tasks()["speaks"]["pid"]
    assert lab.end() == 0
    assert not alive(pid)


def test_a_reason_that_no_terminal_can_show_is_refused(lab: Lab) -> None:
    lab.start(JOB)
    supctl(lab, "freeze", "--reason", b"d\xe9ploy", code=2, PYTHONIOENCODING="ascii")
    assert not lab.ask("status")["answer"]["supervisor"]["frozen"]


def test_status_and_process_names_in_any_bytes(lab: Lab) -> None:
    name = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'\\xff\\x1b[1mn\\xe9', 0, 0, 0); time.sleep(1000)"
    says = (
        "import os, socket, signal, subprocess, sys, time;"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET']);"
        "[s.send(b'STATUS=' + one) for one in (b'\\xff\\xe9', b'\\x00\\x1b[31m', b'\\xed\\xa0\\x80', b'x' * 3000)];"
        "s.send(b'READY=1\\nSTATUS=caf\\xe9');"
        f"subprocess.Popen([sys.executable, '-S', '-c', {name!r}]); signal.signal(15, 1); time.sleep(1000)"
    ).replace("\\", "\\\\")
    lab.start(
        f'[task.t]\ncommand = ["{sys.executable}", "-S", "-c", """{says}"""]\nready = "notify"\n'
        'restart = "never"\nstop = { grace = "100ms" }\n'
    )
    lab.up("t")
    supctl(lab, "status", "t", PYTHONIOENCODING="ascii")
    supctl(lab, "stop", "t")
    supctl(lab, "show", "t", PYTHONIOENCODING="ascii")
    assert b"killed" in supctl(lab, "events")


# -- poison -----------------------------------------------------------------------------------------------------------


HEADER = b'{"spool":1,"clock":%d}' % time.time()


def poison(lab: Lab, *lines: bytes, header: bytes = HEADER) -> None:
    """Puts a file into the spool, as the parent would."""
    made = lab.run / "spool" / "made"
    made.write_bytes(b"\n".join((header, *lines)) + b"\n")
    made.rename(lab.run / "spool" / f"{random.randrange(10**18):020d}")


ACCOUNT = {
    "run": "j:1/7@zzz", "task": "j", "instance": "j:1", "name": "j", "kind": "triggered", "trigger": "manual",
    "attempt": 1, "arguments": ["x"], "pid": 7, "began": 1.0, "ready": None, "ended": 2.0, "code": 0, "signal": None,
    "core": False, "success": True, "reason": "exit 0", "stopped": None, "cpu": 0.1, "memory": 1000, "keep": 10,
    "max_age": 1e9,
}  # fmt: skip

TORN = json.dumps(ACCOUNT).encode()[:-20]
POISON = (
    TORN, b"\xff\xfe", b"[]", b"{" * 100_000, b'{"later": 1}', b'{"lost": "x"}', b'{"watched": []}', b'{"lost": 1e400}',
    *(json.dumps(ACCOUNT | change).encode() for change in (
        {"run": "x"}, {"run": None}, {"ended": "soon"}, {"began": 1e300}, {"pid": 1 << 70}, {"reason": ["x"]},
        {"cpu": {}}, {"instance": "\ud800", "run": "\ud800/x@e"}, {"max_age": None}, {"memory": float("nan")},
    )),
)  # fmt: skip


def test_unusable_records_are_set_aside_counted_and_reported(lab: Lab) -> None:
    lab.start(JOB)
    scribe = wait_for(lab.scribe)
    poison(lab, *POISON, json.dumps(ACCOUNT).encode())
    poison(lab, json.dumps(ACCOUNT | {"run": "j:1/8@zzz"}).encode(), header=b'{"spool":2,"clock":1.0}')
    poison(lab, json.dumps(ACCOUNT | {"run": "j:1/9@zzz"}).encode(), header=b'{"spool":1,"clock":"x"}')
    wait_for(lambda: spool.waiting(str(lab.run / "spool")) == [], "the spool is empty")
    supctl(lab, "run", "j", "--wait", "--", b"caf\xe9")
    written(lab, 2)
    count, events = len(POISON) + 2, 0
    while events < count:
        event = lab.until("set-aside")
        events += event["records"]
    assert events == count
    assert event["path"].endswith("history.db.rejected")
    aside = [json.loads(line) for line in Path(event["path"]).read_text().splitlines()]
    assert len(aside) == count
    assert all(one["why"] and one["at"] for one in aside)
    assert {one["record"] for one in aside} > {TORN.decode(), os.fsdecode(b"\xff\xfe")}
    assert lab.scribe() == scribe, "@scribe has not ended"
    says = b"%d runs could not be written to the history" % count
    assert says in supctl(lab, "status")
    assert b"are set aside in" in lab.stderr.encode()
    assert lab.end() == 0
    lab.start()
    written(lab, 2)
    assert says in supctl(lab, "status"), "the next supervisor says it, too"


@pytest.mark.parametrize("file", ["losses/losses.json", "samples/samples.json", "breaches/breaches.json",
                                  "troubles/troubles.json", "rejects/rejects.json", "output/manifest.json",
                                  "scribe.ledger", "last_lines/j:1", "journal", "fd_holder"])  # fmt: skip
def test_no_damaged_file_stops_scribe_or_the_next_supervisor(lab: Lab, file: str) -> None:
    """Several kinds of damage, each across a death of @scribe and of the supervisor."""
    drawn = random.Random(file)
    lab.start(JOB + '[task.up]\ncommand = "sleep 1000"\nlimits = { memory = "1G" }\nlog = { to = "file" }\n')
    lab.up("up")
    path = lab.run / file
    for number, damage in enumerate((
        b'{"j:1": 7, "up:1": {"bytes": "x", "lines": 1, "why": 1, "at": 1}}', b'{"at": "x", "records": {}, "why": []}',
        b'{"j:1": {"bytes": 1, "lines": 1, "why": "x", "at": "2026-13-45T99"}}', b"\xff\xfe\0" * 50, b"[" * 90_000,
        drawn.randbytes(9000), b"\x01" + drawn.randbytes(9000), b'{"tasks": {"j": 1}, "instances": [1]}', b"",
    )):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        new = path.with_name("damaged")
        new.write_bytes(damage)
        if number % 3:
            os.kill(wait_for(lab.scribe), 9)
        else:
            assert lab.process
            lab.process.kill()
            lab.process.wait()
        new.replace(path)
        if number % 3 == 0:
            lab.start()
        supctl(lab, "run", "j", "--wait", "--", b"\xe9%d" % number)
        got(lab, b"\xe9%d" % number)
        supctl(lab, "status")
        supctl(lab, "why", "j")
