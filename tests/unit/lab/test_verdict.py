"""What the lab's judge concludes from records."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.lab.verdict import Answered, HostChange, Report, Span, holding, judge, silences

A = "10.0.0.1"


def changes(*records: tuple[float, str, bool]) -> list[HostChange]:
    return [HostChange(time, host, A, there) for time, host, there in records]


def report(
    records: list[HostChange], answers: list[Answered], stalls: list[Span] | None = None
) -> Report:
    return judge(A, 10.0, 20.0, records, answers, stalls or [], 0, 0.001)


class HoldingTests(SynchronousTestCase):
    """Who held the address."""

    def test_nobody(self) -> None:
        """An address that nobody ever had was held by nobody throughout."""
        self.assertEqual(holding([], A, 10.0, 20.0), (Span((), 10.0, 20.0),))

    def test_beforeTheWindow(self) -> None:
        """Who got it before the window holds it from the window's start."""
        records = changes((5.0, "alpha", True))
        self.assertEqual(holding(records, A, 10.0, 20.0), (Span(("alpha",), 10.0, 20.0),))

    def test_afterTheWindow(self) -> None:
        """What happened after the window does not count."""
        records = changes((25.0, "alpha", True))
        self.assertEqual(holding(records, A, 10.0, 20.0), (Span((), 10.0, 20.0),))

    def test_otherAddress(self) -> None:
        """Changes of other addresses do not count."""
        records = [HostChange(11.0, "alpha", "10.0.0.2", True)]
        self.assertEqual(holding(records, A, 10.0, 20.0), (Span((), 10.0, 20.0),))

    def test_handover(self) -> None:
        """Release, a gap, and acquisition elsewhere are three spans without holes."""
        records = changes((1.0, "alpha", True), (12.0, "alpha", False), (12.5, "beta", True))
        self.assertEqual(
            holding(records, A, 10.0, 20.0),
            (
                Span(("alpha",), 10.0, 12.0),
                Span((), 12.0, 12.5),
                Span(("beta",), 12.5, 20.0),
            ),
        )

    def test_two(self) -> None:
        """Two at once are named together, in order of name."""
        records = changes((1.0, "beta", True), (12.0, "alpha", True), (13.0, "beta", False))
        self.assertEqual(
            [span.hosts for span in holding(records, A, 10.0, 20.0)],
            [("beta",), ("alpha", "beta"), ("alpha",)],
        )


class SilencesTests(SynchronousTestCase):
    """When nobody answered."""

    def test_noAnswers(self) -> None:
        """Without any answer all of the window is silent."""
        self.assertEqual(silences([], 10.0, 20.0), [Span((), 10.0, 20.0)])

    def test_edges(self) -> None:
        """Silence before the first answer and after the last counts up to the window's edges."""
        runs = [Answered("alpha", 11.0, 12.0, 1000), Answered("beta", 13.0, 18.0, 5000)]
        self.assertEqual(
            silences(runs, 10.0, 20.0),
            [Span((), 10.0, 11.0), Span((), 12.0, 13.0), Span((), 18.0, 20.0)],
        )

    def test_runBeginsBefore(self) -> None:
        """A run that reaches into the window leaves no silence at its start."""
        runs = [Answered("alpha", 5.0, 20.0, 15000)]
        self.assertEqual(sum(s.length for s in silences(runs, 10.0, 20.0)), 0.0)


class JudgeTests(SynchronousTestCase):
    """The figures of a report."""

    def test_outage(self) -> None:
        """The outage is the longest silence less the spacing; dark is the sum of all."""
        runs = [
            Answered("alpha", 9.0, 12.0, 1),
            Answered("alpha", 12.1, 15.0, 1),
            Answered("beta", 15.5, 20.0, 1),
        ]
        result = report(changes((1.0, "alpha", True)), runs)
        self.assertAlmostEqual(result.outage, 0.499)
        self.assertAlmostEqual(result.dark, 0.598)

    def test_smallGapsAreNone(self) -> None:
        """A change of host between two questions is no outage."""
        runs = [Answered("alpha", 9.0, 15.0, 1), Answered("beta", 15.001, 20.0, 1)]
        self.assertEqual(report([], runs).outage, 0.0)

    def test_noHolderAndTwo(self) -> None:
        """Times without a holder and with two are summed, apart from each other."""
        records = changes(
            (1.0, "alpha", True),
            (11.0, "alpha", False),
            (11.5, "beta", True),
            (12.0, "beta", False),
            (12.25, "beta", True),
            (15.0, "alpha", True),
            (16.0, "beta", False),
        )
        result = report(records, [])
        self.assertEqual(result.noHolder, 0.75)
        self.assertEqual(result.longestWithout(), 0.5)
        self.assertEqual(result.twoHolders, 1.0)

    def test_reachedAfter(self) -> None:
        """The right host is reached when the last answer by another, or silence, is over."""
        runs = [
            Answered("beta", 9.0, 10.05, 1),
            Answered("alpha", 10.051, 10.06, 1),
            Answered("beta", 10.061, 10.08, 1),
            Answered("alpha", 10.1, 15.0, 1),
            Answered("alpha", 15.005, 20.0, 1),
        ]
        result = report([], runs)
        self.assertAlmostEqual(result.reachedAfter("alpha"), 0.1)
        self.assertAlmostEqual(result.reachedAfter("alpha", slack=0.001), 5.005)
        self.assertEqual(result.reachedAfter("beta"), float("inf"))

    def test_reachedBefore(self) -> None:
        """Who answered all the time was reached at once."""
        result = report([], [Answered("alpha", 9.0, 20.0, 1)])
        self.assertEqual(result.reachedAfter("alpha"), 0.0)

    def test_silentAtTheEnd(self) -> None:
        """A host that is silent at the end is not reached."""
        result = report([], [Answered("alpha", 9.0, 19.0, 1)])
        self.assertEqual(result.reachedAfter("alpha"), float("inf"))

    def test_stalls(self) -> None:
        """Only stalls that touch the window are reported."""
        stalls = [Span((), 1.0, 2.0), Span((), 9.5, 10.5), Span((), 30.0, 31.0)]
        result = report([], [], stalls)
        self.assertEqual(result.stalls, (stalls[1],))
        self.assertEqual(result.stalled, 1.0)
