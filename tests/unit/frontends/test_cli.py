"""The subcommands that ask a daemon: what they show, and with which status they end. The rest is live."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from copy import deepcopy
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.cli import COMMANDS, main
from hatwist.frontends.cli.orders import told
from hatwist.frontends.cli.status import exitStatus, onScreen
from hatwist.frontends.cli.table import RED, coloured, short, table

NOW = 1000.0
MEMBER = {
    "role": "STANDBY",
    "fitness": "fit",
    "reason": "",
    "priority": 100,
    "term": 0,
    "eligible": True,
}
OTHER = {
    "alive": True,
    "self": False,
    "age": 0.018,
    "configuration": "same",
    "links": {"eth0": 0.018},
    "received": 20,
    "hears_us": True,
    "outside": False,
    "groups": {"web": MEMBER},
}
STATUS: dict[str, Any] = {
    "cluster": "home",
    "node": "alpha",
    "drained": False,
    "alone": "",
    "signed": True,
    "uptime": 125.0,
    "interval": 0.1,
    "tolerance": 0.35,
    "troubles": [],
    "guarantee": {"level": "self-releasing", "reason": "why", "gaps": ["a gap"]},
    "groups": {
        "web": {
            "protocol": "native",
            "holder": "alpha",
            "holders": ["alpha"],
            "under_way": {},
            "state": "active",
            "since": 880.0,
            "term": 7,
            "reason": "no holder was heard",
            "fitness": "fit",
        }
    },
    "nodes": {
        "alpha": {
            **OTHER,
            "self": True,
            "outside": False,
            "groups": {"web": {**MEMBER, "role": "ACTIVE", "priority": 200, "term": 7}},
        },
        "beta": OTHER,
    },
}


def changed(**paths: Any) -> dict[str, Any]:
    """The status with other values, such as C{nodes__beta__alive=False}."""
    found = deepcopy(STATUS)
    for path, value in paths.items():
        *way, last = path.split("__")
        place = found
        for name in way:
            place = place[name]
        place[last] = value
    return found


class TableTests(SynchronousTestCase):
    """Status as people see it."""

    def lines(self, **paths: Any) -> list[str]:
        return [" ".join(line.split()) for line in table(changed(**paths), NOW)]

    def alarming(self, **paths: Any) -> list[str]:
        lines = table(changed(**paths), NOW)
        return [" ".join(line.split()) for line in lines if line.alarming]

    def test_outside(self) -> None:
        """A master of VRRP is told of in the groups that it says, and nodes of the cluster are not in those."""
        status = changed()
        status["groups"]["lan"] = {
            **status["groups"]["web"],
            "protocol": "vrrp",
            "holder": "10.0.0.2",
        }
        member = {**MEMBER, "role": "ACTIVE", "eligible": False}
        status["nodes"]["10.0.0.2"] = {
            **OTHER,
            "links": {"eth0,raw": 0.018},
            "outside": True,
            "groups": {"lan": member},
        }
        lines = [" ".join(line.split()) for line in table(status, NOW)]
        self.assertIn("10.0.0.2 lan ACTIVE fit 100 18 ms 20 eth0,raw 18 ms", lines)
        self.assertEqual([line for line in lines if "unknown" in line or "SILENT" in line], [])

    def test_noGroups(self) -> None:
        """A node of the cluster is there though it has no group of hatwist's own protocol."""
        status = changed()
        status["groups"]["web"]["protocol"] = "vrrp"
        for node in status["nodes"].values():
            node["groups"] = {}
        lines = [" ".join(line.split()) for line in table(status, NOW)]
        self.assertIn("beta 18 ms 20 eth0 18 ms", lines)

    def test_table(self) -> None:
        """It has the node, the guarantee, every group with its holder, and every node."""
        self.assertEqual(
            self.lines(),
            [
                "alpha of cluster home: up 2 min, interval 0.1 s, tolerance 0.35 s, heartbeats signed",
                "Guarantee: self-releasing: why",
                "Not protected: a gap",
                "",
                "GROUP HOLDER FOR TERM BECAUSE",
                "web alpha 2 min 7 no holder was heard",
                "",
                "NODE GROUP ROLE FITNESS PRIO TERM HEARD OF 20 LINKS",
                "alpha (here) web ACTIVE fit 200 7 eth0",
                "beta web STANDBY fit 100 18 ms 20 eth0 18 ms",
            ],
        )
        self.assertEqual(self.alarming(), [])

    def test_alarming(self) -> None:
        """A standby that is dead, stopped or unfit is shown in red, and so is whatever else is wrong."""
        for paths, line in (
            (
                {"nodes__beta__alive": False, "nodes__beta__links": {"eth0": 9.0}},
                "beta web SILENT 100 18 ms eth0 silent",
            ),
            (
                {"nodes__beta__groups__web__fitness": "unfit", "nodes__beta__received": 3},
                "beta web STANDBY unfit 100 18 ms 3 eth0 18 ms",
            ),
            ({"nodes__beta__groups": {}}, "beta web unknown 18 ms 20 eth0 18 ms"),
            ({"groups__web__holders": []}, "web nobody 2 min 7 no holder was heard"),
            (
                {"groups__web__holders": ["alpha", "beta"]},
                "web alpha and beta 2 min 7 no holder was heard",
            ),
            (
                {"nodes__beta__configuration": "differs"},
                "beta has another shared configuration than alpha",
            ),
            ({"nodes__beta__hears_us": False}, "beta does not hear alpha"),
        ):
            self.assertEqual(self.alarming(**paths), [line])

    def test_troubles(self) -> None:
        """What else is wrong stands below, in red, and whatever is said is one line."""
        self.assertEqual(self.alarming(troubles=["a\nb\x1b[0m"]), ["a\\nb\\x1b[0m"])
        lines = self.lines(groups__web__reason="sh -c 'a\nb'")
        self.assertIn("web alpha 2 min 7 sh -c 'a\\nb'", lines)

    def test_alone(self) -> None:
        """Of a node that hears no other, that is the first line, in red; who holds it cannot know."""
        alone = "alpha hears no other node: it may be the one that is cut off. Look at the others"
        lines = self.lines(alone=alone, groups__web__holders=[])
        self.assertEqual(lines[0], f"{alone}.")
        self.assertIn("web unknown 2 min 7 no holder was heard", lines)
        self.assertEqual(self.alarming(alone=alone)[0], f"{alone}.")

    def test_drained(self) -> None:
        """A node that was drained has a role of its own, and nothing is wrong with it."""
        drained = {"fitness": "unfit", "reason": "drained (hatwist undrain ends it)"}
        lines = self.lines(nodes__beta__groups__web={**MEMBER, **drained})
        self.assertEqual(
            lines[-2:],
            ["beta web DRAINED 100 18 ms 20 eth0 18 ms", "(hatwist undrain ends it)"],
        )
        self.assertEqual(self.alarming(nodes__beta__groups__web={**MEMBER, **drained}), [])

    def test_unable(self) -> None:
        """What a fit node says of why it cannot hold is not told of its fitness."""
        unable = {**MEMBER, "eligible": False, "reason": "could not hold the resources: no place"}
        self.assertEqual(
            self.lines(nodes__beta__groups__web=unable)[-2:],
            [
                "beta web STANDBY see below 100 18 ms 20 eth0 18 ms",
                "could not hold the resources: no place",
            ],
        )

    def test_underWay(self) -> None:
        """A holder that does not have everything yet, or lets go, is shown with what it is doing."""
        lines = self.lines(groups__web__under_way={"alpha": "acquiring, step 2 of 3"})
        self.assertIn("web alpha (acquiring, step 2 of 3) 2 min 7 no holder was heard", lines)

    def test_red(self) -> None:
        """Red is for terminals; elsewhere there is no escape sequence."""
        lines = table(changed(nodes__beta__alive=False), NOW)
        self.assertEqual(sum(RED in line for line in coloured(lines, True)), 1)
        self.assertNotIn("\x1b", "".join(coloured(lines, False)))

    LONG = "tcp 127.0.0.1:25: connection refused (from the start)"

    def test_reason(self) -> None:
        """A reason that is too long for its column stands below its row, and moves no other column."""
        beta = {**MEMBER, "fitness": "degraded", "reason": self.LONG}
        lines = table(changed(nodes__beta__groups__web=beta), NOW)
        self.assertEqual(
            [line.rstrip() for line in lines[-4:]],
            [
                "NODE          GROUP  ROLE     FITNESS   PRIO  TERM  HEARD  OF 20  LINKS",
                "alpha (here)  web    ACTIVE   fit       200   7                   eth0",
                "beta          web    STANDBY  degraded  100         18 ms  20     eth0 18 ms",
                f"    degraded: {self.LONG}",
            ],
        )

    def test_narrow(self) -> None:
        """On a terminal of 80 columns no line is longer, and of none a word is lost."""
        links = {"eth0": 0.018, "eth1": 9.0, "eth2": 0.02}
        beta = {**MEMBER, "fitness": "unfit", "reason": ", ".join([self.LONG] * 3)}
        status = changed(
            nodes__beta__groups__web=beta,
            nodes__beta__links=links,
            groups__web__reason="named as successor by alpha, which let go, since it was drained",
        )
        lines = table(status, NOW)
        for width in (80, 60, 40):
            shown = coloured(lines, False, width)
            self.assertLessEqual(max(map(len, shown)), width)
            self.assertEqual(" ".join(shown).split(), " ".join(lines).split())
        self.assertGreater(sum(RED in line for line in coloured(lines, True, 80)), 2)

    def test_low(self) -> None:
        """Where a window has room for fewer lines, it says how many it does not show."""
        lines = [str(number) for number in range(10)]
        self.assertEqual(onScreen(lines, 10), lines)
        self.assertEqual(
            onScreen(lines, 4), ["0", "1", "2", "... 7 more lines: the window is too low for them"]
        )

    def test_short(self) -> None:
        """Times have one unit."""
        for seconds, text in (
            (0.0351, "35 ms"),
            (4.24, "4.2 s"),
            (119, "119 s"),
            (121, "2 min"),
            (7200, "2 h"),
            (200000, "2 d"),
        ):
            self.assertEqual(short(seconds), text)


