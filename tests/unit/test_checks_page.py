"""docs/checks.rst shows what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hatwist.checks.check import CheckSpec
from hatwist.checks.reading import KINDS, parseCheck
from hatwist.core.table import Table

PAGE = (Path(__file__).parents[2] / "docs" / "checks.rst").read_text("utf-8")
EXAMPLES = re.findall(r"^ +(\{.*\}),?$", PAGE, re.MULTILINE)


class PageTests(SynchronousTestCase):
    """Its examples and defaults."""

    def read(self, text: str) -> CheckSpec:
        problems: list[str] = []
        spec = parseCheck(Table(tomllib.loads(f"check = {text}")["check"], problems))
        self.assertEqual(problems, [], text)
        assert spec is not None
        return spec

    def test_examples(self) -> None:
        """Every example is accepted, and every kind has one."""
        names = {self.read(text).name.partition(" ")[0] for text in EXAMPLES}
        self.assertEqual(names, set(KINDS))

    def test_messages(self) -> None:
        """Every message shown begins with the name of a check as an example has it, or one like it."""
        shown = re.findall(r"^    (\w+ .*) \(\d of \d\)$", PAGE, re.MULTILINE)
        self.assertGreater(len(shown), 15)
        for message in shown:
            self.assertIn(message.partition(" ")[0], KINDS, message)

    def test_defaults(self) -> None:
        """The table of defaults says what they are."""
        found = dict(re.findall(r"^``(\w+)``\s+(\S+)", PAGE, re.MULTILINE))
        spec = self.read('{carrier = "eth0"}')
        self.assertEqual(
            found,
            {
                "interval": f"{spec.interval:g}",
                "timeout": f"{spec.timeout:g}",
                "rise": str(spec.rise),
                "fall": str(spec.fall),
                "effect": f"``{spec.effect.name.lower()}``",
            },
        )
