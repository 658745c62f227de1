"""The house has three floors, and arrows between modules point down only."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import hatwist

ROOT = Path(hatwist.__file__).parent

GROUND, MIDDLE, TOP = range(3)

# Each module or package of hatwist by its floor; "" is hatwist itself. A new one is entered here.
FLOORS = {
    "": GROUND,
    "errors": GROUND,
    "worth": GROUND,
    "heartbeat": GROUND,
    "counting": GROUND,
    "wire": GROUND,
    "encoding": GROUND,
    "decoding": GROUND,
    "auth": GROUND,
    "membership": GROUND,
    "election": GROUND,
    "group": GROUND,
    "inputs": GROUND,
    "holding": GROUND,
    "moving": GROUND,
    "roles": GROUND,
    "rules": GROUND,
    "votes": GROUND,
    "electorate": GROUND,
    "guarantee": GROUND,
    "groups": GROUND,
    "attendance": GROUND,
    "sending": GROUND,
    "machine": GROUND,
    "effects": GROUND,
    "causes": GROUND,
    "tally": GROUND,
    "frames": GROUND,
    "chronicle": GROUND,
    "explain": GROUND,
    "isolation": GROUND,
    "reasons": GROUND,
    "phrases": GROUND,
    "recorder": GROUND,
    "linkspec": GROUND,
    "table": GROUND,
    "testing": GROUND,
    "interfaces": MIDDLE,
    "clock": MIDDLE,
    "files": MIDDLE,
    "link": MIDDLE,
    "node": MIDDLE,
    "driving": MIDDLE,
    "leases": MIDDLE,
    "unguarded": MIDDLE,
    "limits": GROUND,
    "persisting": MIDDLE,
    "reporting": MIDDLE,
    "hooks": MIDDLE,
    "keeper": MIDDLE,
    "store": MIDDLE,
    "history": MIDDLE,
    "lock": MIDDLE,
    "resources": MIDDLE,
    "linux": MIDDLE,
    "checks": MIDDLE,
    "migration": TOP,
    "settings": TOP,
    "service": TOP,
    "composition": TOP,
    "assembly": TOP,
    "reload": TOP,
    "senses": TOP,
    "strays": TOP,
    "cables": TOP,
    "status": TOP,
    "troubles": GROUND,
    "logs": TOP,
    "control": TOP,
    "notify": TOP,
    "release": TOP,
    "launch": TOP,
    "tap": TOP,
    "cli": TOP,
    "lab": TOP,
    "web": TOP,
}

# Bytes and values in, values out: no clock, no network, no machine, no thread.
NOT_ON_GROUND = {
    "asyncio",
    "datetime",
    "fcntl",
    "os",
    "pathlib",
    "pyroute2",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "twisted",
    "uuid",
    "zope",
}
# The ground floor's exceptions, each with the reason it is one.
ALLOWED = {
    # scapy, imported when frames are built, is told where not to write.
    ("frames", "os"),
    # It is a command too (make simulate), which tells how fast it was.
    ("testing.__main__", "os"),
    ("testing.__main__", "time"),
}
# From the resources down nothing knows of those who use it; within the middle floor this is the order.
NOT_IN_RESOURCES = {"node", "driving", "leases", "persisting", "reporting", "keeper", "link"}
NOT_IN_LINUX = NOT_IN_RESOURCES | {"resources", "checks"}


def imports(source: str, module: str, package: bool) -> Iterator[tuple[str, int, bool]]:
    """
    Every module that C{source} imports, wherever in it: absolute name, line, and whether it is
    only for the type checker.

    C{from a import b} yields C{a} and C{a.b}, since C{b} may be a module.
    """
    tree = ast.parse(source)
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    parts = ["hatwist", *filter(None, module.split("."))]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = node.level - 1 if package else node.level
                base = ".".join([*parts[: len(parts) - above], *filter(None, [node.module])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("__import__", "import_module", "importlib.import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names = [str(node.args[0].value)]
        for name in names:
            yield name, getattr(node, "lineno", 0), id(node) in typing


def violations(source: str, module: str, package: bool = False) -> list[str]:
    """What in C{source}, the module C{hatwist.<module>}, breaks the order of the house."""
    room = module.split(".")[0]
    if room not in FLOORS:
        return [f"hatwist.{module} has no floor: enter it in {__name__}.FLOORS"]
    floor = FLOORS[room]
    found = []
    for name, line, typing in imports(source, module, package):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        wrong = ""
        if top == "hatwist":
            # For names of values in a package's __init__ there is no entry: the package's own counts.
            above = FLOORS.get(target, FLOORS[""]) > floor
            if above and not (typing and floor == GROUND):
                wrong = "points up"
            elif (room == "resources" and target in NOT_IN_RESOURCES) or (
                room == "linux" and target in NOT_IN_LINUX
            ):
                wrong = "points to who uses it"
        elif floor == GROUND and top in NOT_ON_GROUND and (module, top) not in ALLOWED:
            wrong = "is not for the ground floor"
        if floor < TOP and name == "twisted.internet.reactor":
            wrong = "is for the top floor only"
        if wrong:
            found.append(f"hatwist.{module}:{line}: {name} {wrong}")
    if floor == GROUND:
        found += [f"hatwist.{module}:{line}: chance without a seed" for line in unseeded(source)]
    return found


def unseeded(source: str) -> Iterator[int]:
    """The lines that use random other than by an instance of Random made from a seed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            if any(alias.name != "Random" for alias in node.names):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random":
            if node.attr != "Random":
                yield node.lineno
        elif isinstance(node, ast.Call) and not node.args:
            if ast.unparse(node.func) in ("Random", "random.Random"):
                yield node.lineno


