"""Several tables and files make one config: includes, defaults, groups, freezes, dependencies."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from supervisor.core.definition import Backoff, Config, ConfigFreeze, Group, Kind, Log, Mode, Restart, Retry, StopPolicy

Good = Callable[..., Config]
Bad = Callable[..., list[str]]

WEB = '[task.web]\ncommand = "run"\n'
API = '[task.api]\ncommand = "run"\n'


# includes


def test_included_files_come_sorted_after_the_main_one(good: Good) -> None:
    files = {f"tasks.d/{name}.toml": f'[task.{name}]\ncommand = "run"\n' for name in ("b", "a", "c")}
    config = good('include = ["tasks.d/*.toml"]\n' + WEB, files)
    assert [task.where for task in config.tasks.values()] == [
        "c.toml:2", "tasks.d/a.toml:1", "tasks.d/b.toml:1", "tasks.d/c.toml:1",
    ]  # fmt: skip


def test_a_file_is_read_once(good: Good, place: Path) -> None:
    (place / "link.toml").symlink_to("x.toml")
    assert list(good('include = ["x.toml", "*.toml", "./x.toml"]\n' + WEB, {"x.toml": API}).tasks) == ["web", "api"]


@pytest.mark.parametrize("pattern", ["none.d/*.toml", "*.nothing", "x[0-9].toml", "${NOWHERE:-none}/*"])
def test_a_glob_may_match_nothing(good: Good, pattern: str) -> None:
    assert good(f'include = ["{pattern}"]').tasks == {}


def test_paths_start_where_their_file_is(good: Good, place: Path) -> None:
    (place / "tasks.d/here").mkdir(parents=True)
    config = good('include = ["tasks.d/*.toml"]', {"tasks.d/a.toml": API + 'directory = "here"\nlog.to = "./x"'})
    assert config.tasks["api"].directory == f"{place}/tasks.d/here"
    assert config.tasks["api"].log.to == f"{place}/tasks.d/x"


def test_defaults_start_where_the_main_file_is(good: Good, place: Path) -> None:
    config = good('include = ["tasks.d/*"]\n[defaults]\ndirectory = "bin"', {"tasks.d/a.toml": API})
    assert config.tasks["api"].directory == f"{place}/bin"


INCLUDES = [
    ('include = ["no.toml"]', {}, [
        'c.toml:1: include: "no.toml" does not exist; allowed: a file that exists, or a glob',
    ]),
    ("include = 1", {}, ['c.toml:1: include: 1 is not a list; allowed: ["tasks.d/*.toml"]']),
    ('include = [\n1, ""]', {}, [
        "c.toml:1: include: 1 is not a string; allowed: text in quotes",
        'c.toml:1: include: "" is empty; allowed: text in quotes',
    ]),
    ('include = ["bin"]', {}, ["bin:1: cannot read the config: a directory, not a file"]),
    ('include = ["x.toml"]', {"x.toml": 'include = []\n[supervisor]\n[defaults]\n[tasks.x]'}, [
        "x.toml:1: include: only the main file may have this; allowed here: [task.NAME], [group.NAME]",
        "x.toml:2: supervisor: only the main file may have this; allowed here: [task.NAME], [group.NAME]",
        "x.toml:3: defaults: only the main file may have this; allowed here: [task.NAME], [group.NAME]",
        'x.toml:4: tasks: unknown table; did you mean "task"?',
    ]),
    ('include = ["x.toml"]\n' + WEB, {"x.toml": "# x\n" + WEB}, [
        'x.toml:2: task "web": also defined at c.toml:2; each task needs its own name',
    ]),
    ('include = ["?.toml"]', {"x.toml": "[group.g]\ntasks = []", "y.toml": "[group.g]\ntasks = []"}, [
        'y.toml:1: group "g": also defined at x.toml:1; each group needs its own name',
    ]),
    # a file that cannot be read may define what is not found elsewhere
    ('include = ["x.toml"]\n' + WEB + 'after = ["db"]\n[group.g]\ntasks = ["d*"]', {"x.toml": "[task.db"}, [
        "x.toml:1: not valid TOML: Expected ']' at the end of a table declaration (column 9)",
    ]),
    ('include = ["?.toml"]\n[task.web]\npython = 1', {"x.toml": "[task.x]\npython = 1", "y.toml": "= 1"}, [
        'c.toml:3: task "web": python: 1 is not a string; allowed: text in quotes',
        'x.toml:2: task "x": python: 1 is not a string; allowed: text in quotes',
        "y.toml:1: not valid TOML: Invalid statement (column 1)",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "files", "expected"), INCLUDES)
def test_wrong_include(bad: Bad, text: str, files: dict[str, str], expected: list[str]) -> None:
    assert bad(text, files) == expected


# private_tmp


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("key", ["inaccessible", "read_only", "read_write"])
def test_a_path_below_a_private_tmp(open_place: Path, good: Good, bad: Bad, key: str) -> None:
    """It starts empty, so no run could start."""
    text = f'[task.web]\ncommand = "run"\nprivate_tmp = true\n{key} = ["{open_place}/open"]'
    what = f'"{open_place}/open" does not exist with private_tmp, which starts empty; allowed: other paths'
    wrong = f'c.toml:4: task "web": {key}: {what}; with a leading "-" a missing path is ignored'
    assert bad(text) == [wrong]
    assert good(text.replace('["', '["-')).tasks
    assert good(text.replace("true", "false")).tasks
    assert good(text.replace(f"{open_place}/open", "/tmp")).tasks


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_starts_in_a_private_tmp(open_place: Path, good: Good, bad: Bad) -> None:
    (open_place / "run").symlink_to("/bin/sh")
    text = f'[task.web]\ncommand = "{open_place}/run"\nprivate_tmp = true\ndirectory = "{open_place}"'
    for line, key, path in ((2, "command", f"{open_place}/run"), (4, "directory", open_place)):
        assert f'c.toml:{line}: task "web": {key}: "{path}" does not exist with private_tmp, which' in "\n".join(
            bad(text)
        )
    assert good(text.replace("true", "false")).tasks


# defaults

DEFAULTS = [
    # [defaults]                            the task                        key             what comes of it
    ('environment = {A="1", B="1"}', 'environment = {B="2"}', "environment", {"A": "1", "B": "2"}),
    ('environment = {A="1"}', "", "environment", {"A": "1"}),
    ('stop = {grace=1, signal="INT"}', "stop = {grace=2}", "stop", StopPolicy("SIGINT", 2.0)),
    ("stop = {grace=1}", "", "stop", StopPolicy(grace=1.0)),
    ("backoff = {max=5}", "backoff = {initial=1}", "backoff", Backoff(initial=1.0, max=5.0)),
    ('log = {stderr="none"}', 'log = {to="none"}', "log", Log("none", "none")),
    ('restart = "never"', "", "restart", Restart.NEVER),
    ('restart = "never"', 'restart = "always"', "restart", Restart.ALWAYS),
    ('restart = "always"', 'kind = "startup"', "restart", Restart.NEVER),
    ('restart = "on-failure"', 'kind = "startup"', "restart", Restart.ON_FAILURE),
    ("autostart = true", 'kind = "triggered"', "autostart", False),
    ("retry = {attempts=2}", "", "retry", None),
    ("retry = {attempts=2}", "every = 1", "retry", Retry(2, Backoff(initial=1.0))),
    ("retry = {attempts=2}", "every = 1\nretry = {attempts=3}", "retry", Retry(3, Backoff(initial=1.0))),
    ("retry = {attempts=2}", 'every = 1\nrestart = "on-failure"', "retry", None),
    ('restart = "on-failure"', "every = 1\nretry = {attempts=2}", "restart", Restart.NEVER),
    ('kind = "startup"', "", "kind", Kind.STARTUP),
    ('mode = "background"', "", "mode", Mode.BLOCKING),
    ('mode = "background"', 'kind = "startup"', "mode", Mode.BACKGROUND),
    ('on_give_up = "shutdown"', 'kind = "startup"', "on_give_up", "stay"),
    ('on_give_up = "freeze"', 'kind = "startup"', "on_give_up", "freeze"),
    ('on_give_up = "shutdown"', 'restart = "never"', "on_give_up", "shutdown"),
    ('python = "a:b"', "", "python", None),
    ('after = ["web"]', "", "after", ()),
    ('after = ["other"]', "", "after", ("other",)),
    ('after = ["other"]', "after = []", "after", ()),
    ("success_exit = [1]", "success_exit = [2]", "success_exit", (2,)),
    ("freeze = true", "freeze = false", "freeze", False),
]


@pytest.mark.parametrize(("defaults", "line", "key", "expected"), DEFAULTS)
def test_defaults(good: Good, defaults: str, line: str, key: str, expected: object) -> None:
    other = '[task.other]\ncommand = "run"\nkind = "startup"\nafter = []\n'
    config = good(f"[defaults]\n{defaults}\n{other}{WEB}{line}")
    assert getattr(config.tasks["web"], key) == expected


def test_a_default_command(good: Good) -> None:
    config = good('[defaults]\ncommand = "run x"\n[task.a]\n[task.b]\npython = "a:b"')
    assert [(task.command, task.python) for task in config.tasks.values()] == [(("run", "x"), None), ((), "a:b")]


def test_defaults_do_not_make_the_tasks_they_name_wait(good: Good) -> None:
    config = good(f'[defaults]\nafter = ["web", "api"]\n{WEB}{API}[task.x]\ncommand = "run"')
    assert [task.after for task in config.tasks.values()] == [(), (), ("web", "api")]


# groups


@pytest.mark.parametrize(
    ("patterns", "members"),
    [
        ('["web"]', ("web",)),
        ('["import-b", "web", "web"]', ("web", "import-b")),
        ('["import-*"]', ("import-a", "import-b")),
        ('["[iw]*", "web"]', ("web", "import-a", "import-b")),
        ('["*"]', ("web", "import-a", "import-b", "x")),
        ("[]", ()),
    ],
)
def test_members(good: Good, patterns: str, members: tuple[str, ...]) -> None:
    tasks = "".join(f'[task.{name}]\ncommand = "run"\n' for name in ("web", "import-a", "import-b", "x"))
    config = good(f"{tasks}[group.g]\ntasks = {patterns}")
    assert config.groups == {"g": Group("g", members, where="c.toml:9")}


# freeze


def test_freezes(good: Good) -> None:
    text = f"""
