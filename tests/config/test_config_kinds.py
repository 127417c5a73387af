"""Errors of the config and errors of the machine: which is which, and what remains of a config with the latter."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from supervisor.config import Config, ConfigErrors, ErrorKind, examine
from supervisor.core.definition import Log, Probe

WEB = '[task.web]\ncommand = "run"\n'

MACHINE = {
    "a program": ('[task.web]\ncommand = "nope"', "command", ("nope",)),
    "a program of a path": ('[task.web]\ncommand = "bin/nope"', "command", ("bin/nope",)),
    "a program that is not executable": ('[task.web]\ncommand = "bin/plain"', "command", ("bin/plain",)),
    "a module": ('[task.web]\npython = "no.such:main"', "python", "no.such:main"),
    "a directory": (f'{WEB}directory = "nope"', "directory", "DIR/nope"),
    "a user": (f'{WEB}user = "no-such-user"', "user", "no-such-user"),
    "a group": (f'{WEB}group = "no-such-group"', "group", "no-such-group"),
    "one of several groups": (f'{WEB}groups = ["root", "no-such-group"]', "groups", ("root", "no-such-group")),
    "an environment file": (f'{WEB}environment_file = ["nope.env"]', "environment_file", ("DIR/nope.env",)),
    "a log that is a directory": (f'{WEB}log = {{ to = "bin/dir" }}', "log", Log(to="DIR/bin/dir")),
    "a log below a file": (f'{WEB}log = {{ to = "bin/run/x" }}', "log", Log(to="DIR/bin/run/x")),
    "a log in /proc": (f'{WEB}log = {{ to = "/proc/x" }}', "log", Log(to="/proc/x")),
    "a place": (f'{WEB}read_only = ["/no/such"]', "read_only", ("/no/such",)),
    "a hidden place": (f'{WEB}inaccessible = ["/no/such"]', "inaccessible", ("/no/such",)),
    "a credential": (f'{WEB}credentials = {{ key = "/no/such" }}', "credentials", {"key": "/no/such"}),
    "the program of a probe": (
        f'{WEB}health = {{ command = "nope" }}',
        "health",
        Probe("command", {"command": ("nope",)}),
    ),
}


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of these need root."""
    monkeypatch.setattr("os.geteuid", lambda: 0)


def found(place: Path, environ: Mapping[str, str], text: str) -> tuple[Config | None, ConfigErrors]:
    (place / "c.toml").write_text(text)
    return examine("c.toml", environ)


@pytest.mark.parametrize(("text", "key", "value"), MACHINE.values(), ids=MACHINE)
def test_a_task_with_a_machine_error_is_still_defined(
    place: Path, environ: Mapping[str, str], text: str, key: str, value: object
) -> None:
    """It fails at its start with that value; every other task works."""
    config, errors = found(place, environ, f'{text}\n[task.other]\ncommand = "run"\n')
    (error,) = errors.errors
    assert (error.kind, error.tasks) == (ErrorKind.MACHINE, ("web",))
    assert str(error).endswith(" [machine]")
    assert config
    assert repr(getattr(config.tasks["web"], key)).replace(str(place), "DIR") == repr(value)
    assert list(config.tasks) == ["web", "other"]


OF_THE_CONFIG = {
    "not TOML": "[",
    "an unknown key": f"{WEB}comand = 1",
    "a wrong type": f"{WEB}directory = 1",
    "a cycle": f'{WEB}after = ["db"]\n[task.db]\ncommand = "run"\nafter = ["web"]',
    "no such task": f'{WEB}after = ["db"]',
    "no such variable": '[task.web]\ncommand = "${NO_SUCH}"',
    "one file for two": f'{WEB}log = {{ to = "./x" }}\n[task.db]\ncommand = "run"\nlog = {{ to = "./x" }}',
    "an included file": 'include = ["nope.toml"]\n[task.web]\ncommand = "run"',
    "a part of a list": f'{WEB}environment_file = ["nope.env", 5]',
}


@pytest.mark.parametrize("text", OF_THE_CONFIG.values(), ids=OF_THE_CONFIG)
def test_there_is_no_config_with_a_config_error(place: Path, environ: Mapping[str, str], text: str) -> None:
    config, errors = found(place, environ, text)
    assert config is None
    assert errors.of(ErrorKind.CONFIG)
    assert not any(str(error).endswith("[machine]") for error in errors.of(ErrorKind.CONFIG))


def test_both_kinds_are_reported_together(place: Path, environ: Mapping[str, str]) -> None:
    config, errors = found(place, environ, '[task.web]\ncommand = "nope"\nreplicas = -1\n')
    assert config is None
    assert [str(error.kind) for error in errors.errors] == ["machine", "config"]


def test_consequences_of_a_machine_error_are_not_reported(place: Path, environ: Mapping[str, str]) -> None:
    """The program of a relative path is in a directory that does not exist."""
    _, errors = found(place, environ, '[task.web]\ncommand = "./tool"\ndirectory = "nope"\n')
    assert [error.key for error in errors.errors] == ["directory"]


def test_which_tasks_an_error_of_the_defaults_concerns(place: Path, environ: Mapping[str, str]) -> None:
    """The tasks that take the key from [defaults], and no other task."""
    text = f"""
        [defaults]
        directory = "nope"
        log = {{ to = "bin/dir", keep = 3 }}
        [task.both]
        command = "run"
        [task.own-directory]
        command = "run"
        directory = "{place}"
        [task.own-log]
        command = "run"
        log = {{ to = "none" }}
        [task.half]
        command = "run"
        directory = "bin"
        log = {{ keep = 1 }}
        """
    config, errors = found(place, environ, text)
    concerned = {error.key: error.tasks for error in errors.errors}
    assert concerned == {"directory": ("both", "own-log"), "log.to": ("both", "own-directory", "half")}
    assert config
    assert config.tasks["half"].log.to == str(place / "bin/dir")


def test_a_command_of_the_defaults_concerns_the_tasks_without_one(place: Path, environ: Mapping[str, str]) -> None:
    text = '[defaults]\ncommand = "nope"\n[task.a]\n[task.b]\ncommand = "run"\n[task.c]\n'
    _, errors = found(place, environ, text)
    assert [error.tasks for error in errors.errors] == [("a", "c")]


def test_a_setting_that_names_what_is_missing_concerns_no_task(place: Path, environ: Mapping[str, str]) -> None:
    text = f'[supervisor]\nsocket_group = "no-such-group"\nnotify_command = "nope"\n{WEB}'
    config, errors = found(place, environ, text)
    assert [(error.key, error.tasks) for error in errors.errors] == [("socket_group", ()), ("notify_command", ())]
    assert config
    assert config.settings.socket_group == "no-such-group"
