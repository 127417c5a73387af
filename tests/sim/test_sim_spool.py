"""A supervisor dies while the spool cannot be written. The next one writes the runs that were in its memory."""

from sim.scenario import Scenario

STORY = """
task web
start
at 1s spool full
web exits 1
at 2s web exits 2
at 3s crash
spool free
start
""".strip().splitlines()


def told(story: Scenario) -> list[str]:
    return [record["run"] for record in story.world.spooled if record["run"].startswith("web")]


def test_no_run_is_lost_by_a_death() -> None:
    story = Scenario()
    for line in STORY:
        story.do(line)
    assert told(story) == ["web:1/1@e", "web:1/2@e"]
    assert not [name for name in story.world.facts() if name.startswith("fleet records")]


def test_no_run_is_written_again_by_a_later_supervisor() -> None:
    story = Scenario()
    for line in [*STORY, "crash", "start"]:
        story.do(line)
    assert told(story) == ["web:1/1@e", "web:1/2@e"]
