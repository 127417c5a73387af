"""The README and the pages of docs/ against the program, and against the rules for their language."""

import ast
import getpass
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_layers import LAYERS

from supervisor.cli import main as cli
from supervisor.config import load
from supervisor.config.schema import LOG, TASK
from supervisor.core import exits
from supervisor.core.definition import IDENTITY
from supervisor.core.reload import AT_START
from supervisor.core.states import ALIVE, State
from supervisor.version import __version__

PROJECT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(PROJECT)): path.read_text()
    for path in [PROJECT / "README.md", PROJECT / "tests" / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
}
README = PAGES["README.md"]
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def table(page: str, head: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is `head`, without backticks around whole cells."""
    text = PAGES[page]
    rows = []
    for line in text[text.index(f"\n| {head} |") + 1 :].splitlines()[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return rows


def section(page: str, title: str) -> str:
    """Return the text below a heading, up to the next one of the same level."""
    level, _, _ = title.partition(" ")
    return PAGES[page].split(f"\n{title}\n", 1)[1].split(f"\n{level} ", 1)[0]


# -- against the code -------------------------------------------------------------------------------------------------


def test_states() -> None:
    shown = [(name, process) for name, process, _ in table("docs/lifecycle.md", "state")]
    assert shown == [(str(state), "yes" if state in ALIVE else "no") for state in State]


def test_exit_codes_of_supctl() -> None:
    codes = {exits.OK, exits.REFUSED, exits.USAGE, exits.NOT_WELL, exits.UNKNOWN, exits.UNREACHABLE}
    assert [int(code) for code, _ in table("docs/protocol.md", "exit code")] == sorted(codes)
    assert sorted(map(int, re.findall(r"\b(\d) ", cli.EPILOG.partition("\n\n")[0]))) == sorted(codes)


def test_exit_codes_of_supervisor() -> None:
    codes = {exits.OK, exits.FAILED, exits.USAGE, exits.EX_UNAVAILABLE, exits.EX_CONFIG}
    assert [int(code) for code, _ in table("docs/lifecycle.md", "code")] == sorted(codes)


def test_the_table_of_keys_has_every_key_that_can_be_used() -> None:
    shown = [name for _, names in table("docs/configuration.md", "topic") for name in names.replace("`", "").split()]
    assert sorted(shown) == sorted(name for name, key in TASK.items() if not key.instead)


def test_the_list_of_what_is_missing_is_that_of_the_schema() -> None:
    named = set(CODE.findall(section("docs/configuration.md", "## Not available yet")))
    missing = {name for name, key in TASK.items() if key.instead}
    missing |= {f"log.{name}" for name, key in LOG.items() if key.instead}
    assert named & (set(TASK) | {f"log.{name}" for name in LOG}) == missing


def test_the_keys_that_restart_a_task() -> None:
    text = section("docs/lifecycle.md", "## Reload")
    assert tuple(CODE.findall(re.search(r"keys of it changed:(.*?)\.\n", text, re.DOTALL)[1])) == IDENTITY
    assert tuple(CODE.findall(re.search(r"The settings (.*?) take\s", text, re.DOTALL)[1])) == AT_START


def test_the_packages_are_those_of_the_layers() -> None:
    shown = [name for name, _ in table("docs/internals.md", "package")]
    assert shown == [name for row in reversed(LAYERS[1:-1]) for name in row]


def events_of_the_code() -> dict[str, set[str]]:
    """Return the kinds of events, each with the fields that its call names."""
    found: dict[str, set[str]] = {"paused": set(), "resumed": set(), "gap": {"why"}}  # not written as a plain call
    for path in (PROJECT / "supervisor").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(ast.Attribute(attr="event"), [ast.Constant(str(kind))], words):
                    found.setdefault(kind, set()).update(word.arg for word in words if word.arg)
    return found


def test_every_kind_of_event_is_described_with_an_example() -> None:
    known, shown = events_of_the_code(), {}
    for text in re.findall(r"^    (\{.*\})$", PAGES["docs/events.md"], re.MULTILINE):
        example = json.loads(text)
        shown[example["event"]] = set(example)
    assert set(shown) == set(known)
    listed = {name for names, _ in table("docs/events.md", "kind") for name in CODE.findall(names)}
    assert listed == set(known)
    for kind, fields in known.items():
        assert fields <= shown[kind], f"the example of {kind} lacks {fields - shown[kind]}"
        described = section("docs/events.md", _heading_of(kind))
        lacking = [name for name in shown[kind] - {"cursor", "at", "event"} if f"`{name}`" not in described]
        assert not lacking, f"the section of {kind} does not name {lacking}"


def _heading_of(kind: str) -> str:
    heads = (line for line in PAGES["docs/events.md"].splitlines() if line.startswith("### "))
    return next(line for line in heads if kind in line.split())


@pytest.mark.parametrize(
    ("page", "tasks"),
    [("README.md", ["migrate", "web", "mailer", "import"]), ("docs/configuration.md", ["web", "import-orders"])],
)
def test_an_example_of_a_config_is_right(
    page: str, tasks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    text = re.search(r"```toml\n(.*?)```", PAGES[page], re.DOTALL)[1]
    file = tmp_path / "supervisor.toml"
    text = re.sub(r"socket_group *=.*", "", text).replace("www-data", getpass.getuser())
    file.write_text(text)
    assert list(load(str(file)).tasks) == tasks


@pytest.mark.parametrize("page", PAGES)
def test_examples_are_toml_and_json(page: str) -> None:
    for language, text in re.findall(r"```(toml|json)\n(.*?)```", PAGES[page], re.DOTALL):
        assert tomllib.loads(text) if language == "toml" else json.loads(text)


def test_the_command_of_the_tests_is_that_of_every_check() -> None:
    command = re.search(r"runs the tests[^\n]*:\n\n    python3 (\S+)\n", README)[1]
    assert command in (PROJECT / ".ci" / "run").read_text()


def test_the_changelog_knows_this_version() -> None:
    assert f"\n## [{__version__}]" in (PROJECT / "CHANGELOG.md").read_text()


# -- links ------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def without_code(text: str) -> str:
    """Return a page without its fenced and indented blocks of code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


LINKS = [(page, link) for page, text in PAGES.items() for link in sorted(set(LINK.findall(without_code(text))))]


@pytest.mark.parametrize(("page", "link"), [*LINKS, ("README.md", "LICENSE"), ("README.md", "conf/demo.toml")])
def test_a_link_leads_somewhere(page: str, link: str) -> None:
    name, _, anchor = link.partition("#")
    target = (PROJECT / page).parent / name if name else PROJECT / page
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text())


