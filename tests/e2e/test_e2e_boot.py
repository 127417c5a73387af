"""A boot with many tasks: their output is read from the first moment."""

import json

from lab import Lab, wait_for

MANY = 300


def test_the_output_is_read_before_the_last_task_is_forked(lab: Lab) -> None:
    text = '[defaults]\nstop = { grace = "10s" }\n'
    for number in range(MANY):
        text += f'[task.t{number:03}]\ncommand = ["sh", "-c", "echo up; exec sleep 1000"]\n'
    lab.start(text)
    wait_for(lambda: len(list((lab.dir / "log").glob("t*.log"))) == MANY, "the output of each")
    events = [json.loads(line) for line in lab.ctl("events").out.splitlines()]
    forked = [one["name"] for one in events if one["event"] == "state" and one["to"] == "starting"]
    assert len(forked) == MANY + 1
    assert forked[0] == "@scribe"
