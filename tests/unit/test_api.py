"""The public surface: L{hatwist.api} is all that docs and examples import, and all that is told of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hatwist import api

ROOT = Path(__file__).parent.parent.parent
DOCS = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.tac"))


class ApiTests(SynchronousTestCase):
    """What programs import."""

    def test_onlyApi(self) -> None:
        """Docs, README and examples import from hatwist.api, and only what it lists."""
        found = 0
        for path in (*DOCS, *EXAMPLES):
            text = path.read_text("utf-8")
            self.assertEqual(re.findall(r"^[ >]*import hatwist.*", text, re.MULTILINE), [], path)
            lines = re.findall(r"^[ >]*from (hatwist\b[\w.]*) import (.+)", text, re.MULTILINE)
            for module, names in lines:
                self.assertEqual(module, "hatwist.api", path)
                for name in names.split(", "):
                    self.assertIn(name, api.__all__, path)
                    found += 1
        self.assertGreater(found, 12)

    def test_told(self) -> None:
        """Each name that it lists is there, once, and docs or examples tell of it."""
        text = "".join(path.read_text("utf-8") for path in (*DOCS, *EXAMPLES))
        words = set(re.findall(r"\w+", text))
        self.assertEqual([name for name in api.__all__ if not hasattr(api, name)], [])
        self.assertEqual(sorted(set(api.__all__) - words), [])
        self.assertEqual(len(api.__all__), len(set(api.__all__)))

    def test_noMore(self) -> None:
        """It imports nothing that it does not list."""
        names = {name for name in vars(api) if not name.startswith("_")}
        self.assertEqual(names, set(api.__all__))

    def test_noReactor(self) -> None:
        """Importing it installs no reactor: the program chooses."""
        code = "import sys, hatwist.api; print('twisted.internet.reactor' in sys.modules)"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertEqual(told.stdout, b"False\n")
