"""The lines of a config in a story: `task web requires=db grace=2 replicas=2`, and what they make.

    task NAME [KEY=VALUE …]     KEY is that of the config; lists with commas; the tables are flat:
                                grace, signal, to (of `stop`); initial, factor, max, jitter, reset_after (of `backoff`);
                                ready=notify, ready=probe (a command), ready=tcp (by @prober);
                                health=5 (every so many seconds), health=5/left (restart = false), and of it
                                failures, successes; health_delay, ready_delay (initial_delay of the one, the other);
                                give_up=3/60 (failures/seconds); a bare `freeze` is `freeze=yes`
                                schedule=*_*_*_*_* (with _ for spaces), zone, every, jitter, overlap, max_parallel,
                                max_waiting, catch_up, catch_up_within, expect
                on=NAME.failed,NAME.ended
                retry=3/2 (attempts/seconds: the first delay)
    pool NAME SLOTS             a task has `pool=NAME` or `pool=NAME/SLOTS`; no SLOTS: the pool goes
    group NAME TASK …           a bare `freeze` among the names is its switch; cpu=2 is its limit
    supervisor [KEY=VALUE …]    stop_grace, drain_delay, health_listen, freeze, notify, auto_freeze=20/60
                                (failures/seconds)
    missing NAME [WORDS]        this task needs something that the machine does not have: what a check says of that

Back-off has no jitter here unless it is asked for, so that times are round; and no output goes anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from supervisor.core.definition import (
    AutoFreeze,
    Backoff,
    CatchUp,
    Config,
    ConfigFreeze,
    GiveUp,
    Group,
    Kind,
    Limits,
    Log,
    MachineError,
    Mode,
    Overlap,
    Pool,
    PoolShare,
    Probe,
    Restart,
    Retry,
    Settings,
    StopPolicy,
    Task,
    Timing,
)
from supervisor.core.immutable import replace

_YES = {"yes": True, "no": False}
_STOP = {"grace", "signal", "to"}
_BACKOFF = {"initial", "factor", "max", "jitter", "reset_after"}
_PROBE = {"failures", "successes"}
_TIMING: dict[str, Any] = {
    "schedule": lambda text: (text.replace("_", " "),), "timezone": str, "every": float, "jitter": float,
    "overlap": Overlap, "max_parallel": int, "max_waiting": int, "catch_up": CatchUp, "catch_up_within": float,
    "expect": float,
}  # fmt: skip
_DELAYS = {"health_delay": "health", "ready_delay": "ready"}


@dataclass
class Draft:
    """A config as its lines, which may be changed one by one."""

    tasks: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    missing: dict[str, str] = field(default_factory=dict)

    def write(self, words: list[str]) -> bool:
        """Takes in one line. False when it is not one of a config; a line for the same name replaces the old one."""
        match words:
            case ["task", name, *rest]:
                self.tasks[name] = _pairs(rest)
            case ["group", name, *rest]:
                self.groups[name] = rest
            case ["pool", name]:
                del self.pools[name]
            case ["pool", name, slots]:
                self.pools[name] = int(slots)
            case ["supervisor", *rest]:
                self.settings = _pairs(rest)
            case ["remove", name]:
                del self.tasks[name]
                self.groups = {key: [word for word in words if word != name] for key, words in self.groups.items()}
            case ["missing", name, *rest]:
                self.missing[name] = " ".join(rest)
                return True
            case ["broken", *rest]:
                self.broken = " ".join(rest)
                return True
            case _:
                return False
        self.broken = ""
        return True

    def machine_errors(self) -> tuple[MachineError, ...]:
        """What the machine does not have of what the tasks need."""
        return tuple(MachineError(text, (name,)) for name, text in self.missing.items() if text and name in self.tasks)

    def config(self) -> Config | str:
        """What reading it gives."""
        if self.broken:
            return self.broken
        tasks = {name: task_of(name, pairs) for name, pairs in self.tasks.items()}
        groups = {name: _group(name, words) for name, words in self.groups.items()}
        for group in groups.values():
            if group.limits.cpu:
                tasks |= {task: replace(tasks[task], group_limits=group.name) for task in group.tasks}
        settings = Settings(
            "vm-7", "/run/s", "/var/s", "/log/s",
            freeze=_flag(self.settings, "freeze"), stop_grace=float(self.settings.get("stop_grace", 300)),
            auto_freeze=_failures(AutoFreeze, self.settings["auto_freeze"]) if "auto_freeze" in self.settings else None,
            notify_command=("tell",) if "notify" in self.settings else (),
            health_listen=self.settings.get("health_listen"), drain_delay=float(self.settings.get("drain_delay", 0)),
        )  # fmt: skip
        freezes = [ConfigFreeze("", "conf:supervisor")] if settings.freeze else []
        freezes += [ConfigFreeze(f"@{group.name}", f"conf:@{group.name}") for group in groups.values() if group.freeze]
        freezes += [ConfigFreeze(task.name, f"conf:{task.name}") for task in tasks.values() if task.freeze]
        pools = {name: Pool(name, slots) for name, slots in self.pools.items()}
        return Config("conf", settings, tasks, groups, tuple(freezes), (("/etc", "conf"),), pools=pools)


def _group(name: str, words: list[str]) -> Group:
    tasks = tuple(word for word in words if word != "freeze" and "=" not in word)
    return Group(name, tasks, "freeze" in words, Limits(cpu=_number(words, "cpu=")))


def _number(words: list[str], key: str) -> float | None:
    return next((float(word.removeprefix(key)) for word in words if word.startswith(key)), None)


def task_of(name: str, pairs: dict[str, str]) -> Task:  # noqa: C901 - a table of keys
    """One task, with the defaults of the config for its kind."""
    kind = Kind(pairs.get("kind", "continuous"))
    plain: dict[str, Any] = {"restart": Restart.ALWAYS if kind is Kind.CONTINUOUS else Restart.NEVER}
    plain["log"] = Log("none")  # so no story has @scribe in it that does not ask for it
    plain["autostart"] = kind is not Kind.TRIGGERED
    stop: dict[str, Any] = {}
    backoff: dict[str, Any] = {"jitter": 0.0}
    probe: dict[str, Any] = {}
    delays: dict[str, float] = {}
    timing: dict[str, Any] = {"timezone": "UTC"}
    for key, text in pairs.items():
        if key in _DELAYS:
            delays[_DELAYS[key]] = float(text)
        elif key in _STOP:
            stop[key] = float(text) if key == "grace" else text
        elif key in _BACKOFF:
            backoff[key] = float(text)
        elif key == "runtime":
            plain["limits"] = Limits(runtime=float(text))
        elif key in _TIMING:
            timing[key] = _TIMING[key](text)
        elif key in _PROBE:
            probe[key] = int(text)
        else:
            plain[key] = _value(key, text)
    if "health" in plain:
        plain["health"] = replace(plain["health"], **probe)
    for key, delay in delays.items():
        plain[key] = replace(plain[key], initial_delay=delay)
    if kind is Kind.TRIGGERED:
        plain["timing"] = Timing(**timing)
        plain["replicas"] = plain["timing"].max_parallel
    return Task(name, **(plain | {"kind": kind, "stop": StopPolicy(**stop), "backoff": Backoff(**backoff)}))


def _value(key: str, text: str) -> Any:  # noqa: C901, PLR0912 - a table of keys
    match key:
        case "replicas":
            return int(text)
        case "autostart" | "freeze" | "essential":
            return _YES[text]
        case "after" | "requires":
            return tuple(text.split(","))
        case "pool":
            pool, _, slots = text.partition("/")
            return PoolShare(pool, int(slots or 1))
        case "log":
            return Log(text)
        case "command":
            return (text,)
        case "restart":
            return Restart(text)
        case "mode":
            return Mode(text)
        case "success_exit":
            return tuple(int(word) if word.isdigit() else word for word in text.split(","))
        case "on":
            return tuple(text.split(","))
        case "retry":
            attempts, _, initial = text.partition("/")
            return Retry(int(attempts), Backoff(initial=float(initial or 1), jitter=0.0))
        case "give_up":
            return _failures(GiveUp, text)
        case "start_timeout" | "watchdog":
            return float(text)
        case "ready" if text in ("probe", "tcp"):
            kind = "tcp" if text == "tcp" else "command"
            return Probe(kind, {kind: ("127.0.0.1:80",)}, every=1.0, failures=0)
        case "health":
            every, _, left = text.partition("/")
            return Probe("command", {"command": ("true",)}, every=float(every), restart=left != "left")
    return text


def _failures(make: Any, text: str) -> Any:
    failures, _, within = text.partition("/")
    return make(int(failures), float(within))


def _pairs(words: list[str]) -> dict[str, str]:
    return {key: value or "yes" for key, _, value in (word.partition("=") for word in words)}


def _flag(pairs: dict[str, str], key: str) -> bool:
    return _YES[pairs.get(key, "no")]
