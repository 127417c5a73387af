"""Random histories: lines of a story, drawn from a seed.

What is drawn is text, and the text is what is run. So the history of a failing seed is a story as it stands: it can be
kept in `tests/core/stories`, and shortened there.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

NAMES = ("prepare", "db", "web", "xetl", "import", "migrate", "mail")
KINDS = {"prepare": "startup", "import": "triggered", "migrate": "startup"}

ON = ("prepare", "web")
"""Tasks at the end of whose runs a triggered task may run."""

POOLS = ("gpu", "disk")
PROGRAMS = ("dump", "make")

ANSWERS = ("well", "well", "http 503", "timeout", "lost")

SIGNS = (
    "READY=1", "READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=trigger", "WATCHDOG=2s", "STATUS=busy", "STOPPING=1",
    "RELOADING=1", "EXTEND=3s",
)  # fmt: skip

MISHAPS = (
    "disk full", "disk free", "journal full", "journal free", "journal free",
    "spool full", "spool free", "descriptors gone", "descriptors back", "descriptors back",
    "wall jumps -7200", "wall jumps 86400", "errands take 2s", "errands take 2m", "hang up",
    "notify_command fails", "notify_command works",
    "pids come round", "pids come round", "descriptors lost", "program dump ends", "program make ends",
    "firings full", "firings free", "firings free", "@timekeeper dies of SIGKILL", "@timekeeper dies of SIGKILL",
    "stall 3s", "stall 20s", "stall 3s all", "stall 20s all", "power fails", "power fails on_disk",
)  # fmt: skip


def config(rng: Random) -> list[str]:
    """The lines of a config: up to seven tasks, groups, switches."""
    names = list(NAMES[: rng.randint(1, len(NAMES))])
    balancer = rng.choice(("", "", " health_listen=127.0.0.1:9000", " drain_delay=1"))
    lines = [f"supervisor stop_grace={rng.choice((2, 30, 300))}{balancer}" + _switches(rng, frozen=0.05)]
    lines += [task(rng, names, number) for number in range(len(names))]
    members = rng.sample(names, rng.randint(1, len(names)))
    lines.append(" ".join(["group", "etl", *members, *(["freeze"] if rng.random() < 0.05 else [])]))
    return [*lines, *(f"pool {name} {rng.randint(1, 3)}" for name in POOLS)]


def _switches(rng: Random, *, frozen: float) -> str:
    storm = f" auto_freeze={rng.choice((2, 5))}/{rng.choice((1, 30))}" if rng.random() < 0.2 else ""
    return (" freeze" if rng.random() < frozen else "") + storm + (" notify" if rng.random() < 0.5 else "")


def task(rng: Random, names: list[str], number: int) -> str:
    """One task; it depends on earlier ones only, and a start-up task on no triggered one."""
    name = names[number]
    kind = KINDS.get(name, "continuous")
    words = ["task", name]
    if kind != "continuous":
        words.append(f"kind={kind}")
    if kind == "triggered":
        words += _timing(rng)
        words += [f"retry={rng.choice((2, 3))}/{rng.choice((0, 0.3, 5))}"] * (rng.random() < 0.4)
        on = [f"{one}.{rng.choice(('failed', 'succeeded', 'ended'))}" for one in names[:number] if one in ON]
        words += [f"on={','.join(on)}"] * (bool(on) and rng.random() < 0.3)
    if kind == "startup" and rng.random() < 0.5:
        words.append(f"mode={rng.choice(('background', 'foreground'))}")
    before = [one for one in names[:number] if kind != "startup" or KINDS.get(one) != "triggered"]
    words += [
        f"{key}={','.join(rng.sample(before, rng.randint(1, min(2, len(before)))))}"
        for key in ("after", "requires")
        if before and rng.random() < 0.4
    ]
    if rng.random() < 0.3 or kind == "continuous":
        words.append(f"restart={rng.choice(('always', 'always', 'on-failure', 'never'))}")
    words.append(f"grace={rng.choice((0.5, 1, 5))}")
    words.append(f"initial={rng.choice((0, 0.1, 0.1, 2))}")
    words += [word for chance, word in _extras(rng) if rng.random() < chance]
    words.append(f"command=v{rng.randint(1, 2)}")
    if any(word.startswith("retry=") for word in words):  # the config has one of the two ways
        words = [word for word in words if not word.startswith(("restart=", "give_up="))]
    return " ".join(words)


def _timing(rng: Random) -> list[str]:
    """When it runs by itself."""
    when = rng.choice(("", "", "schedule=*/20_*_*_*_*_*", "schedule=*_*_*_*_*", "every=30"))
    more = (
        f"overlap={rng.choice(('queue', 'latest', 'replace', 'allow'))}",
        f"max_parallel={rng.choice((2, 3))}",
        f"max_waiting={rng.choice((1, 5))}",
        f"catch_up={rng.choice(('none', 'all'))}",
        f"catch_up_within={rng.choice((5, 60))}",
        f"jitter={rng.choice((1, 20))}",
    )
    expect = [f"expect={rng.choice((2, 30, 100))}"] if rng.random() < 0.5 else []
    return expect + ([when, *(word for word in more if rng.random() < 0.3)] if when else [])


def _extras(rng: Random) -> tuple[tuple[float, str], ...]:
    return (
        (0.3, f"replicas={rng.choice((0, 2, 3))}"),
        (0.3, f"give_up={rng.choice((1, 2, 3))}/{rng.choice((1, 30))}"),
        (0.2, f"on_give_up={rng.choice(('stop-group', 'stop-group', 'freeze', 'shutdown'))}"),
        (0.2, f"start_timeout={rng.choice((0.5, 3))}"),
        (0.1, "freeze"),
        (0.1, "log=inherit"),
        (0.1, "to=main"),
        (0.1, "to=all"),
        (0.2, rng.choice(("ready=notify", "ready=probe", "ready=tcp"))),
        (0.2, rng.choice(("health=1 failures=1", "health=3", "health=1/left failures=2 successes=2"))),
        (0.2, f"watchdog={rng.choice((1, 10))}"),
        (0.2, "dump_signal=SIGQUIT"),
        (0.1, f"runtime={rng.choice((0.5, 5))}"),
        (0.3, f"pool={rng.choice(('gpu', 'gpu', 'disk', 'gpu/2', 'gpu/3'))}"),
    )


def being(rng: Random) -> str:
    """How a run behaves."""
    words = []
    if rng.random() < 0.6:
        how = rng.choice(("exit 0", "exit 1", "exit 1", "die of SIGSEGV"))
        words.append(f"{how} after {rng.choice(('1ms', '50ms', '1s', '12s'))}")
    if rng.random() < 0.3:
        words.append(rng.choice(("ignore the stop", "stop in 300ms", "stop politely")))
    if rng.random() < 0.5:
        words.append(f"get ready after {rng.choice(('1ms', '500ms', '5s'))}")
    if rng.random() < 0.2:
        words.append(f"answer {rng.choice(ANSWERS)} then {rng.choice(ANSWERS)}")
    if rng.random() < 0.2:
        words.append(rng.choice(("leave 1", "leave 2 stubborn", "stray 1", "leave 1, stray 2 stubborn")))
    if rng.random() < 0.15:
        words.append(f"hang {rng.choice(('200ms', '4s'))}")
    if rng.random() < 0.05:
        words.append(f"survive {rng.choice((1, 5))} kills")
    if rng.random() < 0.1:
        return "fail to fork: Resource temporarily unavailable"
    if rng.random() < 0.1:
        return "fail to exec: exec: No such file or directory"
    return ", ".join(words) or "stop politely"


def sign(rng: Random) -> str:
    """What a run says or answers, unasked."""
    if rng.random() < 0.3:
        return f"answers {rng.choice(ANSWERS)}"
    if rng.random() < 0.1:
        return f"exceeds memory limit {rng.choice(('64M', '2G'))}"
    return f"says {rng.choice(SIGNS)}"


class History:
    """One history after the config: an endless run of lines."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines = config(rng)
        self.names = [line.split()[1] for line in self.lines if line.startswith("task")]
        self._shut = False

    def key(self) -> str:
        rng = self.rng
        name = rng.choice(self.names)
        return name if rng.random() < 0.7 else f"{name}:{rng.randint(1, 3)}"

    def go_on(self, *, alive: bool) -> Iterator[str]:
        """The next lines. `alive`: whether a supervisor is running."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.05:
            yield f"{self.key()} {sign(rng)}"
        elif roll < 0.35:
            yield f"after {rng.choice(('0ms', '1ms', '20ms', '200ms', '1s', '3s', '11s'))}"
        elif roll < 0.5:
            yield f"{self.key()} will {being(rng)}"
        elif roll < 0.58:
            fate = rng.choice(("exits 0", "exits 1", "dies of SIGKILL", "loses its group", "loses its leftovers"))
            yield f"{self.key()} {fate}"
        elif roll < 0.64:
            yield from [rng.choice(MISHAPS)] if roll < 0.62 else self._full(alive=alive)
        elif roll < 0.72:
            yield from self._edit(alive=alive)
        elif not alive:
            yield "start"
        elif roll < 0.78:
            yield rng.choice(("crash", *[f"crash in {rng.randint(1, 60)} calls"] * 4))
        elif roll < 0.785:
            yield rng.choice(("SIGTERM", "SIGINT", "supctl shutdown", "supctl shutdown --within 3s"))
        else:
            yield from self._fails_paused() if roll < 0.8 else [self._ask()]

    def _full(self, *, alive: bool) -> Iterator[str]:
        """The journal cannot be written for a while, and somebody dies of it, or soon after."""
        yield f"writes tear at {self.rng.randint(0, 100)}%"
        if not alive:
            return
        yield "journal full"
        yield self._ask()
        yield f"{self.key()} exits 1"
        yield f"after {self.rng.choice(('1ms', '200ms', '3s'))}"
        yield "journal free"
        yield self.rng.choice((self._ask(), f"{self.key()} exits 1", f"after {self.rng.choice(('1ms', '2s'))}"))
        yield self.rng.choice(("crash", "crash in 20 calls", "after 1s"))
        yield "after 1s"

    def _fails_paused(self) -> Iterator[str]:
        """What stands still can fail, too."""
        key = self.key()
        yield f"supctl pause {key}"
        yield f"{key} exceeds processes limit 9"
        yield f"after {self.rng.choice(('1ms', '900ms', '3s'))}"

    def _edit(self, *, alive: bool) -> Iterator[str]:
        rng = self.rng
        roll = rng.random()
        if roll < 0.6:
            yield task(rng, self.names, rng.randrange(len(self.names)))
        elif roll < 0.75:
            members = rng.sample(self.names, rng.randint(1, len(self.names)))
            yield " ".join(["group", "etl", *members, *(["freeze"] if rng.random() < 0.3 else [])])
        elif roll < 0.85:
            yield f"supervisor stop_grace={rng.choice((2, 30))}" + _switches(rng, frozen=0.3)
        elif roll < 0.88:
            yield f"missing {rng.choice(self.names)}" + rng.choice(("", " conf:1: /srv is not there [machine]"))
        elif roll < 0.91:
            yield f"pool {rng.choice(POOLS)} {rng.randint(1, 3)}"
        elif roll < 0.96 or not alive:
            last = self.names[-1]
            yield f"remove {last}"
            if rng.random() < 0.7 and alive:
                yield "SIGHUP"
            yield task(rng, self.names, len(self.names) - 1)
        else:
            yield "broken conf:1: no such key"
            yield "supctl reload"
            yield f"supervisor stop_grace={rng.choice((2, 30))}"
        if alive:
            yield rng.choice(("SIGHUP", "supctl reload", "supctl reload", "touched", "supctl reload --dry-run"))

    def _ask(self) -> str:
        rng, key = self.rng, self.key()
        name = rng.choice((key, key, key, "@etl", "'*'"))
        scope = rng.choice((key.partition(":")[0], "@etl", ""))
        wait = rng.choice(("", "", " --no-wait"))
        pool, program = rng.choice(POOLS), rng.choice(PROGRAMS)
        return rng.choice(
            (
                f"supctl start {name}{wait}",
                f"supctl start {name}{wait}",
                f"supctl stop {name}{wait}",
                f"supctl restart {name}{wait}",
                f"supctl run {key.partition(':')[0]}" + rng.choice(("", " --wait", " --in 3s", " --id same")),
                f"supctl {rng.choice(('cancel', 'retry'))} import:1/{rng.randint(1, 9)}@e",
                f"supctl freeze {scope}" + rng.choice(("", "", " --for 3s")),
                f"supctl thaw {scope}",
                "supctl thaw",
                f"supctl scale {key.partition(':')[0]}={rng.randint(0, 4)}{wait}",
                f"supctl signal {rng.choice(('TERM', 'KILL', 'HUP', 'USR1'))} {name}",
                f"supctl pause {name}{wait}",
                f"supctl resume {name}{wait}",
                f"supctl pool {pool}{rng.choice(('', '', ' --wait 0', ' --wait 2s', ' --slots 2'))} -- {program}",
                f"program {program} ends",
                rng.choice(("supctl pool", f"supctl pool {pool}")),
                "supctl status",
                f"supctl why {name}",
                f"supctl show {key}",
                "supctl upgrade",
            )
        ).strip()


def ending(lines: list[str]) -> Iterator[str]:
    """After the chaos: every switch is off, and there is time to come to rest."""
    yield "disk free"
    yield "journal free"
    yield "spool free"
    yield "firings free"
    yield "descriptors back"
    yield "errands take 10ms"
    for line in lines:
        yield " ".join(word for word in line.split() if word != "freeze")
        if line.startswith("task"):
            yield f"missing {line.split()[1]}"
    yield from (f"program {name} ends" for name in PROGRAMS)
    yield "start"
    yield "supctl thaw"
    yield "supctl reload"
    yield "after 2m"
