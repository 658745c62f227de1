"""
Routers that are held together, or not at all: mostly one, or those of one C{sync}.

Together they take over when each of them would alone, since a master that one of them still hears has all the
others too; and when one has to let go, all do. Between equal priorities the address of one decides for all, of
the lowest VRID, as on every node: the greater address on one network may well be the lesser one on another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hatwist.core.causes import Cause
from hatwist.core.standing import Decision
from hatwist.core.states import Input, State
from hatwist.protocols.vrrp.router import Router


class Sync:
    """
    @param name: of the C{sync}, or of the only group.
    """

    def __init__(self, name: str, routers: Collection[Router]) -> None:
        self.name = name
        self.routers: Sequence[Router] = sorted(
            routers, key=lambda each: (each.rules.vrid, each.rules.family, each.rules.name)
        )
        for number, router in enumerate(self.routers):
            router.leads = number == 0

    @property
    def claimAt(self) -> float:
        """When they are to be held; C{inf}: something else comes first, such as the release of one of them."""
        if len(self.routers) == 1:
            return self.routers[0].claimAt
        times = [router.claimAt for router in self.routers]
        # One that joins those that are held comes after them.
        holding = any(router.standing.holding for router in self.routers)
        return min(times) if holding else max(times)

    def decide(self, now: float) -> None:
        """Let go of all, or take all, or neither."""
        for router in self.routers:
            router.look(now)
        holding = [router for router in self.routers if router.standing.holding]
        if holding:
            self._yield(holding, now)
        if now >= self.claimAt:
            due = [router for router in self.routers if now >= router.claimAt]
            last = max(due, key=lambda router: router.claimAt)
            if not last.watch.late(last.claimAt, now):
                for router in due:
                    router.claim(now)

    def _yield(self, holding: Sequence[Router], now: float) -> None:
        reasons = [(router, router.reason) for router in holding]
        for router, reason in reasons:
            if reason is not None:
                router.yieldFor(reason, now)
        if len(self.routers) == 1:
            return
        leaving = next((r for r in self.routers if self._leaves(r)), None)
        if leaving is not None:
            why = f"in sync with {leaving.rules.name}, which is not held"
            for router in holding:
                if router.standing.holding:
                    router.yieldFor(Decision(Input.YIELD, why, Cause.OTHER), now)

    @staticmethod
    def _leaves(router: Router) -> bool:
        waits = router.standing.state in (State.STARTING, State.STANDBY, State.SHUTDOWN)
        return router.standing.lettingGo or (waits and not router.able)