class ExitTests(SynchronousTestCase):
    """What scripts see."""

    def test_status(self) -> None:
        """0 for a holder, 1 for a standby, 2 where something is wrong; 5 and 6 where no other node is heard."""
        for paths, expected in (
            ({}, 0),
            ({"node": "beta"}, 1),
            ({"groups__web__holders": []}, 2),
            ({"groups__web__holders": ["alpha", "beta"]}, 2),
            ({"groups__web__fitness": "unfit"}, 2),
            ({"groups__web__fitness": "unfit", "drained": True, "node": "beta"}, 1),
            ({"groups__web__fitness": "degraded"}, 0),
            ({"groups__web__state": "acquiring"}, 1),
            ({"groups__web__state": "releasing"}, 1),
            ({"alone": "alone"}, 5),
            ({"alone": "alone", "groups__web__state": "acquiring"}, 6),
            ({"alone": "alone", "groups__web__holders": [], "groups__web__holder": None}, 6),
        ):
            self.assertEqual(exitStatus(changed(**paths)), expected, paths)

    def test_group(self) -> None:
        """Without a group at least one counts; with one, that."""
        mail = {**STATUS["groups"]["web"], "holder": "beta", "holders": ["beta"]}
        status = changed(groups__mail=mail)
        self.assertEqual(exitStatus(status), 0)
        self.assertEqual(exitStatus(status, "web"), 0)
        self.assertEqual(exitStatus(status, "mail"), 1)


