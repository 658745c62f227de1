"""The manual pages: hatwist(1) has every subcommand and option, hatwist.toml(5) every key, and man shows them."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hatwist.core.effects import EVENTS
from hatwist.frontends import cli
from hatwist.resources.kinds import KINDS
from hatwist.settings.key import Scope
from hatwist.settings.keys import KEYS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "man"
READERS = ("checks/*.py", "resources/**/*.py")
"""Where the keys of checks and resources are read; of all others there are rows."""
_KEY = re.compile(r'\.(?:take|table|tables|items)\(\s*"(\w+)"')
_OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)")


def shown(*argv: str) -> str:
    """What hatwist prints before it ends."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main(argv)
    return printed.getvalue()


def words(page: str) -> str:
    """The text of a page, without what is for the formatter."""
    text = (PAGES / page).read_text("utf-8")
    return re.sub(r"\\f.", " ", text.replace("\\-", "-").replace("\\ ", " "))


def commands() -> list[str]:
    """Every subcommand, from the list in C{--help}."""
    _, _, listed = shown("--help").partition("COMMAND\n")
    found = re.findall(r"^    ([a-z-]+) ", listed, re.MULTILINE)
    # A long name has its help on the next line.
    return sorted({*found, *re.findall(r"^    ([a-z-]+)$", listed, re.MULTILINE)})


class ManualTests(SynchronousTestCase):
    """The pages as they are."""

    def test_commands(self) -> None:
        """Every subcommand that --help lists has its entry in hatwist(1)."""
        page = words("hatwist.1")
        self.assertIn("release", commands())
        missing = [name for name in commands() if f"hatwist {name} " not in page]
        self.assertEqual(missing, [])

    def test_options(self) -> None:
        """Every option of every subcommand is in hatwist(1)."""
        page = words("hatwist.1")
        known = set(_OPTION.findall(page))
        for name in commands():
            there = set(_OPTION.findall(shown(name, "--help")))
            self.assertTrue(there, name)
            self.assertEqual(there - known, set(), name)

    def test_keys(self) -> None:
        """Every key that is read from a configuration file is in hatwist.toml(5)."""
        page = words("hatwist.toml.5")
        keys = {key.name for key in KEYS if key.scope is not Scope.OPTION} | {*EVENTS, *KINDS}
        for pattern in READERS:
            for reader in (ROOT / "hatwist").glob(pattern):
                keys.update(_KEY.findall(reader.read_text("utf-8")))
        self.assertTrue({"cluster", "tolerance", "resources", "undo", "rise"} <= keys, keys)
        bold = set(
            re.findall(r"[\w-]+", " ".join(re.findall(r"^\.B[RI]? (.*)$", page, re.MULTILINE)))
        )
        self.assertEqual(keys - bold, set())

    def test_rendered(self) -> None:
        """man shows both without a warning."""
        if shutil.which("man") is None or shutil.which("groff") is None:
            raise SkipTest("needs man and groff: apt-get install man-db groff")
        for page in ("hatwist.1", "hatwist.toml.5"):
            done = subprocess.run(
                ["man", "--warnings", "-E", "UTF-8", "-P", "cat", "-l", str(PAGES / page)],
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)
            self.assertIn("SEE ALSO", re.sub(".\b", "", done.stdout))

    def test_lines(self) -> None:
        """Every page begins with its name in the form that apropos reads."""
        for page, name in (("hatwist.1", "hatwist"), ("hatwist.toml.5", "hatwist.toml")):
            text = (PAGES / page).read_text("utf-8")
            self.assertRegex(text, rf"\n\.SH NAME\n{re.escape(name)} \\- \w")
