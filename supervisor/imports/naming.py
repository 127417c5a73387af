"""Derive the name of a task from its command line: "/srv/app/backup.sh --all" is "backup".

The same file always gives the same names. A name that is taken gets a number: "backup-2".
"""

from __future__ import annotations

import os
import re

LONGEST = 40
"""Characters of a name, without its number."""

_WORD = re.compile(r"[^\s;&|<>(){}'\"`]+")
_ASSIGNMENT = re.compile(r"\w+=")
_ENDING = re.compile(r"\.(?:sh|bash|py|pl|php|rb|js|jar)$")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]+")

_NOISE = re.compile(
    r"(?<![\w./-])(?:test|\[)\s[^;&|]*(?:&&|\|\||;)"  # a condition before the command: "test -x /usr/sbin/anacron ||"
    r"|\$\(\([^()]*\)\)|\$\{[^}]*\}|\$\w+"  # "$((RANDOM % 30))", "${HOME}"
    r"|[0-9&]?[<>]{1,2}&?\s*[^\s;&|<>()]*"  # "> /dev/null 2>&1"
)

_RUNNERS = {
    ".", ":", "bash", "cd", "chronic", "command", "dash", "do", "echo", "env", "eval", "exec", "export", "false",
    "flock", "if", "ionice", "java", "ksh", "nice", "node", "nohup", "perl", "php", "printf", "python", "ruby",
    "run-parts", "setsid", "sh", "sleep", "source", "stdbuf", "sudo", "then", "time", "timeout", "true", "umask",
    "xargs", "zsh",
}  # fmt: skip
"""Programs that run another one, and words of the shell. They do not say what a job is for."""

_WITH_OPERAND = {"cd", "flock", "umask"}
"""Those whose first operand does not say it either."""


class Names:
    """The names of the tasks of one file."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def new(self, command: str) -> str:
        """Return the name for a command line."""
        base = name = _name_of(command)
        number = 1
        while name in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name)
        return name


def _name_of(command: str) -> str:
    words = _WORD.findall(_NOISE.sub(" ", command))
    modules = [words[at + 1].rpartition(".")[2] for at, word in enumerate(words[:-1]) if word == "-m"]
    for word in (*modules[:1], *_candidates(words), *words):
        if name := _NOT_IN_A_NAME.sub("-", _ENDING.sub("", os.path.basename(word))).strip("-")[:LONGEST].strip("-"):
            return name
    return "job"


def _candidates(words: list[str]) -> list[str]:
    """Return the words that may say what the job is for."""
    found: list[str] = []
    operand = False
    for word in words:
        program = os.path.basename(word).rstrip("0123456789.")
        if word.startswith(("-", "+", "%")) or word.isdigit() or _ASSIGNMENT.match(word):
            continue
        if not operand and program not in _RUNNERS:
            found.append(word)
        operand = not operand and program in _WITH_OPERAND
    return found