class UsageTests(SynchronousTestCase):
    """Arguments that no daemon need see."""

    def test_refused(self) -> None:
        """What is empty, no time to wait or no number to list is refused with what is allowed, and status 2."""
        for argv, words in (
            (["move", "web", ""], "argument NODE: it is empty"),
            (["move", "", "beta"], "argument GROUP: it is empty"),
            (["status", "--control", ""], "argument --control: it is empty"),
            (["move", "web", "--wait", "-1"], "'-1': allowed are 0 to 3600 seconds"),
            (["drain", "--wait", "nan"], "'nan': allowed are 0 to 3600 seconds"),
            (["undrain", "--wait", "soon"], "'soon': allowed are 0 to 3600 seconds"),
            (["history", "-n", "0"], "'0': allowed is 1 or more"),
            (["history", "-n", "-5"], "'-5': allowed is 1 or more"),
        ):
            said = io.StringIO()
            with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
                main(argv)
            self.assertEqual(ended.exception.code, 2, argv)
            self.assertIn(words, said.getvalue())


class StartTests(SynchronousTestCase):
    """Somebody on call does not wait for imports."""

    def test_imports(self) -> None:
        """Neither --help nor asking a daemon imports Twisted, or what builds frames and netlink messages."""
        asking = ["status", "--control", "/nonexistent"], ["why", "--control", "/nonexistent"]
        for argv in (["--help"], ["status", "--help"], *asking):
            program = (
                "import sys\n"
                "from hatwist.frontends.cli import main\n"
                f"try: main({argv!r})\n"
                "except SystemExit: pass\n"
                "heavy = {'twisted', 'zope', 'scapy', 'pyroute2'}\n"
                "assert not heavy & {name.split('.')[0] for name in sys.modules}\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", program], check=False, capture_output=True, text=True
            )
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_registered(self) -> None:
        """Every subcommand that asks a daemon says with which status it ends."""
        import argparse

        commands = argparse.ArgumentParser().add_subparsers()
        for add in COMMANDS:
            add(commands)
        for name, parser in commands.choices.items():
            if "--control" in parser.format_usage():
                self.assertIn("Exit status", parser.epilog or "", name)


class MovingTests(SynchronousTestCase):
    """What a move ends with."""

    def test_told(self) -> None:
        """It says how long nobody held, and how long it took in all."""
        move = {"group": "web", "from": "a", "to": "b", "dark": 0.0021, "total": 1.5}
        self.assertEqual(
            told(move), "web: held by b 2.1 ms after a released it, 1.50 s after the command"
        )
        self.assertEqual(told({**move, "dark": None}), "web: held by b 1.50 s after the command")
        self.assertEqual(
            told({**move, "to": ""}), "web: a released it 1.50 s after the command; nobody holds it"
        )
