"""Tests for L{hatwist.core.terms}: no term is given twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Record
from hatwist.core.terms import MARGIN, Terms

HEARD = st.lists(st.one_of(st.none(), st.integers(0, 500)), max_size=40)


class TermTests(SynchronousTestCase):
    """Naming, learning and setting aside."""

    @given(HEARD)
    def test_rises(self, heard: list[int | None]) -> None:
        """Whatever is heard in between, each claim's term is one above the highest that is known."""
        terms, known = Terms(7), 7
        for at, term in enumerate(heard):
            if term is None:
                known += 1
                self.assertEqual(terms.next(at), known)
            else:
                known = max(known, term)
                terms.learn(term, at)
            self.assertEqual(terms.highest, known)

    def test_since(self) -> None:
        """The highest term is known since it was first told, not since it was told again."""
        terms = Terms(0)
        terms.learn(5, 1.0)
        terms.learn(5, 2.0)
        terms.learn(4, 3.0)
        self.assertEqual((terms.highest, terms.highestAt), (5, 1.0))

    @given(HEARD)
    def test_setAside(self, heard: list[int | None]) -> None:
        """If each decision sets aside what has become scarce, the next term is always among what was asked for."""
        terms = Terms(0)
        for at, term in enumerate(heard):
            terms.learn(term or 0, at)
            if terms.scarce:
                self.assertEqual(terms.reserve(), terms.highest + MARGIN)
            self.assertFalse(terms.scarce)
            self.assertLess(terms.next(at), terms.reserving)

    def test_persisted(self) -> None:
        """What is on disk never becomes less: writes may be told of late."""
        terms = Terms(10)
        terms.persisted(Record(80))
        terms.persisted(Record(70))
        self.assertEqual(terms.reserved, 80)

    def test_restart(self) -> None:
        """A later start begins above everything that was set aside."""
        before = Terms(0)
        before.persisted(Record(before.reserve()))
        given = [before.next(1.0) for _ in range(3)]
        after = Terms(before.reserved)
        self.assertGreater(after.next(2.0), max(given))
