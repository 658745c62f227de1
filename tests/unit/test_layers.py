"""The house keeps its order: rooms, arrows, sizes and names. Each rule here is shown to fail, too."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from twisted.trial.unittest import SynchronousTestCase

import hatwist
from tests.house import Class, House, Module, circles, inherited, privateReads, unseeded

ROOT = Path(hatwist.__file__).parent

# From which rooms each room may import, besides itself; core is for all, and C{protocols.frames} for all but core.
ROOMS: dict[str, tuple[str, ...]] = {
    "core": (),
    "protocols": (),
    "testing": ("protocols",),
    "linux": (),
    "resources": ("linux",),
    "checks": ("linux", "resources"),
    "runtime": ("linux", "resources"),
    "settings": ("linux", "resources", "checks", "runtime"),
    "service": ("linux", "resources", "checks", "runtime", "settings"),
    "frontends": ("linux", "resources", "checks", "runtime", "settings", "service"),
    "lab": ("linux", "resources", "checks", "runtime", "settings", "service", "frontends"),
    "api": (
        "protocols",
        "testing",
        "linux",
        "resources",
        "checks",
        "runtime",
        "settings",
        "service",
        "frontends",
    ),
    "": (),
}
# Who knows which protocols there are: one reads their settings, the other one makes what speaks them.
KNOW_PROTOCOLS = {"settings.protocols", "service.speakers"}
# The command that starts the lab, which itself asks its daemons as every command does.
STARTS_LAB = "frontends.cli.lab"

# Bytes and values in, values out: no clock, no network, no machine, no thread.
PURE = ("core", "protocols", "testing")
IMPURE = {
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
# Everything else is given its reactor.
GLOBAL_REACTOR = {"settings", "service", "frontends", "lab", "api"}

LINES = 400
# The guard is one file because it is run alone, by python -I -S, with nothing of hatwist beside it.
LONG = {"linux.guard.program"}
ATTRIBUTES = 20
# What the standard library publishes under such names, and what Twisted has in no other way.
PUBLISHED = {"_replace", "_asdict", "_fields", "_make"}
FOREIGN = {("frontends.control.levels", "globalLogPublisher._observers")}
# Bases for whoever embeds hatwist, or of values: they need no second subclass here.
NO_TOWER = {"Interface", "Protocol", "Exception", "NamedTuple", "Enum", "IntEnum", "Flag", "ABC"}


def misplaced(house: House, *names: str) -> Iterator[str]:
    """Imports against the order of the rooms; C{names}: of these modules only."""
    for module in [house.modules[name] for name in names or house.modules]:
        if module.room not in ROOMS:
            yield f"hatwist.{module.name} is in no room: enter it in ROOMS"
            continue
        for target, line in house.imports(module):
            top, _, rest = target.partition(".")
            wrong = ""
            if top == "hatwist":
                wrong = _against(module, rest)
            elif module.room in PURE and top in IMPURE:
                wrong = f"is not for {module.room}"
            elif target.startswith("twisted.internet.reactor") and (
                module.room not in GLOBAL_REACTOR
            ):
                wrong = "is given, not imported, here"
            if wrong:
                yield f"hatwist.{module.name}:{line}: {target} {wrong}"
        if module.room in PURE:
            for line in unseeded(module.tree):
                yield f"hatwist.{module.name}:{line}: chance without a seed"


def _against(module: Module, target: str) -> str:
    room = target.split(".")[0]
    frames = target == "protocols.frames" and module.room != "core"
    if room in ("", "core", module.room) or frames:
        own, other = _protocol(module.name), _protocol(target)
        return "is another protocol" if own and other and own != other else ""
    if room == "protocols" and module.name in KNOW_PROTOCOLS:
        return ""
    if room == "lab" and module.name == STARTS_LAB:
        return ""
    return "" if room in ROOMS[module.room] else f"is not for {module.room or 'hatwist itself'}"


def _protocol(name: str) -> str:
    """Of which protocol a module is; C{""}: of none."""
    parts = name.split(".")
    return parts[1] if parts[0] == "protocols" and len(parts) > 2 else ""


def towers(house: House) -> Iterator[str]:
    """Classes that are inherited by one class only: one object in two places."""
    classes = house.classes()
    known = {each.path: each for each in classes}
    heirs = defaultdict(list)
    for each in classes:
        for base in each.bases:
            heirs[base].append(each.path)
    for base, found in sorted(heirs.items()):
        if base in known and len(found) == 1 and not _open(known[base].bases, known):
            yield f"hatwist.{base} is inherited by hatwist.{found[0]} only"


def _open(bases: tuple[str, ...], known: Mapping[str, Class]) -> bool:
    """An interface, a protocol, an exception, a value: something that is there to be built upon."""
    names = {base.split(".")[-1] for base in bases}
    if names & NO_TOWER or any(name.endswith(("Error", "Warning")) for name in names):
        return True
    parents = [known[base] for base in bases if base in known]
    return any(_open(parent.bases, known) for parent in parents)


def big(house: House) -> Iterator[str]:
    """Objects of too many attributes."""
    for path, attributes in inherited(house.classes()).items():
        if len(attributes) > ATTRIBUTES:
            yield f"hatwist.{path} has {len(attributes)} attributes"


def namesakes(house: House) -> Iterator[str]:
    """Public classes of one name."""
    classes = [each for each in house.classes() if not each.name.startswith("_")]
    count = Counter(each.name for each in classes)
    for each in classes:
        if count[each.name] > 1:
            yield f"hatwist.{each.path}:{each.line} is one of {count[each.name]} {each.name}"


def trespasses(house: House) -> Iterator[str]:
    """Private names of hatwist that are read outside of the module that defines them."""
    private = {
        name for module in house.modules.values() for name in _defined(module) if name[0] == "_"
    } - PUBLISHED
    for module in house.modules.values():
        for line, text in privateReads(module):
            if text.rsplit(".", 1)[-1] in private and (module.name, text) not in FOREIGN:
                yield f"hatwist.{module.name}:{line}: {text}"


def _defined(module: Module) -> set[str]:
    return {
        attribute
        for each in House([module]).classes()
        for attribute in (*each.attributes, *each.methods)
    }


def long(house: House) -> Iterator[str]:
    """Modules of too many lines."""
    for module in house.modules.values():
        lines = len(module.source.splitlines())
        if lines > LINES and module.name not in LONG:
            yield f"hatwist.{module.name} has {lines} lines"


class HouseTests(SynchronousTestCase):
    """The modules as they are."""

    house = House.at(ROOT)

    def assertNone(self, found: Iterator[str]) -> None:
        """No violation, or all of them."""
        listed = list(found)
        self.assertEqual(listed, [], "\n" + "\n".join(listed))

    def test_rooms(self) -> None:
        """Arrows between rooms point down, and what is pure has neither clock nor network."""
        self.assertNone(misplaced(self.house))

    def test_noCircles(self) -> None:
        """No module imports itself by way of others, for types neither."""
        self.assertEqual(circles(self.house.arrows()), [])

    def test_noTowers(self) -> None:
        """No class is split over several files by inheritance."""
        self.assertNone(towers(self.house))

    def test_objectsAreSmall(self) -> None:
        """No object has more than twenty attributes."""
        self.assertNone(big(self.house))

    def test_privateStaysPrivate(self) -> None:
        """Nobody reads the private names of another module's objects."""
        self.assertNone(trespasses(self.house))

    def test_oneNameOneClass(self) -> None:
        """Who looks for a class by its name finds one."""
        self.assertNone(namesakes(self.house))

    def test_modulesAreSmall(self) -> None:
        """Modules have at most 400 lines, half of them less than 180."""
        self.assertNone(long(self.house))
        sizes = [len(module.source.splitlines()) for module in self.house.modules.values()]
        self.assertTrue(80 <= median(sizes) <= 180, median(sizes))
        self.assertTrue(set(self.house.modules) >= LONG)

    def test_root(self) -> None:
        """Whoever opens hatwist/ sees rooms, and one module: what programs may import."""
        files = {path.name for path in ROOT.glob("*.py")}
        self.assertEqual(files, {"__init__.py", "api.py"})
        rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
        self.assertEqual(rooms, set(ROOMS) - {"", "api"})

    def test_plan(self) -> None:
        """The docstring of hatwist has the rooms in an order in which each knows those before it only."""
        plan = re.findall(r"^    (\w+) {2,}", hatwist.__doc__ or "", re.MULTILINE)
        self.assertEqual(plan, [room for room in ROOMS if room not in ("", "api")])
        for number, room in enumerate(plan):
            self.assertTrue(set(ROOMS[room]) <= set(plan[:number]), room)

    def test_namedExceptionsAreThere(self) -> None:
        """Every exception named here is used: what went away is taken out."""
        self.assertEqual({*KNOW_PROTOCOLS, STARTS_LAB} - set(self.house.modules), set())

    def test_everythingIsSeen(self) -> None:
        """The check reads the whole package, this machine's other hatwist notwithstanding."""
        seen = set(self.house.modules)
        self.assertTrue({"", "core.errors", "resources.command", "lab.lan"} <= seen, seen)
        self.assertTrue(os.path.samefile(ROOT.parent, Path(__file__).parents[2]), ROOT)

    def test_noPackageMarkerAbovePlugin(self) -> None:
        """twisted/ and twisted/plugins/ have no __init__.py, which would hide Twisted itself."""
        markers = list((ROOT.parent / "twisted").rglob("__init__.py"))
        self.assertEqual(markers, [])


