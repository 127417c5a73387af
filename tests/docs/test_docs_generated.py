"""The reference agrees with the tables in the code."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import tomli

PROJECT = Path(__file__).resolve().parent.parent.parent


def test_the_reference_is_up_to_date() -> None:
    command = [sys.executable, str(PROJECT / "docs/generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["supctl.1", "supervisor.8", "supervisor.toml.5"])
def test_a_man_page_has_only_macros_of_man_7(page: str) -> None:
    path = PROJECT / "docs/man" / page
    lines = path.read_text().splitlines()
    assert lines[0].startswith(".TH ")
    macros = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert macros <= {".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".I", ".nf", ".fi"}, (
        "no text is taken for a macro"
    )


SCHEMA = json.loads((PROJECT / "docs/supervisor.schema.json").read_text())


@pytest.mark.parametrize("config", ["conf/demo.toml", "conf/supervisor.toml"])
def test_the_schema_for_editors_takes_the_examples(config: str) -> None:
    errors = jsonschema.Draft202012Validator(SCHEMA).iter_errors(tomli.loads((PROJECT / config).read_text()))
    assert [error.message for error in errors] == []


@pytest.mark.parametrize(
    "wrong",
    [
        '[task.web]\ncomand = "sleep"',
        '[task.web]\ncommand = "sleep"\nreplicas = "two"',
        '[task.web]\ncommand = "sleep"\nstop = { grace = "soon" }',
        '[task.web]\ncommand = "sleep"\nrestart = "sometimes"',
        "[supervisr]",
    ],
)
def test_the_schema_for_editors_refuses_what_is_wrong(wrong: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomli.loads(wrong), SCHEMA)
