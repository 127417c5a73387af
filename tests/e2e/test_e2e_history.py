"""The history with a real supervisor: what `runs` and `show` print, also without it; crash storms; deaths."""

import csv
import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path

from lab import PATIENCE, SUPERVISOR, Lab, wait_for

TASKS = """
[defaults]
log = { to = "none" }
stop = { grace = "10s" }
backoff = { initial = "10ms", max = "20ms", jitter = 0 }
[task.web]
command = "sleep 1000"
[task.import]
kind = "triggered"
command = ["sh", "-c", 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit $1', "sh"]
"""


def runs(lab: Lab, *words: str) -> list[dict]:
    return lab.ctl("runs", *words, "--json").json["runs"]


def test_every_run_is_in_the_history_as_soon_as_it_is_over(lab: Lab) -> None:
    lab.start(TASKS).up("web")
    lab.ctl("run", "import", "--wait", "--", "0")
    (first,) = runs(lab, "import")
    assert first["success"]
    assert (first["trigger"], first["arguments"], first["code"], first["reason"]) == ("manual", ["0"], 0, "exit 0")
    assert first["start"] <= first["ready"] <= first["end"]
    assert first["cpu_s"] > 0
    assert first["memory_bytes"] > 100_000
    lab.ctl("run", "import", "--wait", "--", "3", code=1)
    assert [one["reason"] for one in runs(lab, "import")] == ["exit 0", "exit 3"]
    assert [one["reason"] for one in runs(lab, "--failed")] == ["exit 3"]
    assert [one["name"] for one in runs(lab)] == ["import", "import", "web"], "what runs now comes last"
    assert runs(lab, "--since", "2100-01-01", "import") == []
    assert len(runs(lab, "-n", "1", "import")) == 1


def owed(lab: Lab, told: dict, *, keep: int) -> str:
    """Puts into the journal that a second run of `import` is over, which nobody was told. Returns its id."""
    over = dict.fromkeys(("ready", "stopped", "cpu", "memory"))
    over |= {"run": "import:1/2@" + told["run"].partition("@")[2], "task": "import", "instance": "import:1"}
    over |= {"name": "import", "kind": "triggered", "trigger": "manual", "attempt": 1, "arguments": None, "pid": 4242}
    over |= {"began": 1.0, "ended": 2.0, "code": 7, "signal": None, "core": False, "success": False, "reason": "exit 7"}
    over |= {"duration": 1.0, "keep": keep, "max_age": 7776000.0}
    with (lab.run / "journal").open("a") as journal:
        journal.write(json.dumps({"fleet": "records", "records": [over]}) + "\n")
    return over["run"]


def test_a_sweep_hands_owed_runs_to_the_history(lab: Lab) -> None:
    """The supervisor was killed in the last turn of a shutdown. The runs are over, but the journal still owes them."""
    lab.start(TASKS.replace("[task.web]", "[task.web]\nautostart = false"))
    lab.ctl("run", "import", "--wait", "--", "0")
    (told,) = runs(lab, "import")
    lab.end(signal.SIGKILL)
    owed(lab, told, keep=1000)
    sweep = [*SUPERVISOR, "-c", str(lab.path), "--sweep"]
    subprocess.run(sweep, env={**lab.env, "SERVICE_RESULT": "timeout"}, timeout=PATIENCE, check=True)
    lab.start()
    assert wait_for(lambda: [one["reason"] for one in runs(lab, "import", "--failed")]) == ["exit 7"]


def test_the_next_supervisor_publishes_an_end_that_had_no_event(lab: Lab) -> None:
    """Also of a task without history, which gets no row."""
    lab.start(TASKS)
    lab.ctl("run", "import", "--wait", "--", "0")
    (told,) = runs(lab, "import")
    lab.end(signal.SIGKILL)
    run = owed(lab, told, keep=0)
    lab.start()
    ended = lab.until("ended")
    assert (ended["run"], ended["pid"], ended["exit"]["code"], ended["exit"]["duration_s"]) == (run, 4242, 7, 1.0)
    assert [one["run"] for one in runs(lab, "import")] == [told["run"]]


