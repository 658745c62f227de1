"""For how long addresses may be added."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.resources.addresses.lease import Lease, allLast


class LeaseTests(SynchronousTestCase):
    """A lease that the test's clock runs down."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.until = inf

    def make(self, seconds: int | None, margin: float | None = None) -> Lease:
        lease = Lease(self.clock, seconds, lambda: self.until)
        lease.margin = margin
        lease.begin(0.0)
        return lease

    def test_left(self) -> None:
        """What may be written into a message now: lease, margin, the guard's time, the time now, seconds."""
        for seconds, margin, until, now, expected in (
            (None, None, inf, 5.0, None),
            (None, 0.4, 2.0, 1.0, None),
            (3, None, inf, 0.0, 3),
            (3, None, inf, 0.5, 2),  # counted from the arming
            (3, None, 9.0, 0.5, 2),
            (3, 0.4, 3.4, 0.0, 3),
            (3, 0.4, 3.4, 1.5, 1),
            (3, 0.4, 9.0, 1.5, 3),  # the guard was petted meanwhile
            (3, 0.4, 3.4, 2.5, 0),
        ):
            self.setUp()
            lease = self.make(seconds, margin)
            self.until = until
            self.clock.advance(now)
            self.assertEqual(lease.left(), expected, (seconds, margin, until, now))

    def test_prompt(self) -> None:
        """A little time that went by costs no whole second, where the lease ends when it ends."""
        lease = self.make(3)
        self.clock.advance(0.4)
        self.assertEqual((lease.left(0.4), lease.left()), (3, 2))

    def test_mayAdd(self) -> None:
        """Until the guard's time, or where there is none until the lease ends; at that time no more."""
        lease = self.make(3)
        for until, now, may in (
            (inf, 2.9, True),
            (inf, 3.0, False),
            (4.0, 3.9, True),
            (4.0, 4.0, False),
        ):
            self.until, self.clock.rightNow = until, now
            self.assertIs(lease.mayAdd(), may, (until, now))
            self.assertEqual(lease.remaining > 0, may)
        self.until = -inf
        self.assertIs(lease.mayAdd(), False)

    def test_oneLook(self) -> None:
        """All leases of one guard are looked at with one look, and one that has ended counts for all of them."""
        looks: list[str] = []
        ends = [9.0, 9.0, 9.0]

        def look() -> None:
            looks.append("look")
            ends[1] = later[0]

        def lease(number: int) -> Lease:
            return Lease(self.clock, 3, lambda: ends[number], look)

        for end, last in ((9.0, True), (-inf, False)):
            looks.clear()
            later = [end]
            self.assertIs(allLast([lease(number) for number in range(3)]), last)
            self.assertEqual(looks, ["look"])

    def test_renewed(self) -> None:
        """A renewal counts from now."""
        lease = self.make(3)
        self.clock.advance(2.0)
        lease.renew(2)
        self.assertEqual(lease.end, 4.0)

    @given(
        st.integers(1, 60),
        st.floats(0, 5),
        st.floats(0, 100, allow_nan=False),
        st.floats(0, 100, allow_nan=False),
    )
    def test_withinMargin(self, seconds: int, margin: float, until: float, now: float) -> None:
        """With a margin the kernel has always deleted them by the guard's time, however late it is asked."""
        self.setUp()
        lease = self.make(seconds, margin)
        self.until = until
        self.clock.rightNow = now
        left = lease.left()
        assert left is not None
        if left > 0:
            self.assertLessEqual(now + left + margin, until + 1e-9)
