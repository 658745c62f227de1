"""Who is told of what by L{hatwist.runtime.reporter}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import Event, RoleChange
from hatwist.runtime.interfaces import IEventObserver
from hatwist.runtime.reporter import Reporter


@implementer(IEventObserver)
class Listener:
    """Writes down what it is told, with its name."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told

    def roleChanged(self, change: RoleChange) -> None:
        self.told.append(f"{self.name}: {change.group}")

    def noted(self, event: Event) -> None:
        self.told.append(f"{self.name}: {event.kind}")


def became(group: str) -> RoleChange:
    return RoleChange("c1", group, Role.STANDBY, Role.ACTIVE, 1, "no holder was heard")


class SubscribeTests(SynchronousTestCase):
    """L{Reporter.subscribe}."""

    def setUp(self) -> None:
        self.reporter = Reporter(["g1", "g2"])
        self.told: list[str] = []
        self.end = self.reporter.subscribe(self.listener("first"), "g1")
        self.reporter.subscribe(self.listener("second"), "g2")
        self.reporter.subscribe(self.listener("all"))

    def listener(self, name: str) -> Listener:
        return Listener(name, self.told)

    def test_itsOwn(self) -> None:
        """A change of a role is told to who is told of every group, and then to those of this one, and no other."""
        self.reporter.report(became("g1"))
        self.assertEqual(self.told, ["all: g1", "first: g1"])

    def test_event(self) -> None:
        """So is an event of a group; one of no group is told to everybody."""
        self.reporter.report(Event("conflict", "g2", "beta", ""))
        self.assertEqual(self.told, ["all: conflict", "second: conflict"])
        self.told.clear()
        self.reporter.report(Event("stalled", "", "", ""))
        self.assertEqual(self.told, ["all: stalled", "first: stalled", "second: stalled"])

    def test_ended(self) -> None:
        """Who ended it is told nothing more, whether the group is still there or not; the second end is none."""
        self.end()
        self.end()
        self.reporter.report(became("g1"))
        self.assertEqual(self.told, ["all: g1"])
        self.reporter.goes("g1")
        self.end()

    def test_comesAgain(self) -> None:
        """Who was told of a group that went is not told of another one of its name."""
        self.reporter.goes("g1")
        self.reporter.comes("g1")
        self.reporter.report(became("g1"))
        self.assertEqual(self.told, ["all: g1"])