def test_runs_and_show_as_text(lab: Lab) -> None:
    lab.start(TASKS).up("web")
    for code in (0, 0, 0, 3):
        lab.ctl("run", "import", "--wait", "--", str(code), code=None)
    table = lab.ctl("runs", "import").out.splitlines()
    assert table[0].split() == ["RUN", "TRIGGER", "DUE", "LATE", "START", "DURATION", "CPU", "MEMORY", "OUTCOME"]
    assert table[4].endswith("exit 3  -- 3")
    shown = lab.ctl("show", "import").out
    assert "4 since" in shown
    assert "75.0% succeeded" in shown
    assert "time between failures" in shown
    figures = lab.ctl("show", "import", "--json").json["instances"][0]["figures"]
    lasted = sorted(one["duration_s"] for one in runs(lab, "import"))
    assert (figures["median_s"], figures["p95_s"]) == (lasted[1], lasted[3])
    assert re.search(r"^  duration +median \d+\.\d s, 95 % within \d+\.\d s$", shown, re.MULTILINE)
    assert lab.ctl("show", "import", "--json").json["instances"][0]["figures"]["failed"] == 1
    assert "import:1/4@" in lab.ctl("show", "import/4").out
    assert "exit 3" in lab.ctl("show", runs(lab, "import")[-1]["run"]).out
    assert "nor is in the history" in lab.ctl("show", "import/9", code=4).err
    assert "no run of nope" in lab.ctl("runs", "nope", code=4).err


def test_runs_as_csv(lab: Lab) -> None:
    """The keys of the JSON. A comma or a quote is quoted, an unknown value is empty, a list is one cell."""
    lab.start(TASKS).up("web")
    lab.ctl("run", "import", "--wait", "--", "3", 'a, "b"', code=1)
    (told,) = runs(lab, "import")
    raw = lab.ctl("runs", "import", "--csv").out
    head, row = csv.reader(io.StringIO(raw))
    assert head == list(told)
    cells = dict(zip(head, row, strict=True))
    assert cells == {key: "" if value is None else str(value) for key, value in told.items()} | {
        "run": told["run"], "runs": "1", "last_run": told["run"], "name": "import", "task": "import",
        "kind": "triggered", "trigger": "manual", "attempt": "1", "arguments": '3 a, "b"', "ready": told["ready"],
        "code": "3", "signal": "", "core_dumped": "False", "success": "False", "reason": "exit 3", "stopped": "",
        "tail": "",
    }  # fmt: skip
    assert ',"3 a, ""b""",' in raw
    assert lab.ctl("runs", "import", "web", "--csv").out.count("\n") == 3, "what runs now is a row as well"
    assert lab.ctl("runs", "--since", "2100-01-01", "import", "--csv").out == ""


def test_a_requested_stop_is_not_a_failure(lab: Lab) -> None:
    lab.start(TASKS).up("web")
    lab.ctl("restart", "web")
    lab.ctl("stop", "web")
    found = runs(lab, "web")
    assert [(one["success"], one["reason"]) for one in found] == [(None, "killed by SIGTERM")] * 2
    assert all("requested by" in one["stopped"] for one in found)
    assert runs(lab, "web", "--failed") == []
    assert lab.ctl("runs", "web").out.count("stopped (killed by SIGTERM)") == 2
    assert "ended at" in (shown := lab.ctl("show", "web/1").out)
    assert ": stopped (killed by SIGTERM)." in shown
    assert "no failure" in lab.ctl("show", "web").out


def test_the_history_is_read_without_a_supervisor(lab: Lab) -> None:
    lab.start(TASKS).up("web")
    lab.ctl("run", "import", "--wait", "--", "0")
    lab.hang_up()
    assert lab.end() == 0
    found = lab.ctl("runs", "--json", env={"SUPERVISOR_CONFIG": str(lab.path)}).json["runs"]
    assert {one["name"]: one["reason"] for one in found} == {"import": "exit 0", "web": "killed by SIGTERM"}
    assert lab.ctl("runs", "--json").json["runs"] == found, "by the socket that it had"
    assert "ended at" in lab.ctl("show", "import/1").out
    assert lab.ctl("show", "web", code=5).err
    other = lab.dir / "other.toml"
    other.write_text(lab.path.read_text().replace(f"{lab.dir}/state", f"{lab.dir}/elsewhere"))
    assert "there is no history yet" in lab.ctl("runs", code=1, env={"SUPERVISOR_CONFIG": str(other)}).err


