"""Tests for L{hatwist.linux.netlink.classes}: message classes without the package around them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink.classes import classesOf


class PackageTests(SynchronousTestCase):
    """A package of the test's own, whose C{__init__} can be seen to have run."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        (self.root / "pile").mkdir(parents=True)
        self.patch(sys, "path", [str(self.root), *sys.path])
        self.addCleanup(self._forget)
        self.write("__init__", "everything = True")

    def write(self, name: str, text: str) -> None:
        (self.root / "pile" / f"{name}.py").write_text(text)

    def known(self) -> list[str]:
        return sorted(name for name in sys.modules if name.split(".")[0] == "pile")

    def _forget(self) -> None:
        for name in self.known():
            del sys.modules[name]

    def test_alone(self) -> None:
        """The classes come with the modules that theirs import, and leave the whole package to others."""
        self.write("common", "size = 7")
        self.write("stone", "from pile import common\nclass stone: size = common.size")
        self.write("brick", "from pile.stone import stone\nclass brick(stone): pass")
        stone, brick = classesOf("pile", ["pile.stone", "pile.brick"])
        self.assertEqual((brick.size, brick.__bases__), (7, (stone,)))
        self.assertEqual(self.known(), [])
        import pile  # type: ignore[import-not-found]

        self.assertTrue(pile.everything)

    def test_inNeed(self) -> None:
        """A module that cannot do without its package has it."""
        self.write("stone", "from pile import everything\nclass stone: pass")
        (stone,) = classesOf("pile", ["pile.stone"])
        self.assertEqual(stone.__name__, "stone")
        self.assertEqual(self.known(), ["pile", "pile.stone"])

    def test_there(self) -> None:
        """A package that somebody has imported already is used as it is."""
        self.write("stone", "class stone: pass")
        import pile.stone  # type: ignore[import-not-found]

        self.assertEqual(classesOf("pile", ["pile.stone"]), [pile.stone.stone])
        self.assertEqual(self.known(), ["pile", "pile.stone"])

    def test_missing(self) -> None:
        """What is not there fails as any import does, and nothing of it stays."""
        for package, module in (("nopile", "nopile.stone"), ("pile", "pile.nostone")):
            with self.assertRaisesRegex(ImportError, package):
                classesOf(package, [module])
        self.assertNotIn("nopile", sys.modules)
        self.assertEqual(self.known(), ["pile"])


class Pyroute2Tests(SynchronousTestCase):
    """The package that it is for."""

    def test_messages(self) -> None:
        """Netlink messages are encoded without NDB and sqlite3, and all of pyroute2 can be imported later."""
        code = (
            "import sys\n"
            "from hatwist.linux.netlink.messages import RTM_GETLINK, encodeDump\n"
            "encodeDump(RTM_GETLINK)\n"
            "assert not {'pyroute2', 'pyroute2.ndb', 'sqlite3'} & set(sys.modules)\n"
            "from pyroute2 import IPRoute, NDB\n"
            "assert {'pyroute2.ndb', 'sqlite3'} < set(sys.modules)\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