[supervisor]
freeze = true
[defaults]
freeze = true
{WEB}{API}freeze = true
[task.x]
command = "run"
freeze = false
[group.g]
tasks = []
freeze = true
"""
    config = good(text)
    assert config.freezes == (
        ConfigFreeze("", "c.toml:3"),
        ConfigFreeze("@g", "c.toml:16"),
        ConfigFreeze("web", "c.toml:5"),
        ConfigFreeze("api", "c.toml:10"),
    )
    assert [task.freeze for task in config.tasks.values()] == [True, True, False]
    assert config.settings.freeze
    assert config.groups["g"].freeze


def test_watched(good: Good, place: Path) -> None:
    (place / "real/sub").mkdir(parents=True)
    (place / "real/x.toml").write_text("")
    (place / "link.toml").symlink_to("real/x.toml")
    files = {"a/b.toml": "", "deep/1/t.toml": "", "empty/.keep": ""}
    config = good('include = ["link.toml", "a/*.toml", "deep/*/t.toml", "empty/*.toml", "no.d/*.toml"]', files)
    assert [(os.path.relpath(folder, place), name) for folder, name in config.watched] == [
        (".", "*"),
        (".", "c.toml"),
        (".", "link.toml"),
        ("a", "*.toml"),
        ("a", "b.toml"),
        ("deep", "t.toml"),
        ("deep/1", "t.toml"),
        ("empty", "*.toml"),
        ("real", "x.toml"),
    ]


# dependencies


def test_good_dependencies(good: Good) -> None:
    config = good(f'{WEB}after = ["api", "api"]\nrequires = ["s"]\n{API}[task.s]\ncommand = "run"\nkind = "startup"')
    assert config.tasks["web"].dependencies == ("api", "s")


def test_a_long_chain_and_a_tangle(good: Good, bad: Bad) -> None:
    names = [f"t{i}" for i in range(2000)]
    chain = "".join(f'[task.{a}]\npython = "a:b"\nafter = ["{b}"]\n' for a, b in pairwise(names))
    assert len(good(f'{chain}[task.t1999]\npython = "a:b"').tasks) == 2000
    assert len(bad(f'{chain}[task.t1999]\npython = "a:b"\nafter = ["t0"]')) == 1
    few = names[:40]
    tangle = "".join(f'[task.{a}]\npython = "a:b"\nafter = {[b for b in few if b != a]}\n' for a in few)
    assert 1 <= len(bad(tangle)) <= 40


def test_a_default_of_a_schedule_does_not_reach_a_task_that_cannot_have_it(good: Good) -> None:
    text = '[defaults]\ntimezone = "Europe/Berlin"\nevery = "5s"\n[task.a]\ncommand = "run"\nschedule = "@daily"\n'
    tasks = good(f'{text}[task.b]\ncommand = "run"\n[task.c]\ncommand = "run"\nkind = "continuous"\n').tasks
    assert (tasks["a"].timing.timezone, tasks["a"].timing.every) == ("Europe/Berlin", None)
    assert (tasks["b"].timing.timezone, tasks["b"].timing.every) == ("", 5.0)
    assert not tasks["c"].timing.fires
