"""What became of many addresses on many hosts: L{hatwist.lab.manyfaults}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.lab.manyfaults import ManyAddresses, addressesOf, configuration
from hatwist.lab.verdict import HostChange, Span
from hatwist.settings import loadAll

ONE, TWO = "10.0.0.1", "10.0.0.2"


class AddressesTests(SynchronousTestCase):
    """Changes are read bit by bit, as the judge tells them."""

    def setUp(self) -> None:
        self.changes: list[HostChange] = []
        self.found = ManyAddresses([ONE, TWO])

    def see(self, time: float, host: str, address: str, there: bool) -> None:
        self.changes.append(HostChange(time, host, address, there))
        self.found.read(self.changes)

    def test_heldOnce(self) -> None:
        """An address is held once, or it is told; one that is no group's does not matter."""
        self.assertEqual(self.found.unheld(1.0), [ONE, TWO])
        self.see(2.0, "alpha", ONE, True)
        self.see(2.0, "alpha", "10.0.0.9", True)
        self.assertEqual((self.found.unheld(3.0), self.found.times(1.0)), ([TWO], [2.0]))
        self.see(4.0, "beta", ONE, True)
        self.assertEqual(self.found.unheld(5.0), [ONE, TWO])

    def test_heldTwice(self) -> None:
        """Two holders are told once they are over, and while they last."""
        for time, host, there in ((1.0, "alpha", True), (2.0, "beta", True), (2.5, "alpha", False)):
            self.see(time, host, ONE, there)
        both = Span(("alpha", "beta"), 2.0, 2.5)
        self.assertEqual(list(self.found.twice(0.0, 9.0)), [(ONE, both)])
        self.assertEqual(list(self.found.twice(2.5, 9.0)), [])
        self.see(3.0, "alpha", ONE, True)
        lasting = Span(("alpha", "beta"), 3.0, 9.0)
        self.assertEqual(list(self.found.twice(2.5, 9.0)), [(ONE, lasting)])


class ConfigurationTests(SynchronousTestCase):
    """The file that all nodes read."""

    def test_shared(self) -> None:
        """Each node is the worthiest for a third of the groups, and all addresses differ."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(configuration(9, 0.1, 0.35, ("alpha", "beta", "gamma")))
        found = loadAll(path)
        best = [max(found, key=lambda n: found[n].groups[at].priority) for at in range(9)]
        self.assertEqual(best, 3 * ["alpha", "beta", "gamma"])
        self.assertEqual(len({*addressesOf(600)}), 600)
