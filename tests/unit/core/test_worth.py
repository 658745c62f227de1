"""Tests for L{hatwist.core.worth}."""

from __future__ import annotations

import operator
from ipaddress import ip_address
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.worth import NO_ADDRESS, Fitness, Worth, addressNumber

# Few values of each field, so that ties are common.
worths = st.builds(
    Worth,
    st.sampled_from(Fitness),
    st.integers(0, 254) | st.sampled_from((100, 101)),
    st.integers(0, NO_ADDRESS) | st.sampled_from((1, 2)),
    st.sampled_from(("a", "b", "B", "node-10", "node-9")),
)


def worth(fitness: Fitness, priority: int, address: str | None, name: str) -> Worth:
    return Worth(fitness, priority, addressNumber(ip_address(address) if address else None), name)


# Worthiest first; each row differs from the next in what decides between them.
DESCENDING = (
    worth(Fitness.FIT, 254, "10.0.0.9", "z"),
    worth(Fitness.FIT, 101, "10.0.0.10", "z"),  # priority
    worth(Fitness.FIT, 100, "9.0.0.1", "z"),  # priority, whatever the address
    worth(Fitness.FIT, 100, "10.0.0.9", "z"),  # address, as a number: 9 before 10
    worth(Fitness.FIT, 100, "10.0.0.10", "z"),  # address: as strings, "10" came before "9"
    worth(Fitness.FIT, 100, "10.0.0.100", "z"),
    worth(Fitness.FIT, 100, "255.255.255.255", "z"),
    worth(
        Fitness.FIT, 100, "2001:db8::1", "a"
    ),  # every IPv4 address is below every global IPv6 one
    worth(Fitness.FIT, 100, "fe80::1", "a"),
    worth(Fitness.FIT, 100, None, "a"),  # no address comes last
    worth(Fitness.FIT, 100, None, "b"),  # name, where all else is equal
    worth(Fitness.FIT, 0, "10.0.0.1", "a"),
    worth(Fitness.DEGRADED, 254, "10.0.0.1", "a"),  # fitness comes before everything
    worth(Fitness.UNFIT, 254, "10.0.0.1", "a"),
)


class OrderTests(SynchronousTestCase):
    """Worth is a total order, so that any two nodes agree which of them is worthier."""

    def test_documentedOrder(self) -> None:
        """Fitness decides, then priority, then the numerically lowest address, then the name."""
        for better, worse in pairwise(DESCENDING):
            self.assertGreater(better, worse)
        self.assertEqual(sorted(DESCENDING, reverse=True), list(DESCENDING))

    @given(worths, worths)
    def test_totalAndAntisymmetric(self, a: Worth, b: Worth) -> None:
        """Of two worths exactly one is greater, or they are equal."""
        self.assertEqual([a > b, b > a, a == b].count(True), 1)

    @given(worths, worths, worths)
    def test_transitive(self, a: Worth, b: Worth, c: Worth) -> None:
        """Whoever beats one that beats a third beats the third."""
        low, middle, high = sorted((a, b, c))
        self.assertTrue(low <= middle <= high)
        self.assertLessEqual(low, high)
        if low < middle or middle < high:
            self.assertLess(low, high)

    @given(worths, worths)
    def test_operatorsAgree(self, a: Worth, b: Worth) -> None:
        """The four comparisons are views of one order."""
        self.assertEqual(a < b, b > a)
        self.assertEqual(a <= b, not a > b)
        self.assertEqual(a >= b, not b > a)
        self.assertEqual(max(a, b), a if a > b else b)

    def test_onlyWithWorths(self) -> None:
        """A worth compares with nothing else."""
        one = DESCENDING[0]
        for compare in (operator.gt, operator.lt, operator.ge, operator.le):
            self.assertRaises(TypeError, compare, one, 3)


class AddressNumberTests(SynchronousTestCase):
    """Addresses of both families have one order."""

    def test_numbers(self) -> None:
        """An IPv4 address counts as its IPv4-mapped IPv6 address; none at all as the greatest."""
        for text, number in (
            ("0.0.0.0", 0xFFFF00000000),
            ("10.0.0.1", 0xFFFF0A000001),
            ("::ffff:10.0.0.1", 0xFFFF0A000001),
            ("::1", 1),
            ("2001:db8::3", 0x20010DB8000000000000000000000003),
        ):
            self.assertEqual(addressNumber(ip_address(text)), number)
        self.assertEqual(addressNumber(None), (1 << 128) - 1)

    @given(st.ip_addresses(v=4), st.ip_addresses(v=4))
    def test_ipv4Order(self, a: object, b: object) -> None:
        """IPv4 addresses keep the order of their numbers, which is not that of their texts."""
        one, other = ip_address(str(a)), ip_address(str(b))
        self.assertEqual(addressNumber(one) < addressNumber(other), int(one) < int(other))
