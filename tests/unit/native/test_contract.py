"""hatwist's own protocol is one that a driver can run; each report and each effect has somebody."""

from __future__ import annotations

from typing import get_args
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import TOLD, Effect, Leased
from hatwist.core.machine import Machine
from hatwist.core.reports import Report
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.grouped import OF_GROUP
from hatwist.protocols.native.machine import OF_NODE, NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.runtime.performer import Performer
from tests.contracts_machine import GROUP, START, MachineContract


class NativeContract(MachineContract, SynchronousTestCase):
    """Without votes."""

    def make(self, name: str = "a", priority: int = 100, now: float = START) -> Machine:
        rules = NodeRules("c", name, 0.1, 0.35, (GroupRules(GROUP, priority),), ord(name))
        return NativeMachine(rules, Keyring(), 1, now)


class TotalTests(SynchronousTestCase):
    """No report and no effect is forgotten."""

    def test_reports(self) -> None:
        """Each report has its handler."""
        self.assertEqual({*OF_GROUP, *OF_NODE}, set(get_args(Report)))
        self.assertEqual(set(OF_GROUP) & set(OF_NODE), set())

    def test_effects(self) -> None:
        """Each effect is either told or has its action, but for the one that is for the fences alone."""
        performer = Performer(Mock(), {}, Mock(), Mock(), Mock())
        self.assertEqual({*performer.actions, *TOLD, Leased}, set(get_args(Effect)))
