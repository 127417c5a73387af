"""Runs each `stories/*.story`: a config, what happens, what is expected.

`sim/scenario.py` has the lines. A story that fails shows the line, and what was found instead.
"""

from pathlib import Path

import pytest
from sim.expectations import expect
from sim.scenario import Scenario

STORIES = sorted((Path(__file__).parent / "stories").glob("*.story"))


def tell(text: str, name: str = "story") -> Scenario:
    scenario = Scenario()
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        try:
            words = line.split()
            if words[:1] == ["expect"]:
                expect(scenario, line)
            elif words and words[0] in ("at", "after") and words[2:3] == ["expect"]:
                scenario.do(" ".join(words[:2]))
                expect(scenario, " ".join(words[2:]))
            elif not line.startswith("#"):
                scenario.do(line)
        except Exception as error:
            error.add_note(f"{name}:{number}: {line}")
            error.add_note(f"at {scenario.seconds():g}s; the log:\n  " + "\n  ".join(scenario.world.log[-12:]))
            raise
    return scenario


@pytest.mark.parametrize("path", STORIES, ids=[path.stem for path in STORIES])
def test_story(path: Path):
    tell(path.read_text(), path.name)


def test_every_story_is_run():
    assert len(STORIES) > 20
