"""The README against the program: its tables, lists and examples are compared with what they tell of."""

import getpass
import re
from pathlib import Path

import pytest

from supervisor import verbs
from supervisor.cli import main as cli
from supervisor.config import load
from supervisor.config.schema import LOG, TASK
from supervisor.core.definition import IDENTITY
from supervisor.core.reload import AT_START
from supervisor.core.states import ALIVE, State
from supervisor.verbs import interface
from supervisor.version import __version__

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
CODE = re.compile(r"`([^`\n]+)`")


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first heading is this one, without backticks."""
    lines = README[README.index(f"\n| {head} |") + 1 :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return rows


def section(title: str) -> str:
    """The text below a heading."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_states() -> None:
    shown = [(name, process) for name, process, _ in table("state")]
    assert shown == [(str(state), "yes" if state in ALIVE else "no") for state in State]


def test_verbs() -> None:
    assert {name: text for name, text in table("verb")} == verbs.NAMES  # noqa: C416 - two cells each, or an error


def test_exit_codes() -> None:
    codes = {
        interface.OK, interface.REFUSED, interface.USAGE, interface.NOT_WELL, interface.UNKNOWN, interface.UNREACHABLE,
    }  # fmt: skip
    assert [int(code) for code, _ in table("exit code")] == sorted(codes)
    assert sorted(map(int, re.findall(r"\b(\d) ", cli.EPILOG.partition("\n\n")[0]))) == sorted(codes)


def test_the_table_of_keys_has_every_key_that_can_be_used() -> None:
    shown = [name for _, names in table("what") for name in names.replace("`", "").split()]
    assert sorted(shown) == sorted(name for name, key in TASK.items() if not key.instead)


def test_the_list_of_what_is_missing_is_that_of_the_schema() -> None:
    named = set(CODE.findall(section("What this version does not do yet")))
    missing = {name for name, key in TASK.items() if key.instead}
    missing |= {f"log.{name}" for name, key in LOG.items() if key.instead}
    partly = set()
    assert missing <= named
    assert named & (set(TASK) | {f"log.{name}" for name in LOG}) == missing | partly


def test_the_keys_that_restart_a_task() -> None:
    text = section("What happens when")
    assert tuple(CODE.findall(re.search(r"keys of it changed:(.*?)\(of", text, re.DOTALL)[1])) == IDENTITY
    assert tuple(CODE.findall(re.search(r"The settings (.*?) take\s", text, re.DOTALL)[1])) == AT_START


def test_the_example_of_a_config_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    text = re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]
    file = tmp_path / "supervisor.toml"
    file.write_text(text.replace("www-data", getpass.getuser()))
    assert list(load(str(file)).tasks) == ["migrate", "web", "mailer", "import"]


def test_the_command_of_the_tests_is_that_of_every_check() -> None:
    command = re.search(r"Pass the tests:\n\n    python3 (\S+)\n", README)[1]
    assert command in (PROJECT / ".ci" / "run").read_text()


@pytest.mark.parametrize("link", sorted({*re.findall(r"\]\((?!http)([^)]+)\)", README), "LICENSE", "conf/demo.toml"}))
def test_what_the_readme_links_to_is_there(link: str) -> None:
    assert (PROJECT / link).exists()


def test_the_changelog_knows_this_version() -> None:
    assert f"\n## [{__version__}]" in (PROJECT / "CHANGELOG.md").read_text()
