#!/usr/bin/env python3
"""Draw what a command shows on a terminal: `python3 docs/screen.py docs/status.svg supctl status`.

It is used by hand, with a supervisor that runs: a picture of a real run is another one each time. `status.svg` is
`supctl status` of `conf/demo.toml` after a minute. `heatmap.svg` is `supctl heatmap` of five tasks after two hours.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from pathlib import Path

WIDE, HIGH, EDGE = 8.43, 19, 14  # of a character, of a line, around them; in pixels of a font of 14
NAMED = {"31": "#f66151", "32": "#57e389", "33": "#f8e45c", "34": "#62a0ea", "36": "#5bc8af", "90": "#9a9996"}
SGR = re.compile(r"\033\[([0-9;]*)m")


def shown(command: list[str]) -> str:
    """Run a command on a terminal of its own, and return all that it writes there."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
        os.execvp(command[0], command)  # noqa: S606 - no shell is meant
    text = b""
    with suppress(OSError):  # EIO: the command has ended
        while data := os.read(terminal, 65536):
            text += data
    os.waitpid(pid, 0)
    return text.decode().replace("\r\n", "\n")


def pieces(line: str) -> Iterator[tuple[int, str, str, str]]:
    """Cut a line into pieces of one look: column, text, colour of the text, colour of the ground."""
    column, front, ground = 0, "", ""
    for number, part in enumerate(SGR.split(line)):
        if number % 2 == 0:
            if part:
                yield column, part, front, ground
            column += len(part)
        elif part.startswith("48;2;"):
            ground = f"rgb({','.join(part.split(';')[2:])})"
        else:
            front, ground = NAMED.get(part.removeprefix("1;"), ""), ""


def svg(title: str, text: str) -> str:
    """Return the picture of a text with colours."""
    lines = text.rstrip("\n").split("\n")
    width = max(len(SGR.sub("", line)) for line in lines) * WIDE + 2 * EDGE
    height = (len(lines) + 1) * HIGH + 2 * EDGE
    shapes = [f'<text x="{EDGE}" y="{EDGE + HIGH * 0.75:.0f}" fill="#9a9996">$ {escape(title)}</text>']
    for number, line in enumerate(lines, 1):
        top = EDGE + number * HIGH
        for column, part, front, ground in pieces(line):
            x = EDGE + column * WIDE
            if ground:
                size = f'width="{len(part) * WIDE:.2f}" height="{HIGH}"'
                shapes.append(f'<rect x="{x:.2f}" y="{top}" {size} fill="{ground}"/>')
            if part.strip():
                fill = f' fill="{front}"' if front else ""
                length = f'textLength="{len(part) * WIDE:.2f}" xml:space="preserve"'
                shapes.append(f'<text x="{x:.2f}" y="{top + HIGH * 0.75:.0f}" {length}{fill}>{escape(part)}</text>')
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="monospace" font-size="14" fill="#deddda">'
    ground = '<rect width="100%" height="100%" rx="8" fill="#241f31"/>'
    return "\n".join((head, f"<title>{escape(title)}</title>", ground, *shapes, "</svg>\n"))


def main(words: list[str]) -> int:
    """Write the picture. Return the exit code."""
    if len(words) < 2:
        sys.stderr.write("usage: screen.py FILE.svg COMMAND [ARGUMENT ...]\n")
        return 2
    file, *command = words
    Path(file).write_text(svg(" ".join(command), shown(command)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
