"""What README.rst claims of options and commands is so."""

from __future__ import annotations

import doctest
import re
import runpy
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import EXPECTED, REASONS
from hatwist.core.guarantee import Level
from hatwist.core.linkspec import LinkSpec
from hatwist.frontends.tap import Options, chosen
from hatwist.protocols.native.guarantee import guarantee
from hatwist.protocols.native.rules import Timing
from hatwist.runtime.store import DIRECTORY
from hatwist.settings import MULTICAST, TOLERANCE, Settings, settings

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.rst").read_text()
FENCING = (ROOT / "docs/fencing.rst").read_text()


def commands() -> list[str]:
    """Every line of the indented blocks that is a command."""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", README)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


class OptionsTests(SynchronousTestCase):
    """The table of options is that of the program."""

    def rows(self) -> dict[str, tuple[str, str, str]]:
        """Short form, unit and default of each option in the table."""
        table = README[README.index("\noption ") : README.index("Without ``--config`` at least")]
        found = re.findall(
            r"^``--([a-z-]+)``(?:, ``-([a-z])``)? +(?: |(seconds) +)(\S.*?)  +\S",
            table,
            re.MULTILINE,
        )
        return {name: (short, unit, default.strip()) for name, short, unit, default in found}

    def test_names(self) -> None:
        """It lists each option, and no other, with its short form."""
        options = Options()
        declared: Any = [*options.optParameters, *options.optFlags]
        shorts = {row[0]: row[1] or "" for row in declared}
        flags = {row[0] for row in options.optFlags}
        shorts |= {"address": "a", "alias": "", "link": "", "members": ""}
        self.assertEqual({name: row[0] for name, row in self.rows().items()}, shorts)
        self.assertEqual(
            {name for name in options.longOpt if not name.startswith(("help", "version"))},
            {name if name in flags else f"{name}=" for name in shorts},
        )

    def test_defaults(self) -> None:
        """It gives each default as the program has it."""
        rows = self.rows()
        declared: Any = Options.optParameters
        for name, _, default, *_ in declared:
            if default is not None:
                self.assertEqual(rows[name][2], default, name)
        self.assertEqual(rows["tolerance"][2], f"{TOLERANCE} intervals")
        self.assertEqual(rows["multicast"][2], str(MULTICAST))
        self.assertEqual(rows["state-dir"][2], DIRECTORY)
        plain = settings(interface="eth0")
        self.assertEqual((rows["lease"][2], plain.lease), ("the tolerance", 4))
        self.assertEqual(
            (rows["link"][2], plain.ways), ("``--interface``", (LinkSpec(plain.interface),))
        )

    def test_units(self) -> None:
        """Times have their unit."""
        timed = {name for name, row in self.rows().items() if row[1] == "seconds"}
        self.assertEqual(timed, {"interval", "tolerance", "preempt-delay", "ask-limit", "lease"})


class CommandTests(SynchronousTestCase):
    """The commands exist, and are understood."""

    def test_make(self) -> None:
        """Each make target named is in the Makefile."""
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        named = [line.split()[1] for line in commands() if line.startswith("make ")]
        self.assertEqual(named, ["demo", "quick", "test"])
        self.assertTrue(set(named) <= set(targets))

    def test_twistd(self) -> None:
        """Each line of twistd ha has options that are accepted, but for what the host must have."""
        lines = [line for line in commands() if "/twistd " in line and " ha --interface" in line]
        self.assertEqual(len(lines), 6)
        for line in lines:
            chosen = self.chosen(line)
            self.assertEqual([str(spec) for spec in chosen.addresses], ["192.168.1.100/24"])

    def chosen(self, line: str) -> Settings:
        """What C{twistd ha} makes of a line, on a host called alpha."""
        options = Options()
        options.parseOptions(shlex.split(line.partition(" ha ")[2]))
        options["node"] = options["node"] or "alpha"
        with mock.patch("hatwist.settings.readers.readKeys", return_value=(b"k" * 16,)):
            return chosen(options, here=False)

    def test_thirdOpinions(self) -> None:
        """The lines for two links, a witness and votes give those."""
        lines = [line for line in commands() if "/twistd " in line and " ha --interface" in line]
        (links,) = (self.chosen(line) for line in lines if " --link " in line)
        self.assertEqual(
            [str(spec) for spec in links.ways], ["eth0,multicast", "eth1,unicast=10.0.0.2"]
        )
        (witness,) = (self.chosen(line) for line in lines if " --witness " in line)
        self.assertEqual(str(witness.witness), "192.168.1.1")
        self.assertEqual(witness.tolerance, 4.5 * witness.interval)
        (votes,) = (self.chosen(line) for line in lines if " --quorum " in line)
        assert votes.quorum is not None
        self.assertEqual((votes.quorum.needed, len(votes.quorum.members)), (2, 3))
        found = guarantee(Timing(votes.interval, votes.tolerance), votes.quorum, True, votes.lease)
        self.assertIs(found.level, Level.EXCLUSIVE)

    def test_guarantee(self) -> None:
        """The lines about the guarantee, here and in fencing.rst, are those of two hosts without more."""
        found = guarantee(Timing(1.0, 3.5), None, True, 4)
        shown = [
            f"Guarantee: {found.level.value}: {found.reason}",
            *(f"Not protected: {gap}" for gap in found.gaps),
        ]
        for text in (README, FENCING):
            self.assertEqual(
                re.findall(r"^    ((?:Guarantee|Not protected): .*)", text, re.MULTILINE), shown
            )

    def test_files(self) -> None:
        """Each file of the project that is named exists."""
        named = set(re.findall(r"(?:docs|examples)/[a-z_]+\.[a-z]+", README))
        self.assertEqual(len(named), 13)
        for name in named:
            self.assertTrue((ROOT / name).exists(), name)

    def test_logLines(self) -> None:
        """The table of what is logged has lines of the log; that they come is a live test's."""
        self.assertEqual(len([line for line in commands() if line.startswith("default: ")]), 3)


