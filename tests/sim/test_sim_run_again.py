"""`supctl retry`: what is over runs again, with the same input; what cannot is refused, and nothing is changed."""

from collections import Counter
from typing import Any

import pytest
from sim.scenario import Client, Scenario
from sim.test_sim_firings import told
from sim.world import Being

from supervisor.core.events import Status

JOB = "task job kind=triggered overlap=queue"


def asked(story: Scenario, words: str) -> Client:
    story.do(f"supctl {words}")
    story.do("after 100ms")
    return story.clients[-1]


def begun(*codes: int) -> Scenario:
    """Each run of the job ends after half a second, with these exit codes in turn."""
    story = Scenario()
    story.world.will["job:1"].extend([Being(lives=0.5, status=Status(code)) for code in codes])
    for line in (JOB, "task other", "start"):
        story.do(line)
    return story


def one(client: Client) -> dict[str, Any]:
    """The only outcome of an answer."""
    assert client.refused is None, client.refused
    (outcome,) = client.answers[0]["instances"]
    return outcome


def firings(story: Scenario) -> list[tuple[str, str]]:
    return [(firing, trigger) for firing, _, trigger in story.world.ran]


def test_the_same_input_runs_again_by_the_id_of_the_run_or_of_the_firing() -> None:
    story = begun(1, 0, 0)
    first = one(asked(story, "run job --env DAY=monday -- a b"))
    story.do("after 2s")
    for number, name in enumerate((first["run"], first["firing"]), 1):
        again = one(asked(story, f"retry {name}"))
        assert (again["outcome"], again["of"]) == ("retried", first["firing"])
        assert again["firing"].startswith(f"{first['firing']}+")
        story.do("after 2s")
        assert firings(story)[number] == (again["firing"], "retry")
    run = story.instance("job").last
    assert run
    assert run.success
    shown = [record for record in story.world.spooled if record.get("task") == "job"]
    assert [record["arguments"] for record in shown] == [["a", "b"]] * 3


def test_a_retry_of_a_retry_names_the_first() -> None:
    story = begun(1, 1, 0)
    first = one(asked(story, "run job"))["firing"]
    story.do("after 2s")
    second = one(asked(story, f"retry {first}"))["firing"]
    story.do("after 2s")
    third = one(asked(story, f"retry {second}"))["firing"]
    assert third.startswith(f"{first}+")
    assert third.count("+") == 1


@pytest.mark.parametrize(
    ("before", "name", "code", "why"),
    [
        ([], "job/manual/1.x.1", 4, "no run and no firing 'job/manual/1.x.1' is known (any more)"),
        ([], "job", 4, "these look like import:1/7@7ba3a8"),
        (["run job"], "FIRING", 1, "is not over"),
        (["freeze", "run job"], "FIRING", 1, "it waits for its run"),
        (["run job", "cancel FIRING"], "FIRING", 1, "was cancelled by root"),
        (["freeze", "run job", "cancel FIRING"], "FIRING", 1, "was cancelled by root"),
    ],
)
def test_what_cannot_run_again(before: list[str], name: str, code: int, why: str) -> None:
    story = Scenario()
    for line in (JOB, "start"):
        story.do(line)
    firing = ""
    for words in before:
        client = asked(story, words.replace("FIRING", firing))
        if words == "run job":
            firing = client.answers[0]["instances"][0]["firing"]
    story.do("after 1s")
    client = asked(story, f"retry {name.replace('FIRING', firing)}")
    assert (client.exit_code, client.refused and why in client.refused) == (code, True), client.refused


def test_one_that_is_refused_refuses_all() -> None:
    story = begun(1, 0)
    first = one(asked(story, "run job"))["firing"]
    story.do("after 2s")
    client = asked(story, f"retry {first} job/manual/1.x.1")
    assert (client.exit_code, len(story.world.ran)) == (4, 1)


def test_without_names_it_is_wrong_usage() -> None:
    story = begun()
    for words in ("retry", "retry --failed"):
        client = asked(story, words)
        assert (client.exit_code, client.refused and "supctl retry --failed --since 1h NAME" in client.refused) == (
            2,
            True,
        )


def test_all_that_failed_runs_again_once() -> None:
    """What succeeded, was stopped, or was run again already is left alone."""
    story = begun(1, 0, 1, 0, 1, 0)
    ran = []
    for _ in range(3):
        ran.append(one(asked(story, "run job"))["firing"])
        story.do("after 2s")
    client = asked(story, "retry --failed job")
    assert [outcome["of"] for outcome in client.answers[0]["instances"]] == [ran[0], ran[2]]
    story.do("after 5s")
    assert len(story.world.ran) == 5
    again = one(asked(story, "retry --failed 'j*'"))  # the second retry has failed
    assert again["of"].startswith(f"{ran[2]}+")
    story.do("after 5s")
    client = asked(story, "retry --failed --since 1h job")
    assert (client.exit_code, client.refused) == (1, "no failed firing of job is known since then; nothing was run")
    client = asked(story, "retry --failed other")
    assert (client.exit_code, client.refused) == (1, "other: there is no triggered task in it")


def test_a_task_that_is_gone() -> None:
    story = begun(1)
    first = one(asked(story, "run job"))["firing"]
    for line in ("after 2s", "remove job", "task new kind=triggered", "supctl reload", "after 1s"):
        story.do(line)
    client = asked(story, f"retry {first}")
    assert client.exit_code == 1
    assert client.refused
    assert "job is no triggered task of the config" in client.refused
    for line in ("remove new", "supctl reload", "after 1s"):
        story.do(line)
    client = asked(story, f"retry {first}")
    assert client.refused == "the config has no triggered task (any more), so nothing can run again"


@pytest.mark.parametrize("also", ["", "crash"])
def test_timekeeper_dies_at_each_moment_of_the_request(also: str) -> None:
    """The request is answered by the next @timekeeper, unless the supervisor dies as well; nothing is doubled."""
    for moment in range(12):
        story = begun(1, *[0] * 20)
        first = one(asked(story, "run job"))["firing"]
        story.do("after 2s")
        story.do(f"supctl retry {first}")
        for line in (f"after {moment * 0.5}ms", "@timekeeper dies of SIGKILL", also):
            story.do(line)
        if story.parent is None:
            story.do("start")
        story.do("after 5s")
        client = story.clients[-1]
        began = Counter(firing for firing, _, _ in story.world.ran)
        assert max(began.values()) == 1
        assert len(began) == 2 if not also else len(began) in (1, 2)
        assert also or one(client)["firing"] in began


def test_a_schedule_that_was_told() -> None:
    story = told(["task tick kind=triggered schedule=*/30_*_*_*_*_*", "tick will exit 1 after 1s", "start", "at 25s"])
    first = story.world.ran[0][0]
    again = one(asked(story, f"retry {first}"))
    story.do("after 1s")
    assert [firing for firing, _, _ in story.world.ran] == [first, again["firing"]]
