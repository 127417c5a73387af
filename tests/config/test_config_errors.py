"""The exact error texts of a config: the tables keys.txt and files.txt."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.config.errors import ConfigError, ConfigErrors, ErrorKind
from supervisor.config.schema import TASK
from supervisor.core.definition import Config, Limits
from supervisor.host import cgroup_controllers

HERE = Path(__file__).parent
Bad = Callable[..., list[str]]
Good = Callable[..., Config]


def cases(name: str) -> list[tuple[str, list[str]]]:
    """The cases of a table: the TOML and the lines that are expected."""
    found: list[tuple[str, list[str]]] = []
    for block in (HERE / name).read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("# ")]
        if lines:
            text = "\n".join(line for line in lines if not line.startswith("    "))
            found.append((text, [line.strip() for line in lines if line.startswith("    ")]))
    return found


@pytest.mark.parametrize(("line", "expected"), cases("keys.txt"))
def test_key(bad: Bad, line: str, expected: list[str]) -> None:
    own = line.startswith(("command", "python"))
    known = [error.replace("KEYS", ", ".join(TASK)) for error in expected]
    text = "[task.web]\n" + ("" if own else 'command = "run"\n') + line
    assert bad(text) == [f'c.toml:{2 if own else 3}: task "web": {error}' for error in known]


@pytest.mark.parametrize(("text", "expected"), cases("files.txt"))
def test_file(bad: Bad, text: str, expected: list[str]) -> None:
    assert bad(text) == expected


def test_every_key_of_a_task_is_in_the_table() -> None:
    tried = {line.partition(" ")[0] for line, _ in cases("keys.txt")}
    assert tried >= set(TASK)


def test_no_key_takes_each_type(bad: Bad) -> None:
    """A date fits nowhere."""
    for key in TASK:
        own = 'command = "run"\n' if key not in ("command", "python") else ""
        assert any(f": {key}" in line for line in bad(f"[task.web]\n{own}{key} = 1979-05-27"))


def test_needs_root(bad: Bad, unprivileged: int) -> None:
    assert bad('[task.web]\ncommand = "run"\nuser = "root"') == [
        'c.toml:3: task "web": user: only root may run a task as "root"; allowed: no user, or that of the supervisor'
    ]


NEEDS_ROOT = {
    "group": '"daemon"', "groups": '["daemon"]', "capabilities": "[]", "private_tmp": "true", "read_only": '["/"]',
    "read_write": '["/"]', "inaccessible": '["/etc"]', "network": '"none"', "credentials": '{ a = "/dev/null" }',
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), NEEDS_ROOT.items())
def test_what_only_root_can_give(bad: Bad, unprivileged: int, key: str, value: str) -> None:
    assert bad(f'[task.web]\ncommand = "run"\n{key} = {value}') == [
        f'c.toml:3: task "web": {key}: needs root; allowed without root: no such key'
    ]


def test_what_only_root_may_raise(bad: Bad, unprivileged: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (100, 200))
    monkeypatch.setattr("os.getpriority", lambda *_: 3)
    lines = "limits = { open_files = 201, cpu_time = 200, nice = 2, oom_score_adj = -1000 }"
    least = Path("/proc/self/oom_score_adj").read_text().strip()
    start = 'c.toml:3: task "web": limits'
    assert bad(f'[task.web]\ncommand = "run"\n{lines}') == [
        f"{start}.open_files: 201 exceeds the supervisor's hard limit, which only root may raise; allowed: up to 200",
        f"{start}.nice: 2 needs root; allowed without root: 3 and more",
        f"{start}.oom_score_adj: -1000 needs root; allowed without root: {least} and more",
    ]


def test_without_libseccomp_no_call_is_filtered(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_: (_ for _ in ()).throw(OSError()))
    (line,) = bad('[task.web]\ncommand = "run"\nsystem_calls = ["@default"]')
    assert line.endswith(
        "libseccomp is not installed on this machine (Debian: libseccomp2, Fedora: libseccomp) [machine]"
    )


OF_A_RUN = 'limits = { memory = "64M", cpu = 0.5, cpu_weight = 1, processes = 9, io_weight = 2, runtime = "1h"%s }'


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the kernel offer these controllers, and our place, and systemd to a unit, those that are told."""

    def offers(*kernel: str, here: str | None = None, unit: cgroup_controllers.Offer | None = None) -> None:
        ours = frozenset(kernel if here is None else here.split())
        monkeypatch.setattr(cgroup_controllers, "of_the_kernel", lambda: frozenset(kernel))
        monkeypatch.setattr(
            cgroup_controllers, "of_this_process", lambda: cgroup_controllers.Offer(ours, "we are in the way")
        )
        monkeypatch.setattr(cgroup_controllers, "of_a_unit", lambda: unit)

    return offers


