"""The last good config is restored unchanged. Content that is not understood is not used."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.config import load
from supervisor.config.settings import runtime_dirs
from supervisor.core.definition import Backoff, Config, GiveUp, Group, Kind, Settings, StopPolicy, Task
from supervisor.store.lastgood import find, pack, record, unpack

ROOT = Path(__file__).parents[2]
TASK = Task(
    "web", kind=Kind.STARTUP, command=("a", "caf\udce9"), environment={"A": "b", "is": "dict"},
    success_exit=(0, "SIGHUP"), umask=0o27, replicas=True,
    backoff=Backoff(0.0, 1.5), give_up=GiveUp(3, 2.5), stop=StopPolicy("SIGINT", 1.5, "main"),
)  # fmt: skip
CONFIG = Config(
    "/etc/x.toml", Settings("n", "/run/s", "/s", "/l"), {"web": TASK}, {"etl": Group("etl", ("web",))},
    watched=(("/etc", "x.toml"),),
)  # fmt: skip


@pytest.mark.parametrize("config", [CONFIG, load(str(ROOT / "conf/demo.toml"))], ids=["made up", "the demo"])
def test_the_config_is_restored_unchanged(config: Config) -> None:
    assert unpack(pack(config)) == config


def test_defaults_are_left_out() -> None:
    """A supervisor with many tasks keeps this text in memory."""
    plain = json.loads(pack(CONFIG))["of"]["tasks"]["of"][0][1]["of"]
    named = ("name", "kind", "command", "environment", "success_exit", "umask", "backoff", "give_up", "stop")
    assert plain.keys() - {"replicas"} == set(named)
    assert plain["stop"] == {"is": "StopPolicy", "of": {"signal": "SIGINT", "grace": 1.5, "to": "main"}}
    assert plain["replicas"] is True, "it equals its default, and is another value"


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "7", "[]", "{}", '{"is": "Task", "of": {"name": "x"}}', '{"is": "os", "of": {}}',
        pack(CONFIG).replace('"umask"', '"umbrella"'), pack(CONFIG).replace('"StopPolicy"', '"StopOrders"'),
        pack(CONFIG).replace('"startup"', '"shutdown"'), json.dumps({"is": "Config", "of": 7}),
    ],
)  # fmt: skip
def test_content_of_another_version_is_not_used(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack(text)


@pytest.mark.parametrize(
    ("facts", "used"),
    [
        ({"instance": "web:1", "wanted": False, "run": {"pid": 100, "birth": 7}}, True),
        ({"instance": "web:1", "wanted": True, "run": None}, True),
        ({"instance": "web:1", "wanted": False, "run": None}, False),
        ({"instance": "@scribe:1", "wanted": True, "run": {"pid": 100, "birth": 7}}, False),
        ({"fleet": "shutdown", "wanted": True}, False),
    ],
)
def test_it_is_used_for_the_tasks_of_an_earlier_supervisor(facts: dict[str, Any], used: bool) -> None:
    name = facts.get("instance", "fleet shutdown")
    journal = {"fleet config": record("/etc/x.toml", "packed"), name: facts}
    assert find(journal, "/etc/x.toml") == ("packed" if used else None)
    assert find(journal, "/etc/other.toml") is None, "another supervisor's"
    assert find({name: facts}, "/etc/x.toml") is None


def test_where_the_runtime_directory_may_be(tmp_path: Path) -> None:
    config = tmp_path / "x.toml"
    config.write_text('[supervisor\n  runtime_dir = "run/${NAME}" # here\nstate_dir = }{\n')
    places = runtime_dirs(str(config), {"NAME": "me", "RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/x"})
    default = "/run/supervisor" if os.geteuid() == 0 else "/x/supervisor"
    assert places == [str(tmp_path / "run/me"), "/run/a", "/run/b", default]
    for text in ("runtime_dir = [\n", 'runtime_dir = "${NOBODY}"\n'):
        config.write_text(text)
        assert runtime_dirs(str(config), {"XDG_RUNTIME_DIR": "/x"}) == [default]
    config.unlink()
    assert runtime_dirs(str(config), {"XDG_RUNTIME_DIR": "/x"}) == [default]
