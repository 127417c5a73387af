"""Define the states of an instance, and the legal changes between them.

`wanted` is not a state. It has its own field: people and triggers set it. Two facts follow from the state alone:

- whether a process exists;
- whether the state has a deadline, a moment at which the instance must leave it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of an instance. The comment says whether a process exists."""

    STOPPED = "stopped"  # no process; not wanted up, or a triggered task between runs, or a startup task that is done
    HELD = "held"  # no process; wanted, but a gate is closed: freeze, dependency, shutdown
    STARTING = "starting"  # a process; forked, not ready yet
    RUNNING = "running"  # a process; ready
    STOPPING = "stopping"  # a process; stop signal sent, grace running, SIGKILL at its end
    BACKOFF = "backoff"  # no process; failed, restart at a known time
    FAILED = "failed"  # no process; gave up, a person must act


ALIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""The states in which a process exists."""

WAITING = frozenset({State.STARTING, State.STOPPING, State.BACKOFF})
"""The states that have a deadline, and always have one; no other state has any."""

EDGES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.STOPPED, State.HELD),  # wanted
        (State.HELD, State.STOPPED),  # no longer wanted
        (State.HELD, State.STARTING),  # every gate is open
        (State.STARTING, State.RUNNING),  # ready
        (State.STARTING, State.STOPPING),  # asked to stop, or did not become ready in time, or left processes behind
        (State.STARTING, State.HELD),  # could not start, restart without delay
        (State.STARTING, State.BACKOFF),  # could not start, or ended before it was ready
        (State.STARTING, State.FAILED),  # the same, and its limit of failures is reached
        (State.STARTING, State.STOPPED),  # ended before it was ready, and no restart is due
        (State.RUNNING, State.STOPPING),  # asked to stop, or the leader ended and left processes behind
        (State.RUNNING, State.HELD),  # ended, restart without delay
        (State.RUNNING, State.BACKOFF),  # ended, restart after a delay
        (State.RUNNING, State.FAILED),  # ended, and its limit of failures is reached
        (State.RUNNING, State.STOPPED),  # ended, and no restart is due
        (State.STOPPING, State.STOPPED),  # gone, as asked
        (State.STOPPING, State.HELD),  # gone, and wanted again
        (State.STOPPING, State.BACKOFF),  # gone after it had failed
        (State.STOPPING, State.FAILED),  # gone after it had failed, and its limit of failures is reached
        (State.BACKOFF, State.HELD),  # the delay is over, or a person asked, or a freeze came
        (State.BACKOFF, State.STOPPED),  # no longer wanted
        (State.FAILED, State.HELD),  # a person asked, or the definition changed
        (State.FAILED, State.STOPPED),  # no longer wanted
    }
)
"""Every legal change of state. A change outside this table is a bug and raises."""