def test_a_limit_that_no_controller_enforces_is_an_error(
    bad: Bad, good: Good, machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither ignored nor found only at the start, unless the config requests that (best_effort)."""
    machine("pids")
    text = f'[task.web]\ncommand = "run"\n{OF_A_RUN}'
    why = "is not available: this machine does not offer it"
    why += ", so the limit cannot be enforced; allowed: no such limit, or best_effort = true [machine]"
    assert bad(text % "") == [
        f'c.toml:3: task "web": limits.cpu: the cgroup controller cpu {why}',
        f'c.toml:3: task "web": limits.cpu_weight: the cgroup controller cpu {why}',
        f'c.toml:3: task "web": limits.io_weight: the cgroup controller io {why}',
    ]
    config = good(text % ", best_effort = true")
    what = "so it is only approximate: @scribe measures each second, and a run beyond the limit is stopped"
    why = "the cgroup controller memory is not available: this machine does not offer it"
    assert config.warnings == (f'c.toml:3: task "web": limits.memory: {why}, {what}',)
    limits = config.tasks["web"].limits
    assert limits == Limits(
        memory=64 << 20, cpu=0.5, cpu_weight=1, processes=9, io_weight=2, runtime=3600.0, best_effort=True
    )
    machine("cpu", "pids", "memory", "io")
    monkeypatch.setattr("supervisor.host.cgroup.disks_share", lambda: False)
    no_disk = "no disk of this machine has the scheduler bfq (/sys/block/NAME/queue/scheduler) or io.cost"
    (line,) = bad(text % "")
    assert line.startswith(f'c.toml:3: task "web": limits.io_weight: {no_disk}, so the limit cannot be enforced')
    monkeypatch.setattr("supervisor.host.cgroup.disks_share", lambda: True)
    assert good(text % "").tasks
    assert good(text % "").warnings == ()


def test_a_check_knows_what_the_kernel_has_and_the_supervisor_cannot_have(
    bad: Bad, good: Good, machine: Callable[..., None]
) -> None:
    """A start uses the cgroup of the supervisor; a check beforehand also what systemd would provide."""
    text = '[task.web]\ncommand = "run"\nlimits = { memory = "64M", cpu = 0.5 }'
    all_four, none = ("memory", "cpu", "pids", "io"), cgroup_controllers.Offer(frozenset(), "systemd is old")
    machine(*all_four, here="")
    (line,) = bad(text)
    start = 'c.toml:3: task "web": limits.'
    assert line.startswith(
        f"{start}cpu: the cgroup controller cpu is not available: we are in the way, so the limit cannot be enforced"
    )
    machine(*all_four, here="cpu", unit=none)
    (warning,) = good(text).warnings
    assert warning.startswith(
        f"{start}memory: the cgroup controller memory is not available: we are in the way, so it is only"
    )
    (warning,) = good(text, beforehand=True).warnings
    assert warning.startswith(
        f"{start}memory: the cgroup controller memory is not available: systemd is old, so it is only"
    )
    machine(*all_four, here="", unit=cgroup_controllers.Offer(frozenset(all_four)))
    assert good(text, beforehand=True).warnings == ()
    assert bad(text), "the unit of somebody else is no help to a supervisor that is somewhere else"


def test_a_group_limit_that_no_controller_enforces_is_an_error(
    bad: Bad, good: Good, machine: Callable[..., None]
) -> None:
    """Such a limit is not measured, either."""
    machine("cpu")
    text = '[task.web]\ncommand = "run"\n[group.etl]\ntasks = ["web"]\nlimits = { memory = "1G", cpu = 1%s }'
    (line,) = bad(text % "")
    why = "the cgroup controller memory is not available: this machine does not offer it"
    assert line.startswith(f'c.toml:5: group "etl": limits.memory: {why}')
    assert good(text % ", best_effort = true").groups["etl"].limits.memory == 1 << 30
    assert good(text % ", best_effort = true").tasks["web"].group_limits == "etl"


def test_a_task_shares_the_limits_of_one_group(bad: Bad, good: Good, machine: Callable[..., None]) -> None:
    machine("cpu", "pids", "memory", "io")
    text = '[task.web]\ncommand = "run"\n[task.db]\ncommand = "run"\n[group.a]\ntasks = ["web"]\nlimits.cpu = 1\n'
    text += '[group.b]\ntasks = ["*"]\n'
    assert {task.name: task.group_limits for task in good(text).tasks.values()} == {"web": "a", "db": ""}
    what = '"web" already has the limits of the group "a"; allowed: one group with limits for each task'
    assert bad(f'{text}limits.memory = "1G"') == [f'c.toml:10: group "b": limits: {what}']
    (line,) = bad(f"{text}limits.nice = 1")
    assert "limits.nice: unknown key" in line


def test_errors_keep_their_parts_when_a_child_process_sends_them() -> None:
    made = ConfigErrors([ConfigError("a.toml", 3, 'task "web"', "command", "is missing", ErrorKind.MACHINE, ("web",))])
    sent = pickle.loads(pickle.dumps(made))
    assert (sent.errors, str(sent)) == (made.errors, str(made))


@pytest.mark.parametrize(
    ("slots", "keys", "needed"),
    [
        (1, 'after = ["db"]', 2),
        (1, 'requires = ["cache"]', 3),  # and cache requires db
        (2, 'requires = ["cache"]', 3),
        (2, 'pool = { name = "gpu", slots = 2 }\nafter = ["db"]', 3),
        (2, 'after = ["db"]', 0),
        (1, 'after = ["once"]', 0),  # it has ended by then
    ],
)
def test_tasks_that_need_each_other_and_more_slots_than_there_are(
    good: Good, slots: int, keys: str, needed: int
) -> None:
    pool = "" if "pool" in keys else 'pool = "gpu"\n'
    others = '[task.db]\ncommand = "run"\npool = "gpu"\n[task.once]\nkind = "startup"\ncommand = "run"\npool = "gpu"\n'
    others += '[task.cache]\ncommand = "run"\npool = "gpu"\nrequires = ["db"]\n'
    config = good(f'[pool.gpu]\nslots = {slots}\n{others}[task.web]\ncommand = "run"\n{pool}{keys}\n')
    found = [text for text in config.warnings if 'task "web"' in text]
    assert len(found) == bool(needed)
    for text in found:
        assert f'together they need {needed} slots of the pool "gpu", which has {slots}: it cannot start' in text