def test_a_crash_storm_is_a_few_rows_that_count_every_run(lab: Lab) -> None:
    lab.start(TASKS + '[task.bad]\ncommand = "false"\n')

    def counted() -> int:
        found = runs(lab, "bad", "-n", "1000")
        return sum(one["runs"] for one in found if one["end"])

    wait_for(lambda: counted() > 60, "the storm goes on")
    lab.ctl("stop", "bad")
    found = [one for one in runs(lab, "bad", "-n", "1000") if one["end"]]
    began = lab.ask("show", names=["bad"])["answer"]["instances"][0]
    assert counted() == int(found[-1]["last_run"].partition("/")[2].partition("@")[0]), began
    assert len(found) <= 13
    assert "runs like this" in lab.ctl("runs", "bad").out


def test_deaths_of_the_supervisor_and_of_its_scribe_lose_no_run(lab: Lab) -> None:
    lab.start(TASKS + '[task.bad]\ncommand = "false"\n').up("web")
    for victim in (lab.scribe, lambda: lab.pid, lab.scribe, lambda: lab.pid):
        pid = wait_for(victim)
        before = sum(one["runs"] for one in runs(lab, "bad", "-n", "1000"))
        os.kill(pid, signal.SIGKILL)
        if pid == lab.pid:
            lab.expect_exit()
            lab.start()
        wait_for(lambda before=before: sum(one["runs"] for one in runs(lab, "bad", "-n", "1000")) > before + 20)
    lab.ctl("stop", "bad")
    numbers = []
    for one in runs(lab, "bad", "-n", "10000"):
        first, last = (int(one[key].partition("/")[2].partition("@")[0]) for key in ("run", "last_run"))
        numbers += range(first, last + 1)
    assert sorted(numbers) == list(range(1, max(numbers) + 1)), "none is lost, none is double"


def test_a_broken_database_is_set_aside_and_all_else_goes_on(lab: Lab) -> None:
    state = lab.dir / "state"
    state.mkdir()
    (state / "history.db").write_bytes(b"broken " * 10_000)
    lab.start(TASKS).up("web")
    lab.ctl("run", "import", "--wait", "--", "0")
    assert len(runs(lab, "import")) == 1
    assert "set aside" in lab.stderr
    assert list(state.glob("history.db.corrupt-*"))


def test_the_last_output_of_a_failed_run_is_in_the_history(lab: Lab) -> None:
    talking = """log = { to = "file" }
[task.talk]
kind = "triggered"
command = ["sh", "-c", "echo hello; echo cannot open the door >&2; exit $1", "sh"]
log = { to = "file" }
"""
    lab.start(TASKS + talking)
    lab.ctl("run", "talk", "--wait", "--", "4", code=1)
    lab.ctl("run", "talk", "--wait", "--", "0")
    failed, well = runs(lab, "talk")
    assert (failed["reason"], failed["tail"]) == ("exit 4", "cannot open the door")
    assert (well["reason"], well["tail"]) == ("exit 0", None)
    assert "its last lines:\n  cannot open the door\n" in lab.ctl("show", "talk/1").out


def test_keep_0_keeps_no_history(lab: Lab) -> None:
    lab.start(TASKS + "history = { keep = 0 }\n").up("web")
    lab.ctl("run", "import", "--wait", "--", "0")
    lab.ctl("stop", "web")
    assert {one["name"] for one in runs(lab)} == {"web"}
    assert not list(Path(lab.run, "spool").glob("[0-9]*"))
    assert json.loads(lab.ctl("show", "import", "--json").out)["instances"][0]["figures"] is None