def test_the_readme_links_to_every_page() -> None:
    linked = set(LINK.findall(README))
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


# -- language ---------------------------------------------------------------------------------------------------------

LONGEST = 30
"""Words of a sentence."""


def blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, list items and cells of tables; no code, no headings."""
    for paragraph in re.split(r"\n\s*\n", without_code(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))):
        if paragraph.lstrip().startswith("|"):
            for line in paragraph.splitlines():
                yield from re.split(r"(?<!\\)\|", line)
        else:
            yield from re.split(r"\n(?=\s*(?:[-*]|\d+\.) |#|\|)", paragraph)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page. A piece of code is one word."""
    for block in blocks(text):
        plain = LINK.sub("]", re.sub(r"\]\(http\S+\)", "]", CODE.sub("CODE", block)))
        plain = re.sub(r"CODE(?:\s+CODE)+", "CODE", plain)
        yield from (one for one in re.split(r"(?<=[.!?])\)?\s+", " ".join(plain.split())) if one)


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short(page: str) -> None:
    long = [one for one in sentences(PAGES[page]) if len(re.findall(r"\w[\w'’.-]*", one)) > LONGEST]
    assert not long


@pytest.mark.parametrize("page", PAGES)
def test_list_items_are_short(page: str) -> None:
    items = re.findall(r"^(?:[-*]|\d+\.) .*(?:\n +\S.*)*", PAGES[page], re.MULTILINE)
    assert not [item for item in items if item.count("\n") > 2]


@pytest.mark.parametrize("page", PAGES)
def test_no_sentence_begins_with_who_or_what_as_a_noun(page: str) -> None:
    """A question may begin so: "Who may control it?"."""
    found = [one for one in sentences(PAGES[page]) if re.match(r"(?:[-*] )?(?:Who|What) ", one) and one[-1] != "?"]
    assert not found


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200
