"""Find the probable name for "did you mean …". A wrong guess is worse than none, so only a near miss counts."""

from __future__ import annotations

from collections.abc import Collection

LONGEST = 80
"""Characters of a word that are compared; no name is longer."""

PER_SLIP = 4
"""Letters of a word per allowed slip of the keyboard; a shorter word may have the first slip, too."""


def nearest(word: str, names: Collection[str]) -> str:
    """Return the probable name, or "": a slip, another case, a dash for an underscore, or a short form of only one."""
    folded = {_fold(name): name for name in names}
    typed = _fold(word[:LONGEST])
    most, near = min(max(1, len(typed) // PER_SLIP), len(typed) // 2), ""
    for name in sorted(folded):
        slips = _slips(typed, name, most)
        if slips < most or (slips == most and not near):
            most, near = slips, name
    if near:
        return folded[near]
    longer = sorted(name for name in folded if len(typed) >= 3 and name.startswith(typed))
    if longer and all(name.startswith(longer[0]) for name in longer):
        return folded[longer[0]]
    return ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")


def _slips(typed: str, name: str, most: int) -> int:
    """Return the least number of letters left out, put in, changed, or swapped with the next one.

    Above `most`, the result is just larger than `most`. The parent calls this with a thousand names, so it is fast:

    - It skips the common beginning of both words.
    - It computes only the cells of the table within `most` of the diagonal.
    - It stops when whole rows are above `most`.
    """
    same = next((at for at, (a, b) in enumerate(zip(typed, name, strict=False)) if a != b), min(len(typed), len(name)))
    typed, name = typed[same:], name[same:]
    if abs(len(typed) - len(name)) > most:
        return most + 1
    before: list[int] = []
    row: list[int] = [*range(most + 1), *[most + 1] * (len(name) - most)][: len(name) + 1]
    for i, a in enumerate(typed, 1):
        above, before, row = before, row, [i, *[most + 1] * len(name)]
        for j in range(max(1, i - most), min(len(name), i + most) + 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != name[j - 1]))
            if i > 1 and j > 1 and a == name[j - 2] and name[j - 1] == typed[i - 2]:
                least = min(least, above[j - 2] + 1)
            row[j] = least
        if min(row) > most and min(before) > most:
            return most + 1
    return min(row[-1], most + 1)
