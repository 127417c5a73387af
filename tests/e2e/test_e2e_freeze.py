"""While frozen, no process is started; also across editors, restarts and half-written files."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import Lab

TASKS = '[task.a]\ncommand = "sleep 1000"\n[task.b]\ncommand = "sleep 1000"\n[group.gang]\ntasks = ["b"]'
FREEZE = "freeze = true"


def by_rename(path: Path, text: str) -> None:
    new = path.with_suffix(".swp")
    new.write_text(text)
    new.rename(path)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def in_pieces(path: Path, text: str) -> None:
    with path.open("w") as file:
        for piece in text.splitlines(keepends=True):
            file.write(piece)
            file.flush()


def by_backup(path: Path, text: str) -> None:
    """As vi does with backupcopy=no: the old one goes away first."""
    path.rename(path.with_suffix(".toml~"))
    path.write_text(text)


def emptied_first(path: Path, text: str) -> None:
    """As `: > FILE; cat >> FILE` does: for a moment the file is there and empty."""
    path.write_text("")
    with path.open("a") as file:
        file.write(text)


def by_sed(path: Path, text: str) -> None:
    if FREEZE in text:
        subprocess.run(["sed", "-i", f"2i {FREEZE}", str(path)], check=True)
    else:
        subprocess.run(["sed", "-i", f"/^{FREEZE}$/d", str(path)], check=True)


@pytest.mark.parametrize("write", [by_rename, in_place, in_pieces, by_backup, by_sed, emptied_first])
def test_the_key_in_the_config_counts_as_soon_as_it_is_saved(lab: Lab, write: Callable[[Path, str], None]) -> None:
    lab.start(TASKS)
    pids = lab.up("a", "b")
    write(lab.path, lab.text(TASKS, FREEZE))
    freeze = lab.until("freeze")
    assert (freeze["scope"], freeze["source"]) == ("all", "config")
    assert f"{lab.path}:" in freeze["by"]
    os.kill(pids["a"], signal.SIGKILL)
    lab.until(name="a", to="held")
    held = lab.tasks()["a"]
    assert held["why"].startswith(f"frozen by {lab.path}:")
    assert lab.tasks()["b"]["pid"] == pids["b"]
    write(lab.path, lab.text(TASKS))
    thaw = lab.until("thaw")
    assert thaw["released"] == ["a"]
    lab.until(name="a", to="running")
    assert [event["event"] for event in lab.events].count("thaw") == 1


@pytest.mark.parametrize("write", [by_rename, in_place, in_pieces, by_backup, emptied_first])
def test_an_editor_that_saves_a_frozen_config_never_thaws_it_in_between(
    lab: Lab, write: Callable[[Path, str], None]
) -> None:
    lab.start(TASKS, FREEZE)
    for number in range(5):
        write(lab.path, lab.text(TASKS, FREEZE) + f"# saved {number}\n")
        lab.ctl("reload") if number == 4 else lab.ask("status")
    write(lab.path, lab.text(TASKS))
    lab.until("thaw")
    lab.up("a", "b")
    kinds = [event["event"] for event in lab.events]
    assert kinds.count("thaw") == 1
    first = kinds.index("thaw")
    assert all(event.get("to") not in ("starting", "running") for event in lab.events[:first])


def test_group_and_task_keys(lab: Lab) -> None:
    text = '[task.a]\ncommand = "sleep 1000"\n{a}\n[task.b]\ncommand = "sleep 1000"\n[group.gang]\ntasks = ["b"]\n{g}'
    lab.start(text.format(a=FREEZE, g=FREEZE))
    assert {name: task["state"] for name, task in lab.tasks().items()} == {"a": "held", "b": "held"}
    assert "@gang is frozen by" in lab.tasks()["b"]["why"]
    assert {freeze["scope"] for freeze in lab.ask("status")["answer"]["supervisor"]["frozen"]} == {"a", "@gang"}
    lab.write(text.format(a=FREEZE, g=""))
    lab.until(name="b", to="running")
    assert lab.tasks()["a"]["state"] == "held"
    lab.write(text.format(a="", g=""))
    lab.until(name="a", to="running")


def test_started_frozen_it_is_ready_and_starts_nothing(lab: Lab) -> None:
    lab.start(TASKS, FREEZE)
    lab.until("ready")
    assert lab.processes() == []
    answer = lab.ctl("start", "a", code=3)
    assert answer.out.startswith("a: held: frozen by")
    assert "a is held" in lab.ctl("why", "a").out
    assert lab.ctl("status", code=3).out.count("frozen by") == 2
    lab.ctl("stop", "a")
    assert lab.tasks()["a"]["state"] == "stopped"


def test_supctl_freeze_and_thaw(lab: Lab) -> None:
    lab.start(TASKS)
    pids = lab.up("a", "b")
    answer = lab.ctl("freeze", "--reason", "bad deploy")
    assert answer.out == "frozen: everything; what runs there (2) keeps running, nothing new is started\n"
    os.kill(pids["a"], signal.SIGKILL)
    lab.until(name="a", to="held")
    assert "bad deploy" in lab.tasks()["a"]["why"]
    refused = lab.ctl("restart", "b", code=3)
    assert "nothing was stopped" in refused.err
    assert lab.tasks()["b"]["pid"] == pids["b"]
    assert "stopped" in lab.ctl("stop", "b").out
    thawed = lab.ctl("thaw")
    assert thawed.out.startswith("thawed: everything\n  a starts now (restart, held since ")
    lab.until(name="a", to="running")
    assert lab.tasks()["b"]["state"] == "stopped"
    assert lab.ctl("thaw").out == "nothing to thaw: no `supctl freeze` is in force there\n"


def test_thaw_names_the_config_line_that_still_freezes(lab: Lab) -> None:
    lab.start(TASKS, FREEZE)
    lab.ctl("freeze")
    answer = lab.ctl("thaw")
    line = lab.path.read_text().splitlines().index(FREEZE) + 1
    assert f"still frozen: everything by {lab.path}:{line} (change that line)" in answer.out
    assert lab.tasks()["a"]["state"] == "held"


def test_a_freeze_of_a_task_or_a_group_is_thawed_by_its_name_only(lab: Lab) -> None:
    lab.start(TASKS)
    lab.up("a", "b")
    assert lab.ctl("freeze", "@gang", "a").out.startswith("frozen: @gang, a")
    out = lab.ctl("thaw").out
    assert "still frozen: @gang by" in out
    assert "(supctl thaw a)" in out
    lab.ctl("thaw", "a")
    assert [freeze["scope"] for freeze in lab.ask("status")["answer"]["supervisor"]["frozen"]] == ["@gang"]
    assert "did you mean '@gang'" in lab.ctl("freeze", "@gan", code=4).err
    assert lab.ctl("freeze", "", code=4).err == "supctl: no task ''; see `supctl status`\n"


def test_a_freeze_for_a_time_ends_by_itself(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\nautostart = false')
    frozen = lab.ctl("freeze", "--for", "700ms", "--json").json
    assert frozen["until"].endswith("Z")
    lab.ctl("start", "a", "--no-wait")
    assert lab.until("thaw")["by"] == "its own end"
    lab.until(name="a", to="running")
    for wrong in ("soon", "0s", "nan", ""):
        assert "argument --for: " in lab.ctl("freeze", "--for", wrong, code=2).err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_freeze_outlives_the_supervisor(lab: Lab, how: int) -> None:
    lab.start(TASKS)
    lab.up("a", "b")
    lab.ctl("stop", "a")
    lab.ctl("freeze", "--reason", "over night")
    lab.end(how)
    lab.start()
    (freeze,) = lab.ask("status")["answer"]["supervisor"]["frozen"]
    assert (freeze["source"], freeze["reason"]) == ("supctl", "over night")
    lab.ctl("start", "a", code=3)
    lab.ctl("thaw")
    lab.up("a", "b") if how == signal.SIGTERM else lab.until(name="a", to="running")
    lab.end()
    lab.start()
    assert lab.ask("status")["answer"]["supervisor"]["frozen"] == []


def test_an_unreadable_file_of_freezes_freezes_everything(lab: Lab) -> None:
    (lab.dir / "state").mkdir()
    (lab.dir / "state" / "freezes.json").write_text("[{")
    lab.start(TASKS)
    (freeze,) = lab.ask("status")["answer"]["supervisor"]["frozen"]
    assert "cannot be read" in freeze["reason"]
    assert lab.processes() == []
    lab.ctl("thaw")
    lab.up("a", "b")


def test_a_freeze_that_cannot_be_saved_is_in_force_with_a_warning(lab: Lab) -> None:
    lab.start(TASKS)
    lab.up("a", "b")
    (lab.dir / "state").rename(lab.dir / "elsewhere")
    answer = lab.ctl("freeze")
    assert "warning: the freeze is in force, but could not be saved" in answer.out
    assert lab.ctl("restart", "a", code=3).code == 3


def test_a_crash_storm_while_frozen_starts_nothing(lab: Lab) -> None:
    lab.start("[task.crash]\ncommand = \"sh -c 'echo x >> count; exit 1'\"")
    lab.until(name="crash", to="backoff")
    lab.ctl("freeze")
    lab.until(name="crash", to="held")
    count = (lab.dir / "count").read_text()
    for _ in range(3):
        lab.ctl("start", "crash", code=3)
    assert (lab.dir / "count").read_text() == count