def modules() -> Iterator[tuple[Path, str, bool]]:
    """Every module of hatwist: file, name within hatwist, whether it is a package."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = parts[-1] == "__init__"
        yield path, ".".join(parts[:-1] if package else parts), package


class HouseTests(SynchronousTestCase):
    """The modules as they are."""

    def test_arrowsPointDown(self) -> None:
        """No module imports from a floor above, and the ground floor has neither clock nor network."""
        found = [
            violation
            for path, module, package in modules()
            for violation in violations(path.read_text("utf-8"), module, package)
        ]
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_everythingIsSeen(self) -> None:
        """The check reads the whole package, this machine's other hatwist notwithstanding."""
        seen = {module for _, module, _ in modules()}
        self.assertTrue({"", "errors", "interfaces", "resources.command"} <= seen, seen)
        self.assertTrue(os.path.samefile(ROOT.parent, Path(__file__).parents[2]), ROOT)

    def test_noPackageMarkerAbovePlugin(self) -> None:
        """twisted/ and twisted/plugins/ have no __init__.py, which would hide Twisted itself."""
        markers = list((ROOT.parent / "twisted").rglob("__init__.py"))
        self.assertEqual(markers, [])


class CheckTests(SynchronousTestCase):
    """The check itself can fail."""

    def assertViolates(
        self, source: str, module: str, *expected: str, package: bool = False
    ) -> None:
        """C{source} as C{hatwist.<module>} has just these violations."""
        found = violations(source, module, package)
        self.assertEqual(found, [f"hatwist.{module}{text}" for text in expected])

    def test_clockOnGround(self) -> None:
        """A clock on the ground floor is found, inside a function too."""
        self.assertViolates(
            "def f():\n    import time\n", "election", ":2: time is not for the ground floor"
        )

    def test_twistedOnGround(self) -> None:
        """Twisted on the ground floor is found, in each form of import."""
        for source in (
            "from twisted.internet import defer",
            "import twisted.internet.defer",
            "import importlib; importlib.import_module('twisted.internet.defer')",
            "__import__('twisted.internet.defer')",
        ):
            self.assertIn("is not for the ground floor", violations(source, "worth")[-1], source)

    def test_up(self) -> None:
        """An import from a floor above is found, relative ones too."""
        self.assertViolates(
            "from hatwist import node",
            "heartbeat",
            ":1: hatwist.runtime.node points up",
        )
        self.assertViolates("from . import tap", "link", ":1: hatwist.frontends.tap points up")
        self.assertViolates(
            "from ..settings import Settings",
            "resources.alias",
            ":1: hatwist.settings points up",
            ":1: hatwist.settings.Settings points up",
        )
        self.assertViolates(
            "from ..tap import x",
            "linux",
            ":1: hatwist.frontends.tap points up",
            ":1: hatwist.frontends.tap.x points up",
            package=True,
        )

    def test_within(self) -> None:
        """A resource that imports from the keeper is found, and so is a kernel module from a resource."""
        self.assertViolates(
            "import hatwist.runtime.keeper",
            "resources.alias",
            ":1: hatwist.runtime.keeper points to who uses it",
        )
        self.assertViolates(
            "import hatwist.resources.alias",
            "linux.netlink",
            ":1: hatwist.resources.alias points to who uses it",
        )

    def test_reactor(self) -> None:
        """The global reactor below the top floor is found."""
        self.assertViolates(
            "def f():\n    from twisted.internet import reactor",
            "node",
            ":2: twisted.internet.reactor is for the top floor only",
        )

    def test_chance(self) -> None:
        """Chance on the ground floor comes from a seed."""
        for source in (
            "import random; x = random.random()",
            "import random; x = random.Random()",
            "from random import Random; x = Random()",
            "from random import choice",
        ):
            self.assertViolates(source, "testing.lan", ":1: chance without a seed")
        self.assertEqual(violations("import random; x = random.Random(7).random()", "testing"), [])

    def test_unknown(self) -> None:
        """A module without a floor is found."""
        (violation,) = violations("", "attic")
        self.assertTrue(violation.startswith("hatwist.attic has no floor"), violation)

    def test_down(self) -> None:
        """Arrows that point down or name a type only are fine."""
        for source, module in (
            ("from hatwist.core.errors import BadPacket", "heartbeat"),
            ("from hatwist.linux.netlink.socket import Netlink", "resources.alias"),
            ("from hatwist import __version__", "cli"),
            ("from twisted.internet import reactor", "tap"),
            ("import struct, hmac, random", "auth"),
        ):
            self.assertEqual(violations(source, module), [], source)
        self.assertEqual(
            violations(
                "if TYPE_CHECKING:\n    from hatwist.runtime.interfaces import IResource", "effects"
            ),
            [],
        )
