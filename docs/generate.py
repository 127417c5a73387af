#!/usr/bin/env python3
"""Make the reference documentation from the tables in the code: `python3 docs/generate.py [--check]`.

The config's keys (`config.schema`), the kinds of probes (`probes`), the verbs (`verbs`) and the states (`core.states`)
are data. From them come:

- the blocks between `<!-- keys: … -->` and `<!-- end -->` in `configuration.md`;
- the table of probes in `health.md`, and that of the helpers in `internals.md`;
- `supctl.md`, the three man pages in `man/`, `supervisor.schema.json` for editors, `states.svg` and `processes.svg`.

`--check` writes nothing, and ends with 1 if a file is not up to date. A test runs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from generator import editors, man, markdown, picture, processes  # noqa: E402


def pages() -> dict[Path, str]:
    """Return every generated file with its contents."""
    with_blocks = [DOCS / "configuration.md", DOCS / "health.md", DOCS / "internals.md"]
    return {
        **{page: markdown.with_blocks(page.read_text()) for page in with_blocks},
        DOCS / "supctl.md": markdown.supctl_page(),
        DOCS / "man" / "supctl.1": man.supctl_man(),
        DOCS / "man" / "supervisor.8": man.supervisor_man(),
        DOCS / "man" / "supervisor.toml.5": man.toml_man(),
        DOCS / "supervisor.schema.json": editors.json_schema(),
        DOCS / "states.svg": picture.states_svg(),
        DOCS / "processes.svg": processes.processes_svg(),
    }


def main() -> int:
    """Write the files, or say which are not up to date. Return the exit code."""
    old = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    check = sys.argv[1:] == ["--check"]
    for path, text in old.items():
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        done = "is not up to date; run python3 docs/generate.py" if check else "is written"
        sys.stdout.write(f"{path.relative_to(DOCS.parent)} {done}\n")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