class DocumentTests(SynchronousTestCase):
    """What docs/ shows as Python works, and what it lists is there."""

    def test_examples(self) -> None:
        """The interactive examples of embedding.rst give what they show."""
        failed, tried = doctest.testfile(
            str(ROOT / "docs/embedding.rst"), module_relative=False, report=True
        )
        self.assertGreater(tried, 10)
        self.assertEqual(failed, 0)

    def test_arithmetic(self) -> None:
        """What fencing.rst computes comes out."""
        failed, tried = doctest.testfile(
            str(ROOT / "docs/fencing.rst"), module_relative=False, report=True
        )
        self.assertGreater(tried, 8)
        self.assertEqual(failed, 0)

    def test_formulas(self) -> None:
        """The formulas of fencing.rst are those of the code."""
        for interval, tolerance in ((1, 3.5), (0.1, 0.35), (0.1, 0.2), (60, 200), (0.01, 0.03)):
            timing = Timing(interval, tolerance)
            self.assertAlmostEqual(timing.releaseTime, min(0.02, 0.0015 + tolerance / 100))
            self.assertAlmostEqual(timing.lateness, min(0.01, 0.0028 + 0.006 * tolerance))
            hold = 0.99 / 1.01 * tolerance - timing.releaseTime - timing.lateness
            self.assertAlmostEqual(timing.hold, hold)
            ample = hold - 2 * interval
            witness = ample if ample >= interval else hold - interval
            self.assertAlmostEqual(timing.witnessHold, witness)

    def test_logLines(self) -> None:
        """Every line of the log that fencing.rst advises on is one of the program's."""
        found = re.findall(r"^``(.*)``$", FENCING[FENCING.index("What to do\n") :], re.MULTILINE)
        self.assertGreater(len(found), 10)
        source = "".join(path.read_text() for path in (ROOT / "hatwist").rglob("*.py"))
        source = re.sub(r"\"\s+f?\"", "", source)
        variable = r"\.\.\.| in default(?: beta)?:|\b(?:alpha|beta|default)\b|02(?::[0-9a-b]{2})+|\d[\d.]*|: "
        for line in found:
            for part in re.split(variable, line):
                if part.strip():
                    self.assertIn(part.strip(), source, line)

    def test_names(self) -> None:
        """Every name that embedding.rst imports is importable."""
        text = (ROOT / "docs/embedding.rst").read_text()
        found = re.findall(r"from ([\w.]+) import ([\w, ]+)", text)
        self.assertGreater(len(found), 7)
        for module, names in found:
            for name in names.split(", "):
                if (module, name) != ("twisted.internet", "reactor"):
                    self.assertTrue(hasattr(import_module(module), name), f"{module}.{name}")

    def test_reasons(self) -> None:
        """architecture.rst names every reason for which a packet is dropped and logged."""
        text = (ROOT / "docs/architecture.rst").read_text()
        for reason in REASONS:
            if reason not in EXPECTED:
                self.assertIn(f"``{reason}``", text)

    def test_events(self) -> None:
        """architecture.rst explains every kind of event, and no other."""
        text = (ROOT / "docs/architecture.rst").read_text()
        section = text[text.index("begin with their kind") : text.index("Lines of a link")]
        code = "".join(path.read_text() for path in (ROOT / "hatwist").rglob("*.py"))
        kinds = set(re.findall(r"(?:\.event|_say)\(\s*\"([a-z-]+)\"", code))
        self.assertEqual(set(re.findall(r"``([a-z-]+)``(?=,|$)", section, re.MULTILINE)), kinds)

    def test_rooms(self) -> None:
        """architecture.rst has each room, as the docstring of the room has it."""
        rooms = runpy.run_path(str(ROOT / "docs/rooms.py"))
        text = (ROOT / "docs/architecture.rst").read_text()
        self.assertEqual(rooms["page"](text), text, "python docs/rooms.py makes it anew")
        self.assertIn("``protocols/native``", rooms["rooms"]())
