"""The hatwist command, the demo's table and figures, and the message of an impossible world."""

from __future__ import annotations

import contextlib
import io
import json
import re

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist import __version__
from hatwist.frontends import cli
from hatwist.lab.measurement import FIGURES, OUTAGE, Measurement, measured
from hatwist.lab.scenarios import DEMO, LONG, SCENARIOS, WITHOUT_VOTES
from hatwist.lab.story import Playlist, ProgressLine, summary, table
from hatwist.lab.verdict import Span, judge
from hatwist.lab.world import advice


def command(*argv: str) -> tuple[object, str]:
    """Exit status, and everything printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status: object = cli.main(argv)
        except SystemExit as end:
            status = end.code
    return status, printed.getvalue()


def measurement(value: float, problem: str = "") -> Measurement:
    return Measurement("power-loss", value, 0.2, 0.0, "outage", value, 0.355, problem, 0.0)


class CommandTests(SynchronousTestCase):
    """C{hatwist}."""

    def test_version(self) -> None:
        """--version prints the version."""
        self.assertEqual(command("--version"), (0, f"hatwist {__version__}\n"))

    def test_noCommand(self) -> None:
        """Without a subcommand: usage, exit 2."""
        status, printed = command()
        self.assertEqual(status, 2)
        self.assertIn("usage: hatwist", printed)

    def test_list(self) -> None:
        """--list names every scenario with what it does, without a private world."""
        status, printed = command("lab", "--list")
        self.assertEqual(status, 0)
        self.assertEqual([line.split()[0] for line in printed.splitlines()], [*SCENARIOS, *LONG])

    def test_badValues(self) -> None:
        """Impossible numbers are refused with what is allowed."""
        for option, value, allowed in (
            ("--interval", "0", "0.001 to 60"),
            ("--tolerance", "61", "0.001 to 60"),
            ("--repeat", "0", "at least 1"),
            ("--interval", "nan", "0.001 to 60"),
        ):
            status, printed = command("lab", option, value)
            self.assertEqual(status, 2)
            self.assertIn(option, printed)
            self.assertIn(allowed, printed)


class TableTests(SynchronousTestCase):
    """What the demo ends with."""

    def test_table(self) -> None:
        """Every scenario has a line with its figures in ms, its bound, and the verdict."""
        text = table([measurement(0.3404), measurement(0.4)], "10.99.0.100", 0.1, 0.35)
        lines = [" ".join(line.split()) for line in text.splitlines()]
        self.assertIn("power-loss 340 200 0 outage <= 355 ok", lines)
        at = lines.index("power-loss 400 200 0 outage <= 355 FAILED")
        self.assertEqual(lines[at + 1], "outage: 400 ms")
        self.assertIn("1 of 2 within the bounds", lines)

    def test_problem(self) -> None:
        """A problem fails a measurement within its bound, and is named below it."""
        wrong = measurement(0.1, "two hosts held the address")
        self.assertFalse(wrong.ok)
        text = table([wrong], "a", 0.1, 0.35)
        self.assertRegex(text, r"power-loss .* FAILED\n    two hosts held the address\n")

    def test_narrow(self) -> None:
        """Whatever is played, and however long it took, no line has more than 80 characters."""
        runs = [
            measurement(25.0, problem)._replace(
                scenario=name,
                bounded=bounded,
                noHolder=25.0,
                twoHolders=25.0,
                bound=25.0,
                note=note,
            )
            for name in (*SCENARIOS, *LONG)
            for bounded in FIGURES
            for problem, note in (("", WITHOUT_VOTES), ("held by somebody, in turn; " * 9, ""))
        ]
        for line in table(runs, "10.99.0.100", 0.1, 0.35).splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_explained(self) -> None:
        """Each bound is of a figure that has a column and is explained; what looks wrong has a note, once."""
        for bounded in FIGURES:
            run = measurement(0.05)._replace(bounded=bounded, note=WITHOUT_VOTES)
            text = table([run, run], "a", 0.1, 0.35)
            heads = text.splitlines()[2:4]
            self.assertIn(bounded.split()[-1], heads[1].split())
            self.assertEqual(len(re.findall(f"^{bounded}: ", text, re.MULTILINE)), 1)
            self.assertEqual(text.count("cut-with-votes"), 1)
        self.assertIn("cut-with-votes", DEMO)

    def test_summary(self) -> None:
        """The JSON has median and worst of each fault, and every run."""
        playlist = Playlist(repeat=3)
        runs = [measurement(0.1), measurement(0.2), measurement(0.9)]
        result = json.loads(json.dumps(summary(runs, playlist)))
        self.assertFalse(result["ok"])
        self.assertEqual(result["summary"]["power-loss"]["median"], 0.2)
        self.assertEqual(result["summary"]["power-loss"]["worst"], 0.9)
        self.assertEqual(result["summary"]["power-loss"]["ok"], 2)
        self.assertEqual([run["ok"] for run in result["runs"]], [True, True, False])

    def test_median(self) -> None:
        """From five runs on the median has a bound of its own, by which all may fail."""
        playlist = Playlist(repeat=5)
        runs = [measurement(value)._replace(usual=0.1) for value in (0.05, 0.06, 0.2, 0.2, 0.2)]
        self.assertFalse(summary(runs, playlist)["ok"])
        self.assertIn("power-loss: the median is 200 ms, and may be 100 ms", table(runs, "a", 1, 1))
        self.assertTrue(summary(runs[:4], playlist)["ok"])
        fast = [*runs[:2], *runs[:3]]
        self.assertTrue(summary(fast, playlist)["ok"])
        self.assertEqual(summary(fast, playlist)["summary"]["power-loss"]["median_bound"], 0.1)
        self.assertNotIn("median", table(fast, "a", 1, 1))


class ExcusedTests(SynchronousTestCase):
    """When the machine itself stood still."""

    def test_figure(self) -> None:
        """A figure is excused only when the standstill makes up all that is too much."""
        late = measurement(0.4)
        self.assertTrue(late._replace(stalled=0.05).excused(0.35))
        self.assertFalse(late._replace(stalled=0.04).excused(0.35))
        self.assertFalse(late.excused(0.35))

    def test_oneProcessor(self) -> None:
        """A processor that was given to another machine counts, though the judge ran on another one meanwhile."""
        seen = judge("10.0.0.1", 1.0, 2.0, [], [], [Span((), 1.2, 1.21)], 0, 0.001, 0.05)
        self.assertEqual(measured(seen, OUTAGE, 0.4, 0.35).stalled, 0.05)
        seen = seen._replace(stolen=0.0)
        self.assertAlmostEqual(measured(seen, OUTAGE, 0.4, 0.35).stalled, 0.01)

    def test_problem(self) -> None:
        """Anything else is excused only by a standstill of half of the tolerance."""
        wrong = measurement(0.1, "two hosts held the address")
        self.assertTrue(wrong._replace(stalled=0.18).excused(0.35))
        self.assertFalse(wrong._replace(stalled=0.05).excused(0.35))


class ProgressTests(SynchronousTestCase):
    """The live line."""

    def test_longStep(self) -> None:
        """A step that takes long says so every other second, and how it ended."""
        clock, stream = Clock(), io.StringIO()
        progress = ProgressLine(clock, stream)
        progress.begin("cut")
        clock.pump([1.0] * 4)
        progress.end("ok")
        clock.pump([1.0] * 4)
        self.assertEqual(
            stream.getvalue().splitlines(), ["cut ...", "cut ... 2 s", "cut ... 4 s", "cut: ok"]
        )


class AdviceTests(SynchronousTestCase):
    """Where a private world is forbidden."""

    def test_sysctl(self) -> None:
        """The sysctl that forbids it is named, with the command that allows it, and sudo's form."""
        text = advice(
            "unshare: Operation not permitted",
            ["python3", "-m", "hatwist.frontends.cli", "lab"],
            False,
            {"kernel.unprivileged_userns_clone": "0", "user.max_user_namespaces": "96365"},
        )
        self.assertIn("sudo sysctl -w kernel.unprivileged_userns_clone=1", text)
        self.assertNotIn("max_user_namespaces", text)
        self.assertRegex(text, r"sudo .*python3 -m hatwist.frontends.cli lab$")

    def test_appArmor(self) -> None:
        """Ubuntu's restriction is recognised though its forbidding value is 1."""
        values = {"kernel.apparmor_restrict_unprivileged_userns": "1"}
        text = advice("unshare: Permission denied", ["x"], False, values)
        self.assertIn("sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0", text)

    def test_unknown(self) -> None:
        """When no sysctl forbids it, what else may is named."""
        text = advice("unshare: Operation not permitted", ["x"], False, {})
        self.assertIn("seccomp", text)

    def test_root(self) -> None:
        """Root is not told to become root, but what a container lacks."""
        text = advice("unshare: Operation not permitted", ["x"], True, {})
        self.assertIn("CAP_SYS_ADMIN", text)
        self.assertNotIn("sudo", text)
