"""Tests for L{hatwist.linux.lan.building}: the program that has scapy build the templates."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.lan import building
from hatwist.protocols.frames import TEMPLATES


def printed(*argv: str, environment: Mapping[str, str] | None = None) -> str:
    """What a Python prints, which must end well."""
    done = subprocess.run(
        [sys.executable, "-B", *argv],
        env=environment,
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


class ProgramTests(SynchronousTestCase):
    """It runs by itself, and leaves nothing behind."""

    def test_lines(self) -> None:
        """It prints each template in a line of its own, and has nothing of hatwist to know them from."""
        lines = dict(line.split() for line in printed("-P", building.__file__).splitlines())
        self.assertEqual(lines, {name: frame.hex() for name, frame in TEMPLATES._asdict().items()})

    def test_home(self) -> None:
        """scapy writes nothing into the home directory, and the environment is as before."""
        home = self.mktemp()
        os.mkdir(home)
        environment = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        code = (
            "import os; before = dict(os.environ)\n"
            "from hatwist.linux.lan import building; building.templates()\n"
            "assert dict(os.environ) == before, 'environment changed'\n"
        )
        printed("-c", code, environment=environment)
        self.assertEqual(os.listdir(home), [])

    def test_yields(self) -> None:
        """It runs when nobody else wants to, and is the first to die where memory ends."""
        code = (
            "import os\n"
            "from hatwist.linux.lan import building; building.yieldToEverybody()\n"
            "print(os.sched_getscheduler(0), open('/proc/self/oom_score_adj').read())\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.assertEqual(
            printed("-c", code, environment=environment).split(), [str(os.SCHED_IDLE), "1000"]
        )

    def test_yieldsToOtherSessions(self) -> None:
        """A session of its own comes after all others; one that it shares is left alone."""
        if not os.path.exists("/proc/self/autogroup"):
            raise SkipTest("this kernel does not group sessions")
        code = (
            "from hatwist.linux.lan import building; building.yieldToEverybody()\n"
            "print(open('/proc/self/autogroup').read())\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        before = Path("/proc/self/autogroup").read_text()
        self.assertEqual(printed("-c", code, environment=environment).strip(), before.strip())
        own = printed("-c", f"import os; os.setsid()\n{code}", environment=environment)
        self.assertTrue(own.strip().endswith(" nice 19"), own)

    def test_mayNotYield(self) -> None:
        """A sandbox that forbids it keeps it from nothing."""
        code = (
            "import os\n"
            "from hatwist.linux.lan import building\n"
            "def forbidden(*arguments, **named): raise PermissionError\n"
            "os.sched_setscheduler = building.open = forbidden\n"
            "building.yieldToEverybody()\n"
            "print('on')\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.assertEqual(printed("-c", code, environment=environment), "on\n")
