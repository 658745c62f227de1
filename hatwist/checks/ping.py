"""Checks that a host answers: by ARP or neighbour solicitation on the LAN, by ICMP echo elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from hatwist.checks.base import CheckWorld
from hatwist.linux.lan.witness import PER_INTERVAL, Witness
from hatwist.linux.netlink.messages import Address


@dataclass(frozen=True, slots=True)
class PingCheck:
    """
    Good while a host answers at least one of four questions that it is asked within the timeout.

    @ivar interface: where it is asked; C{None}: where the routes lead.
    """

    address: Address
    interface: str | None = None

    @property
    def name(self) -> str:
        return f"ping {self.address}" + (f" on {self.interface}" if self.interface else "")

    def problems(self) -> list[str]:
        from hatwist.checks.inside import CarrierCheck

        return CarrierCheck(self.interface).problems() if self.interface else []

    def probe(self, world: CheckWorld) -> _PingProbe:
        return _PingProbe(world, self)


class _PingProbe:
    def __init__(
        self, world: CheckWorld, spec: PingCheck, makeWitness: Callable[..., Witness] = Witness
    ) -> None:
        self._reactor = world.reactor
        self._waiting: Deferred[None] | None = None
        self._witness = makeWitness(
            world.reactor, world.kernel, spec.address, spec.interface, None, self._answered
        )

    def start(self) -> None:
        self._witness.start()

    def stop(self) -> None:
        self._witness.stop()

    def run(self, limit: float) -> Deferred[None]:
        """Fires with the first answer to a question that was sent from now on."""
        self._since = self._reactor.seconds()
        waiting = self._waiting = Deferred()
        asking = LoopingCall(self._witness.ask)
        asking.clock = self._reactor
        asking.start(limit / PER_INTERVAL)

        def over(result: Any) -> Any:
            self._waiting = None
            asking.stop()
            return result

        return waiting.addBoth(over)

    def _answered(self, sent: float) -> None:
        if self._waiting is not None and sent >= self._since and not self._waiting.called:
            self._waiting.callback(None)
