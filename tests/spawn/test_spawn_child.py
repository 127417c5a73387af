"""What a child prepares before its exec, and what a Python task sees of the supervisor."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import Stop
from supervisor.core.definition import Log, Task
from supervisor.core.instance import Run
from supervisor.host.interface import Launch
from supervisor.spawn.child import VARIABLES, StepError, read_environment_file
from supervisor.spawn.launch import fifo_paths, fill, own_variables

# -- environment files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# A=b\n; C=d\n\n   \n", {}),
        ("A=b", {"A": "b"}),
        ("A=b\r\nC=d\r\n", {"A": "b", "C": "d"}),
        ("  export A = b c  ", {"A": "b c"}),
        ("A=", {"A": ""}),
        ("A==", {"A": "="}),
        ("A=b=c", {"A": "b=c"}),
        ("A='b c'", {"A": "b c"}),
        ('A="b c"', {"A": "b c"}),
        ("A='b\"", {"A": "'b\""}),
        ("A='", {"A": "'"}),
        ("A=''", {"A": ""}),
        ("A=$HOME ${X} `x` \\n", {"A": "$HOME ${X} `x` \\n"}),
        ("A=b # c", {"A": "b # c"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_lines_of_an_environment_file(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    (tmp_path / "env").write_bytes(text.encode())
    assert read_environment_file(str(tmp_path / "env")) == expected


@pytest.mark.parametrize(("text", "line"), [("A", 1), ("A=b\nC", 2), ("=b", 1), (" = ", 1), ("A=\0", 1)])
def test_an_invalid_line_is_named(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "env").write_text(text)
    with pytest.raises(StepError, match=rf"env:{line}: not KEY=VALUE"):
        read_environment_file(str(tmp_path / "env"))


def test_bytes_that_are_not_utf_8_stay_unchanged(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"A=\xff\xfe")
    assert os.fsencode(read_environment_file(str(tmp_path / "env"))["A"]) == b"\xff\xfe"


def test_a_file_that_may_be_missing(tmp_path: Path) -> None:
    assert read_environment_file(f"-{tmp_path}/missing") == {}
    with pytest.raises(FileNotFoundError):
        read_environment_file(f"{tmp_path}/missing")
    with pytest.raises(IsADirectoryError):
        read_environment_file(f"-{tmp_path}")


@given(
    st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]*", fullmatch=True), st.from_regex(r"[^\s'\"\0]*", fullmatch=True))
)
def test_simple_values_are_decoded_unchanged(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("env") / "env"
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    assert read_environment_file(str(path)) == values


# -- words and paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("--port=80${SUPERVISOR_INSTANCE}", "--port=802"),
        ("${SUPERVISOR_TASK}:${SUPERVISOR_INSTANCE}", "web:2"),
        ("${HOME}", "${HOME}"),
        ("${SUPERVISOR_NOTHING}", "${SUPERVISOR_NOTHING}"),
        ("$SUPERVISOR_TASK", "$SUPERVISOR_TASK"),
    ],
)
def test_variables_of_the_instance_are_filled_in(text: str, expected: str) -> None:
    assert fill(text, {"SUPERVISOR_TASK": "web", "SUPERVISOR_INSTANCE": "2"}) == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (Log(), "out err"),
        (Log(stderr="separate"), "out err"),
        (Log(stderr="none"), "out -"),
        (Log(format="raw"), "out out"),
        (Log(format="raw", stderr="separate"), "out err"),
        (Log("/x/y", format="json"), "out err"),
        (Log("inherit"), "out err"),
        (Log("journal", "none"), "out -"),
        (Log("none"), "- -"),
        (Log("none", "separate"), "- -"),
    ],
)
def test_the_fifos_of_a_run(log: Log, expected: str) -> None:
    run = Run(7, "web:2/7@e", "start", 1, 0.0)
    found = fifo_paths(Launch("web:2", Task("web", log=log), 2, run, "", "/run", "/log"))
    whole = {"out": "/run/output/web:2.7@e.out", "err": "/run/output/web:2.7@e.err", "-": ""}
    assert found == tuple(whole[word] for word in expected.split())
    assert fifo_paths(Launch("@scribe:1", Task("@scribe", log=log), 1, run, "", "/run", "/log")) == ("", "")


# -- Stop -------------------------------------------------------------------------------------------------------------


def test_stop_is_set_for_all_threads_and_stays_set() -> None:
    stop = Stop()
    assert not stop.is_set()
    assert not stop.wait(0)
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(stop.wait())) for _ in range(5)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(15)
    assert seen == [True] * 5
    assert stop.is_set()
    assert stop.wait(1000)
    assert select.select([stop.fileno()], [], [], 0)[0]


def test_stop_may_be_requested_any_number_of_times() -> None:
    stop = Stop()
    for _ in range(70_000):  # more than a pipe holds
        stop.set()
    assert stop.is_set()


def test_a_signal_in_the_middle_of_a_wait_ends_it() -> None:
    stop = Stop()
    old = signal.signal(signal.SIGALRM, lambda *_: stop.set())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert stop.wait(15)
    signal.signal(signal.SIGALRM, old)


def test_supctl_does_not_import_what_only_the_supervisor_needs() -> None:
    """So it starts faster, and works although a part of the supervisor is broken."""
    text = (
        "import sys; from supervisor.cli.main import parser; parser('status').parse_args(['status']); "
        "import supervisor.control.client; "
        "own = [name.split('.') for name in sys.modules if name.startswith('supervisor.')]; "
        "light = (['core'], ['core', 'exits'], ['core', 'text'], ['core', 'utf8'], ['host'], ['host', 'stdio']); "
        "print([name for name in own if name[1] in ('core', 'host', 'shell') and name[1:] not in light])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_variables_of_a_task_are_prepared_by_name():
    """The spawner sets these names beforehand: a name that a launch does not fill would reach the task empty."""
    launch = Launch("web:1", Task("web"), 1, Run(1, "web:1/1@e", "start", 1, 0.0), "", "/run", "/log")
    assert tuple(own_variables(launch)) == VARIABLES
