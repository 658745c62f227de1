"""One turn: what a decision or a report brought about, and when to decide next."""

from __future__ import annotations

from math import inf

from hatwist.core.agenda import Pulse
from hatwist.core.effects import Effect


class Turn:
    """
    One decision about a group, or one report of the driver, while it is under way.

    @ivar now: what time it is; it does not pass during a turn.
    @ivar effects: what the driver is to do, in this order.
    @ivar wake: the time of the next decision that no packet brings; L{inf}: none.
    @ivar hurried: the others are to be told at once.
    @ivar attentive: the next packet is to be decided on, whatever it says.
    """

    __slots__ = ("_group", "attentive", "effects", "hurried", "now", "wake")

    def __init__(self, now: float, effects: list[Effect] | None = None, group: str = "") -> None:
        """@param group: which is decided, and must be again when an answer is another; C{""}: it is a question only."""
        self.now = now
        self._group = group
        self.effects: list[Effect] = [] if effects is None else effects
        self.wake = inf
        self.hurried = self.attentive = False

    def passed(self, time: float) -> bool:
        """Is it that time? If not yet, decide again then."""
        if self.now >= time:
            return True
        if time < self.wake:
            self.wake = time
        return False

    def older(self, pulse: Pulse, age: float) -> bool:
        """Is it so long ago? Decide again when that is no longer the answer."""
        return pulse.older(age, self.now, self._group)

    def attend(self) -> None:
        """Decide again with the next packet: what matters now is in each of them."""
        self.attentive = True

    def do(self, effect: Effect) -> None:
        """Ask the driver for it."""
        self.effects.append(effect)

    def hurry(self) -> None:
        """Something has changed, or must be answered: a packet is due now."""
        self.hurried = True
