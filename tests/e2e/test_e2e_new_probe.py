"""A new kind of probe is one file and one line: then config, parent, @prober, `supctl` and documentation know it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from copied import copied, register
from lab import Lab, wait_for

EXISTS = '''
"""Probe by a file that must exist."""

import os

from supervisor.core.definition import Probe
from supervisor.core.kind_key import Forms, KindKey, UnfitError
from supervisor.probes.interface import {sort}, Kind, Opened


def path(value: object, forms: Forms) -> str:
    if forms.text(value).endswith("/"):
        raise UnfitError(value, "is a directory; allowed: a file")
    return forms.path(forms.text(value))


KIND: Kind = {sort}(
    doc="the file exists",
    keys=(
        KindKey("exists", "path", path, "a file that must exist"),
        KindKey("password", "string", lambda value, forms: forms.literal(value), "never shown", "none", secret=True),
    ),
    {question}
)
'''

ASKED = 'ask=lambda probe, _: "" if os.path.exists(probe.values["exists"]) else "no such file",'
EXECUTED = """command=lambda probe: ("test", "-e", probe.values["exists"]),
    wrong=lambda code, signal: "no such file" if code or signal else "","""

SORTS = {"in @prober": ("InProber", ASKED), "as a child": ("AsChild", EXECUTED)}


@pytest.fixture(params=SORTS)
def copy(request: pytest.FixtureRequest, tmp_path: Path, lab: Lab) -> Path:
    """A copy of the program with one more file and one more line. All programs of the lab run from there."""
    copied(lab, tmp_path)
    sort, question = SORTS[request.param]
    (tmp_path / "supervisor/probes/exists.py").write_text(EXISTS.format(sort=sort, question=question))
    register(tmp_path / "supervisor/probes/__init__.py", "KINDS", "exists", "supervisor.probes.exists")
    return tmp_path


TASK = '[task.web]\ncommand = "sleep 1000"\n'


def test_config_show_why_and_health(copy: Path, lab: Lab) -> None:
    probe = '{ exists = "flag.${SUPERVISOR_INSTANCE}", password = "xyzzy", every = "50ms" }'
    lab.start(f"{TASK}ready = {probe}\nhealth = {probe[:-1]}, failures = 1, restart = false }}\n")
    why = wait_for(lambda: (text := lab.ctl("why", "web", code=None).out) and "no such file" in text and text)
    assert "waits for a good answer to its exists probe" in why
    (lab.dir / "flag.1").touch()
    lab.until(task="web", to="running")
    wait_for(lambda: lab.tasks()["web"]["health"] == "ok")
    (lab.dir / "flag.1").unlink()
    wait_for(lambda: "unwell: no such file" in lab.ctl("why", "web", code=None).out)
    (one,) = lab.ctl("show", "web", "--json").json["instances"]
    shown = {name: one["definition"]["health"][name] for name in ("exists", "password", "every")}
    assert shown == {"exists": f"{lab.dir}/flag.${{SUPERVISOR_INSTANCE}}", "password": "…", "every": 0.05}
    assert "xyzzy" not in lab.ctl("show", "web").out
    assert "xyzzy" in lab.ctl("show", "web", "--reveal").out


def test_errors_of_the_config(copy: Path, lab: Lab) -> None:
    lab.write(
        f'{TASK}health = {{ exists = "a/" }}\n[task.other]\ncommand = "true"\nready = {{ tcp = "h:1", password = "x" }}'
    )
    told = lab.ctl("check", str(lab.path), code=None)
    assert 'health.exists: "a/" is a directory; allowed: a file' in told.out + told.err
    assert "ready.password: is only for exists probes; allowed: together with exists" in told.out + told.err


def test_documentation(copy: Path, lab: Lab) -> None:
    subprocess.run([sys.executable, "docs/generate.py"], cwd=copy, env=lab.env, check=True, capture_output=True)
    docs = copy / "docs"
    assert "| `exists` | the file exists |" in (docs / "health.md").read_text()
    assert "| `health.exists` | path |  | a file that must exist |" in (docs / "configuration.md").read_text()
    assert '| `ready.password` | string | `"none"` | exists: never shown |' in (docs / "configuration.md").read_text()
    assert "a file that must exist" in (docs / "man/supervisor.toml.5").read_text()
    task = json.loads((docs / "supervisor.schema.json").read_text())["properties"]["task"]["additionalProperties"]
    assert task["properties"]["health"]["properties"]["exists"] == {
        "description": "a file that must exist", "type": "string",
    }  # fmt: skip
