"""Which name was probably meant: for "did you mean …". A wrong guess is worse than none, so only a near miss counts."""

from __future__ import annotations

from collections.abc import Collection

LONGEST = 80
"""Characters of a word that are looked at; no name is longer."""

PER_SLIP = 4
"""Letters of a word that may have one slip of the keyboard; the first slip may be in a shorter one."""


def nearest(word: str, names: Collection[str]) -> str:
    """The name that was meant, or "": a slip, another case, a dash for an underscore, or a short form of only one."""
    folded = {_fold(name): name for name in names}
    typed = _fold(word[:LONGEST])
    slips, near = min(((_slips(typed, name), name) for name in folded), default=(LONGEST, ""))
    if slips <= max(1, len(typed) // PER_SLIP) and 2 * slips <= len(typed):
        return folded[near]
    longer = sorted(name for name in folded if len(typed) >= 3 and name.startswith(typed))
    if longer and all(name.startswith(longer[0]) for name in longer):
        return folded[longer[0]]
    return ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")


def _slips(typed: str, name: str) -> int:
    """Letters left out, put in, changed, or swapped with the next one: the least that explains it."""
    before: list[int] = []
    row = list(range(len(name) + 1))
    for i, a in enumerate(typed, 1):
        above, before, row = before, row, [i]
        for j, b in enumerate(name, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == name[j - 2] and b == typed[i - 2]:
                least = min(least, above[j - 2] + 1)
            row.append(least)
    return row[-1]
