"""CARP is a protocol that a driver can run, and each report has somebody."""

from __future__ import annotations

from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import Report
from hatwist.protocols.carp.machine import IGNORED, OF_GROUP, OF_NODE, CarpMachine
from hatwist.protocols.carp.packet import HOPS
from hatwist.protocols.carp.rules import CarpRules
from tests.contracts_machine import GROUP, START, MachineContract
from tests.unit.carp.hosts import LINK, own, rules


class CarpContract(MachineContract, SynchronousTestCase):
    """With advertisements each second and a bit."""

    patience = 5.0

    def make(self, name: str = "a", priority: int = 100, now: float = START) -> Machine:
        vhost = rules(ord(name), name=GROUP, advskew=254 - priority)
        return CarpMachine(CarpRules("c", name, (vhost,)), 7, now)

    def known(self, name: str) -> str:
        return str(own(ord(name)))

    def arriving(self, packet: Outgoing, source: Machine, target: Machine) -> Packet:
        assert packet.source is not None
        return Packet(packet.data, LINK, packet.source, HOPS)


class TotalTests(SynchronousTestCase):
    """No report is forgotten."""

    def test_reports(self) -> None:
        """Each report has its handler, or is ignored by name."""
        lists = (set(OF_GROUP), set(OF_NODE), set(IGNORED))
        self.assertEqual(set.union(*lists), set(get_args(Report)))
        self.assertEqual(sum(map(len, lists)), len(get_args(Report)))
