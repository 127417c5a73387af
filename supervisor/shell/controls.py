"""The controls: the only parts of the supervisor that a verb may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from supervisor.control.wait import Asker, Settled, Waits
from supervisor.shell.schedules import Schedules

if TYPE_CHECKING:
    from supervisor.core.instance import Instance
    from supervisor.shell.by_hand import ByHand
    from supervisor.shell.config_in_force import ConfigInForce
    from supervisor.shell.context import Context
    from supervisor.shell.ending import Ending
    from supervisor.shell.firings import FiringRuns
    from supervisor.shell.freezes import Freezes
    from supervisor.shell.helpers import Helpers
    from supervisor.shell.pools import PoolHolders
    from supervisor.shell.reported import Losses
    from supervisor.shell.run_again import RunAgain
    from supervisor.shell.upgrade import Upgrade


class Controls:
    """The acts and the facts that verbs need."""

    def __init__(  # noqa: PLR0913, PLR0917 - a bundle of parts
        self,
        context: Context,
        freezes: Freezes,
        config_in_force: ConfigInForce,
        ending: Ending,
        losses: Losses,
        helpers: Helpers,
        upgrade: Upgrade,
        firing_runs: FiringRuns,
        pool_holders: PoolHolders,
        by_hand: ByHand,
        run_again: RunAgain,
    ) -> None:
        self.context = context
        self.fleet = context.fleet
        self.host = context.host
        self.freezes = freezes
        self.config_in_force = config_in_force
        self.ending = ending
        self.losses = losses
        self.helpers = helpers
        self.upgrade = upgrade
        self.firing_runs = firing_runs
        self.pool_holders = pool_holders
        self.schedules = Schedules(context, firing_runs)
        self.by_hand = by_hand
        self.run_again = run_again
        self.since = context.host.stamp()  # when this supervisor came up
        self.waits = Waits()
        self.advance: Callable[[], None] = _nothing  # the parent sets it to `Parent.advance`

    def follow(self, client: Asker, instances: Iterable[Instance], settled: Settled) -> None:
        """Answer the client as soon as every instance has settled."""
        wait = self.waits.add(client, instances, settled)
        self.advance()
        self.waits.check(wait, self.context.fleet)


def _nothing() -> None:
    """Stand in until the parent has set `Controls.advance`."""
