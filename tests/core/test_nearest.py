""" "Did you mean …": names a near miss, and nothing rather than a wrong guess."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.core.nearest import _slips, nearest
from supervisor.verbs import NAMES as VERBS

TABLE = """
typed           names                               meant
wbe             web worker poller                   web
wev             web worker poller                   web
we              web worker poller                   web
webb            web worker poller                   web
aa              a b                                 a
db              web worker poller                   -
x               a b                                 -
worker-2        worker-1 web                        worker-1
worker          poller web                          -
WEB             web poller                          web
mail_sender     mail-sender web                     mail-sender
mial-sendr      mail-sender web                     mail-sender
mail            mail-sender web                     mail-sender
mail            mail-sender mail-reader             -
env             environment environment_file user   environment
en              environment user                    -
warn            debug info warning error            warning
retries         requires restart                    -
port            prober probe                        -
SIGFOO          SIGIO SIGHUP                        -
SIGTREM         SIGTERM SIGHUP                      SIGTERM
exitcodes       success_exit code                   -
america         America/Nuuk America/Lima           -
Europe/Berlni   Europe/Berlin Europe/Dublin         Europe/Berlin
triggred        continuous triggered                triggered
q               -                                   -
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines()[1:])
def test_near_misses(line: str) -> None:
    typed, *names, meant = line.split()
    assert nearest(typed, [name for name in names if name != "-"]) == meant.replace("-", "", meant == "-")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("statsu", "status"), ("strat", "start"), ("lgos", "logs"), ("relaod", "reload"), ("delete", ""), ("list", ""),
     ("kill", ""), ("ps", ""), ("log", "logs"), ("shutdonw", "shutdown"), ("tail", ""), ("x" * 10000, ""), ("", "")],
)  # fmt: skip
def test_verbs(typed: str, meant: str) -> None:
    assert nearest(typed, VERBS) == meant


@given(st.text("ab_", max_size=12), st.text("ab_", max_size=12), st.integers(0, 6))
@example("______aaa", "____________", 3)
def test_the_bound_changes_nothing_below_it(typed: str, name: str, most: int) -> None:
    assert _slips(typed, name, most) in (whole := _slips(typed, name, 100), most + 1)
    assert (_slips(typed, name, most) > most) == (whole > most)


@pytest.mark.parametrize("word", ["x" * 60, "x" * 80])
def test_a_thousand_names_take_little_time(word: str) -> None:
    """The parent computes it. The bound is in CPU time, as the machine may be busy."""
    names = [f"customer-import-{number:04}" for number in range(1000)]
    before = time.process_time()
    nearest(word, names)
    assert time.process_time() - before < 0.2
