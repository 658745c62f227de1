"""This node as a candidate for one group: who it is, how it is configured, and how fit."""

from __future__ import annotations

from hatwist.core.agenda import Pulse
from hatwist.core.fitness import Verdicts
from hatwist.core.worth import Worth
from hatwist.protocols.native.rules import GroupRules, Timing


class Candidate:
    """
    What all parts of an L{Election} go by.

    @param address: of the node, as a number.
    @ivar rules, timing: replaced by a reload, see L{configure}.
    @ivar hold: that of the timing, which each decision needs.
    @ivar session: which start of this node it is, which votes and requests name.
    @ivar muted: the node is silent, since another one has its name: it may hold nothing.
    @ivar hushed: the node says nothing yet: nobody would hear of what it claims.
    @ivar witnessed: when the last probe was sent that the witness has answered, the same for all groups.
    @ivar verdicts: of all that judges whether this node is fit.
    """

    def __init__(
        self,
        cluster: str,
        name: str,
        address: int,
        rules: GroupRules,
        timing: Timing,
        witnessed: Pulse,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.address = address
        self.configure(rules, timing)
        self.session = 0
        self.muted = self.hushed = False
        self.witnessed = witnessed
        self.verdicts = Verdicts()

    def configure(self, rules: GroupRules, timing: Timing) -> None:
        """Go by these from now on."""
        self.rules = rules
        self.timing = timing
        self.hold = timing.hold

    @property
    def worth(self) -> Worth:
        return Worth(self.verdicts.fitness, self.rules.priority, self.address, self.name)
