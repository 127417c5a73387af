"""What a story expects: lines that begin with `expect`.

expect KEY STATE [for 5s] ["why"]   the state; the time until its deadline; words of its `why` column
expect why KEY "words"              the paragraph of `supctl why`
expect no KEY                       it has left the fleet
expect forked KEY …                 the forks since this was last asked, in order; `expect forked nothing`
expect signals KEY SIGNAL, …        the same for signals; `expect signals nothing`
expect reply "words"                the newest client's answer, as `supctl` prints it; `expect no reply`
expect refused "words"              it was refused
expect log "words"                  a line of the log since this was last asked
expect told "words"                 the subjects of what notify_command got since this was last asked; `expect told ""`
expect message "words"              the same, for a part of their texts; it is not forgotten by that
expect ready | expect not ready     as the service manager was told
expect balanced | expect not balanced "words"   whether a load balancer may send work; why not
expect still web | expect no still web      whether all of its run stands still
expect alive 3                      processes with something to run
expect ended 0                      the supervisor is through, with this exit code
expect dead                         the supervisor was killed
"""

from __future__ import annotations

import io
import re

from sim.scenario import Scenario, StoryError, duration, full, short

from supervisor import verbs
from supervisor.core import report
from supervisor.verbs.screen import Screen
from supervisor.verbs.why import explained


def expect(story: Scenario, line: str) -> None:  # noqa: C901, PLR0912, PLR0915 - a table of lines
    """Checks one line; raises AssertionError with what is there instead."""
    quoted = re.search(r'"(.*)"', line)
    said = quoted[1] if quoted else ""
    words = (line[: quoted.start()] if quoted else line).split("#")[0].split()[1:]
    match words:
        case ["forked", *keys]:
            _same(keys, _meant(keys, [short(key) for key in story.world.forked]))
            story.world.forked.clear()
        case ["signals", *pairs]:
            expected = [part.strip() for part in " ".join(pairs).split(",")]
            _same(expected, _meant(expected, [f"{short(key)} {name}" for key, name in story.world.signals]))
            story.world.signals.clear()
        case ["reply"]:
            _contains(said, reply(story))
        case ["no", "reply"]:
            assert not story.clients[-1].done, reply(story)
        case ["refused"]:
            assert story.clients[-1].refused is not None, f"not refused: {reply(story)}"
            _contains(said, story.clients[-1].refused)
        case ["log"]:
            _contains(said, "\n".join(story.world.log))
            story.world.log.clear()
        case ["message"]:
            _contains(said, "".join(message["text"] for message in story.world.told))
        case ["told"]:
            _same(said.split("; ") if said else [], [message["subject"][6:] for message in story.world.told])
            story.world.told.clear()
        case ["ready"]:
            assert "READY=1" in story.host.notified, story.host.notified
        case ["not", "ready"]:
            assert "READY=1" not in story.host.notified
        case ["balanced"]:
            assert story.world.published["health.json"]["ready"], story.world.published
        case ["not", "balanced"]:
            assert not story.world.published["health.json"]["ready"]
            _contains(said, "; ".join(story.world.published["health.json"]["why"]))
        case ["alive", count]:
            living = _meant([], [short(process.key) for process in story.world.processes.values() if process.alive])
            assert len(living) == int(count), f"alive: {living}"
        case ["still", key]:
            assert all(process.paused for process in story.world.living(full(key))), f"{key} goes on"
        case ["no", "still", key]:
            assert not any(process.paused for process in story.world.living(full(key))), f"{key} stands still"
        case ["ended", code]:
            assert story.ended == int(code), f"exit code {story.ended}"
        case ["shared", group, limit]:
            limits = story.world.shared[group]
            assert f"cpu={limits['cpu']:g}" == limit, f"@{group}: {limits}"
        case ["dead"]:
            assert story.parent is None
        case _:
            _instance(story, words, said)


def _instance(story: Scenario, words: list[str], said: str) -> None:
    assert story.parent, "the supervisor is dead"
    fleet = story.parent.context.fleet
    match words:
        case ["no", key]:
            assert full(key) not in fleet.instances, f"{key} is {fleet.instances[full(key)].state}"
        case ["why", key]:
            _contains(said, explained(story.parent.controls, story.instance(key)))
        case [key, state, *rest]:
            instance = story.instance(key)
            why = report.short_reason(fleet, instance)
            assert instance.state == state, f"{key} is {instance.state}: {why}"
            _contains(said, why)
            if rest:
                _deadline(instance.deadline, story.world.time, rest)
        case _:
            raise StoryError(f"not understood: expect {' '.join(words)}")


def _deadline(deadline: float | None, now: float, words: list[str]) -> None:
    if len(words) != 2 or words[0] != "for":
        raise StoryError(f"not understood: {' '.join(words)}")
    assert deadline is not None, "it has no deadline"
    assert abs(deadline - now - duration(words[1])) < 0.005, f"for {deadline - now:.3f} s"


def reply(story: Scenario) -> str:
    """What `supctl` prints for the newest client."""
    client = story.clients[-1]
    assert client.done, f"no answer to {client.asked!r}"
    if client.refused is not None:
        return f"refused: {client.refused}"
    if client.verb == "pool" and client.options.words:  # it would become the command
        return f"executes {client.options.words[0]}"
    out = io.StringIO()
    verbs.load(client.verb).render(client.answers[0], client.options, Screen(out))
    return out.getvalue()


def _meant(expected: list[str], found: list[str]) -> list[str]:
    """Stories are about tasks: helpers count where one is named."""
    helpers = any(word.startswith("@") for word in expected)
    return [word for word in found if helpers or not word.startswith("@")]


def _same(expected: list[str], found: list[str]) -> None:
    expected = [] if expected == ["nothing"] else expected
    assert found == expected, f"found {', '.join(found) or 'nothing'}"


def _contains(words: str, text: str) -> None:
    assert words in text, f"found {text!r}"