class CheckTests(SynchronousTestCase):
    """Each rule can fail."""

    def assertMisplaced(self, source: str, module: str, *expected: str) -> None:
        """C{source} as C{hatwist.<module>}, in the house as it is, breaks just these rules."""
        house = House([*HouseTests.house.modules.values(), Module(module, source)])
        self.assertEqual(
            list(misplaced(house, module)), [f"hatwist.{module}{text}" for text in expected]
        )

    def test_impure(self) -> None:
        """A clock in a pure room is found, inside a function too, and Twisted in each form of import."""
        self.assertMisplaced("def f():\n    import time\n", "core.x", ":2: time is not for core")
        for source in (
            "from twisted.internet import defer",
            "import twisted.internet.defer",
            "import importlib; importlib.import_module('twisted.internet.defer')",
            "__import__('twisted.internet.defer')",
        ):
            self.assertMisplaced(
                source, "protocols.native.x", ":1: twisted.internet.defer is not for protocols"
            )

    def test_up(self) -> None:
        """An import from a room above is found: relative, in a function, for the type checker too."""
        for source, line in (
            ("from hatwist.runtime import node", 1),
            ("from hatwist.runtime.node import Node", 1),
            ("from ..runtime import node", 1),
            ("def f():\n    import hatwist.runtime.node", 2),
            ("if TYPE_CHECKING:\n    from hatwist.runtime.node import Node", 2),
        ):
            self.assertMisplaced(
                source, "resources.x", f":{line}: hatwist.runtime.node is not for resources"
            )

    def test_frames(self) -> None:
        """Frames are for all rooms but core, which knows nobody."""
        source = "from hatwist.protocols import frames"
        self.assertMisplaced(source, "checks.x")
        self.assertMisplaced(source, "core.x", ":1: hatwist.protocols.frames is not for core")

    def test_neighbours(self) -> None:
        """Checks and the runtime know nothing of each other, and nothing knows the lab but its command."""
        self.assertMisplaced(
            "import hatwist.checks.check",
            "runtime.x",
            ":1: hatwist.checks.check is not for runtime",
        )
        for room in ("service", "frontends"):
            self.assertMisplaced(
                "import hatwist.lab.lan", f"{room}.x", f":1: hatwist.lab.lan is not for {room}"
            )

    def test_protocols(self) -> None:
        """The runtime knows no protocol, two named modules know them all, and none knows another one."""
        source = "from hatwist.protocols.native.machine import NativeMachine"
        module = "hatwist.protocols.native.machine"
        self.assertMisplaced(source, "runtime.x", f":1: {module} is not for runtime")
        self.assertMisplaced(source, "service.x", f":1: {module} is not for service")
        self.assertMisplaced(source, "protocols.vrrp.x", f":1: {module} is another protocol")
        for name in KNOW_PROTOCOLS:
            self.assertMisplaced(source, name)

    def test_reactor(self) -> None:
        """The global reactor below the settings is found."""
        source = "def f():\n    from twisted.internet import reactor"
        self.assertMisplaced(
            source,
            "runtime.x",
            ":2: twisted.internet.reactor is given, not imported, here",
        )
        self.assertMisplaced(source, "frontends.x")

    def test_chance(self) -> None:
        """Chance in a pure room comes from a seed."""
        for source in (
            "import random; x = random.random()",
            "import random; x = random.Random()",
            "from random import Random; x = Random()",
            "from random import choice",
        ):
            self.assertMisplaced(source, "testing.x", ":1: chance without a seed")
        self.assertMisplaced("import random; x = random.Random(7).random()", "testing.x")

    def test_unknown(self) -> None:
        """A module outside of the rooms is found."""
        (violation,) = misplaced(House.of({"attic": ""}))
        self.assertTrue(violation.startswith("hatwist.attic is in no room"), violation)

    def test_circle(self) -> None:
        """A circle is found, also one that only types close, and one of three; a diamond is none."""
        house = House.of(
            {
                "core.a": "from hatwist.core import b",
                "core.b": "if TYPE_CHECKING:\n    from hatwist.core.a import A",
                "core.c": "import hatwist.core.d",
                "core.d": "from hatwist.core.e import E",
                "core.e": "def f():\n    from . import c",
                "core.f": "import hatwist.core.a, hatwist.core.c",
            }
        )
        self.assertEqual(
            circles(house.arrows()), [["core.a", "core.b"], ["core.c", "core.d", "core.e"]]
        )
        self.assertEqual(circles({"a": "bc", "b": "d", "c": "d", "d": ""}), [])

    def test_tower(self) -> None:
        """A class with one heir is found, in another module too; two heirs, and interfaces, are fine."""
        house = House.of(
            {
                "core.a": "class A: pass\nclass E(Exception): pass\nclass P(Protocol): pass",
                "core.b": "from hatwist.core.a import A, E, P\nclass B(A): pass\nclass F(E): pass\n"
                "class Q(P): pass\nclass C: pass\nclass D(C): pass\nclass G(C): pass",
            }
        )
        self.assertEqual(
            list(towers(house)), ["hatwist.core.a.A is inherited by hatwist.core.b.B only"]
        )

    def test_big(self) -> None:
        """Attributes are counted with those of bases, and those of NamedTuples and data classes."""
        ten = "class A:\n    def __init__(self):\n" + "".join(
            f"        self.a{n} = {n}\n" for n in range(10)
        )
        eleven = "from hatwist.core.a import A\nclass B(A):\n" + "".join(
            f"    b{n}: int\n" for n in range(11)
        )
        self.assertEqual(
            list(big(House.of({"core.a": ten, "core.b": eleven}))),
            ["hatwist.core.b.B has 21 attributes"],
        )

    def test_namesake(self) -> None:
        """Two public classes of one name are found, private ones are not."""
        house = House.of(
            {"core.a": "class A: pass\nclass _B: pass", "core.b": "class A: pass\nclass _B: pass"}
        )
        self.assertEqual(
            list(namesakes(house)),
            ["hatwist.core.a.A:1 is one of 2 A", "hatwist.core.b.A:1 is one of 2 A"],
        )

    def test_trespass(self) -> None:
        """A private attribute or method of another module's object is found; a tuple's own are fine."""
        house = House.of(
            {
                "core.a": "class A:\n    def __init__(self):\n        self._x = 1\n    def _f(self): pass",
                "core.b": "def g(a):\n    a._replace(b=1)\n    return a._x, a._f()",
            }
        )
        self.assertEqual(
            list(trespasses(house)), ["hatwist.core.b:3: a._x", "hatwist.core.b:3: a._f"]
        )

    def test_long(self) -> None:
        """A long module is found."""
        self.assertEqual(
            list(long(House.of({"core.a": "x = 1\n" * 401, "core.b": "x = 1\n" * 400}))),
            ["hatwist.core.a has 401 lines"],
        )

    def test_down(self) -> None:
        """Arrows that point down are fine."""
        for source, module in (
            ("from hatwist.core.errors import BadPacket", "protocols.native.x"),
            ("from hatwist.protocols import frames", "linux.x"),
            ("from hatwist.linux.netlink.socket import Netlink", "resources.x"),
            ("from hatwist import __version__", "frontends.x"),
            ("import struct, hmac, random", "core.x"),
        ):
            self.assertMisplaced(source, module)
