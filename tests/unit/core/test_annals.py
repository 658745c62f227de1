"""Tests for L{hatwist.core.annals}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.annals import GAVE_WAY, Annals
from hatwist.core.claims import Role
from hatwist.core.effects import Change, RoleChange


class AnnalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.annals = Annals("alpha")

    def test_own(self) -> None:
        """A role change of this node is one of the history, by its name."""
        change = RoleChange("c", "g", Role.STANDBY, Role.ACTIVE, 3, "no master was heard")
        self.assertEqual(
            self.annals.own(change, 5.0),
            Change(5.0, "alpha", "g", "STANDBY", "ACTIVE", 3, "no master was heard"),
        )

    def test_started(self) -> None:
        """Before its first role there was none."""
        found = self.annals.own(RoleChange("c", "g", None, Role.STANDBY, 0, "started"), 5.0)
        self.assertEqual((found.old, found.new), ("", "STANDBY"))

    def test_hears(self) -> None:
        """A master is told of once, and who was master before it, first."""
        (one,) = self.annals.hears("g", "10.0.0.2", "first", 1.0)
        self.assertEqual(
            (one.node, one.old, one.new, one.reason), ("10.0.0.2", "", "ACTIVE", "first")
        )
        self.assertEqual(self.annals.hears("g", "10.0.0.2", "again", 2.0), [])
        gone, other = self.annals.hears("g", "10.0.0.3", "second", 3.0)
        self.assertEqual((gone.node, gone.new, gone.reason), ("10.0.0.2", "STANDBY", GAVE_WAY))
        self.assertEqual((other.node, other.new), ("10.0.0.3", "ACTIVE"))

    def test_ended(self) -> None:
        """One that is master no more is told of once, also as one that fell silent."""
        self.annals.hears("g", "10.0.0.2", "", 1.0)
        (gone,) = self.annals.ended("g", "is silent", 2.0, silent=True)
        self.assertEqual((gone.old, gone.new, gone.reason), ("ACTIVE", "SILENT", "is silent"))
        self.assertEqual(self.annals.ended("g", "is silent", 2.0), [])

    def test_differs(self) -> None:
        """There is something to tell while another one is known, or one is known and nobody is master."""
        self.annals.hears("g", "10.0.0.2", "", 1.0)
        for name, master, differs in (
            ("10.0.0.2", True, False),
            ("10.0.0.3", True, True),
            ("10.0.0.2", False, True),
        ):
            self.assertEqual(self.annals.differs("g", name, master), differs)
        self.annals.ended("g", "", 2.0)
        self.assertFalse(self.annals.differs("g", "10.0.0.2", False))
