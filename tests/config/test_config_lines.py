"""The line of each key, in files that try to confuse."""

import pytest

from supervisor.config.lines import Lines

TEXT = '''\
# [task.comment]
top = "[task.string]"  # = [
[task.web]
command = """
[task.fake]
fake = 1 \\"""
"""
stop.grace = "1s"
stop . "signal" = 'x'
list = [
  "[task.inlist]", # ]
  "fake = 1",
]
after = [ [1, 2], ["]"] ]
  indented = 1
[task . "two words".'log' ] # here
to = \'\'\'
[task.fake]\'\'\'
inline = { a = 1, b = { c = "}" } }
[[task.list]]
x = """four quotes""""
y = 1
[task."esc\\u0061pe"]
key.inner = 1
"quoted = key" = 2
[task.web.backoff]
initial = 1
[late.inner]
[late]
multi = {
  a = 1,
}
end = 1'''

LINES = [
    (("top",), 2),
    (("task",), 3),
    (("task", "web"), 3),
    (("task", "web", "command"), 4),
    (("task", "web", "fake"), 3),
    (("task", "fake"), 3),
    (("task", "comment"), 3),
    (("task", "web", "stop"), 8),
    (("task", "web", "stop", "grace"), 8),
    (("task", "web", "stop", "signal"), 9),
    (("task", "web", "stop", "to"), 8),
    (("task", "web", "list"), 10),
    (("task", "web", "after"), 14),
    (("task", "web", "indented"), 15),
    (("task", "two words"), 16),
    (("task", "two words", "log"), 16),
    (("task", "two words", "log", "to"), 17),
    (("task", "two words", "log", "inline", "b", "c"), 19),
    (("task", "list", "x"), 21),
    (("task", "list", "y"), 22),
    (("task", "escape"), 23),
    (("task", "escape", "key", "inner"), 24),
    (("task", "escape", "quoted = key"), 25),
    (("task", "web", "backoff"), 26),
    (("task", "web", "backoff", "initial"), 27),
    (("late", "inner"), 28),
    (("late",), 29),
    (("late", "multi", "a"), 30),
    (("late", "end"), 33),
    (("nothing",), 1),
    ((), 1),
]


@pytest.mark.parametrize(("path", "line"), LINES)
def test_line(path: tuple[str, ...], line: int) -> None:
    assert Lines(TEXT).line(path) == line


@pytest.mark.parametrize("text", ["", "[", '"', "= =", "a = [", 'a = """', "]", "a = ]\nb = 1", "\0", "[a\n]"])
def test_what_is_not_toml_ends(text: str) -> None:
    assert Lines(text).line(("a", "b")) >= 1
