"""Tests for L{hatwist.checks.reading}: checks as a configuration file describes them."""

from __future__ import annotations

import tomllib
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from hatwist.checks.base import CheckKind
from hatwist.checks.check import CheckSpec
from hatwist.checks.http import HttpCheck
from hatwist.checks.inside import CarrierCheck, LatenessCheck
from hatwist.checks.ping import PingCheck
from hatwist.checks.processes import ProcessCheck
from hatwist.checks.programs import CommandCheck, FileCheck, UnitCheck
from hatwist.checks.reading import KINDS, parseCheck
from hatwist.checks.tcp import TcpCheck
from hatwist.core.table import Table
from hatwist.core.worth import Fitness

GOOD: dict[str, CheckKind] = {
    'command = ["/usr/bin/test", "-e", "/x"]': CommandCheck(("/usr/bin/test", "-e", "/x")),
    'tcp = "127.0.0.1:80"': TcpCheck("127.0.0.1", 80),
    'tcp = "[::1]:80"': TcpCheck("::1", 80),
    'tcp = "[fe80::1%eth0]:80"': TcpCheck("fe80::1%eth0", 80),
    'tcp = "localhost:65535"': TcpCheck("localhost", 65535),
    'http = "http://127.0.0.1/"': HttpCheck("http://127.0.0.1/"),
    'http = "https://www.example.com:8443/health?x=1", verify = false, status = 204, contains = "ok"': HttpCheck(
        "https://www.example.com:8443/health?x=1", 204, "ok", False
    ),
    'http = "http://[::1]"': HttpCheck("http://[::1]"),
    'process = "nginx"': ProcessCheck("nginx"),
    'pidfile = "/run/nginx.pid"': ProcessCheck(None, "/run/nginx.pid"),
    'process = "nginx", pidfile = "/run/nginx.pid"': ProcessCheck("nginx", "/run/nginx.pid"),
    'unit = "nginx.service"': UnitCheck("nginx.service"),
    'unit = "nginx"': UnitCheck("nginx.service"),
    'unit = "web@a.service"': UnitCheck("web@a.service"),
    'file = "/run/ok"': FileCheck("/run/ok"),
    'file = "/run/ok", newer = 60': FileCheck("/run/ok", 60.0),
    'ping = "192.0.2.1"': PingCheck(ip_address("192.0.2.1")),
    'ping = "fd00::1", interface = "eth1"': PingCheck(ip_address("fd00::1"), "eth1"),
    'carrier = "eth1"': CarrierCheck("eth1"),
    "lateness = 0.05": LatenessCheck(0.05),
}
ONE = "allowed is exactly one of " + ", ".join(KINDS)
HOST_PORT = "allowed is HOST:PORT, such as 127.0.0.1:80 or [::1]:80"
URL = "allowed is a URL, such as http://127.0.0.1/ or https://www.example.com:8443/health"
OTHER = "is not the address of another host"
# What is written in a table, and the problem that is told after its place.
BAD = {
    "interval = 2": f" does not say what is checked; {ONE}",
    'htp = "http://x/"': '.htp = "http://x/": there is no such check; did you mean http?',
    "load = 3": f".load = 3: there is no such check; there are {', '.join(sorted(KINDS))}",
    'tcp = "127.0.0.1:1", unit = "x"': f" has more than one check, tcp and unit; {ONE}",
    'carrier = "eth0", intervall = 3': ".intervall = 3: there is no such key; did you mean interval?",
    'carrier = "eth0", status = 200': ".status = 200: there is no such key; there are "
    "carrier, effect, fall, interval, rise, timeout",
    'carrier = "eth0", interval = 0': ".interval = 0: allowed are 0.1 to 86400 seconds",
    'carrier = "eth0", interval = "2"': '.interval = "2": allowed are 0.1 to 86400 seconds',
    'carrier = "eth0", interval = nan': ".interval = nan: allowed are 0.1 to 86400 seconds",
    'carrier = "eth0", timeout = true': ".timeout = true: allowed are 0.01 to 3600 seconds",
    'carrier = "eth0", rise = 0': ".rise = 0: allowed are whole numbers from 1 to 100",
    'carrier = "eth0", fall = 1.5': ".fall = 1.5: allowed are whole numbers from 1 to 100",
    'carrier = "eth0", effect = "dead"': '.effect = "dead": allowed are degraded and unfit',
    "carrier = 3": ".carrier = 3: allowed is the name of an interface, such as eth0",
    'command = "ls -l"': '.command = "ls -l": '
    'allowed is a list of texts, such as ["/usr/local/bin/check", "--all"]',
    "command = []": '.command = []: allowed is a list of texts, such as ["/usr/local/bin/check", "--all"]',
    'command = ["./x"]': '.command = ["./x"]: '
    "the program must be an absolute path, or a name that is on the PATH",
    'tcp = "127.0.0.1"': f'.tcp = "127.0.0.1": {HOST_PORT}',
    'tcp = "::1:80"': f'.tcp = "::1:80": {HOST_PORT}',
    'tcp = "127.0.0.1:0"': f'.tcp = "127.0.0.1:0": {HOST_PORT}',
    'tcp = "a b:80"': f'.tcp = "a b:80": {HOST_PORT}',
    "tcp = 80": f".tcp = 80: {HOST_PORT}",
    'http = "127.0.0.1"': f'.http = "127.0.0.1": {URL}',
    'http = "ftp://127.0.0.1/"': f'.http = "ftp://127.0.0.1/": {URL}',
    'http = "http://"': f'.http = "http://": {URL}',
    'http = "http://x:99999/"': f'.http = "http://x:99999/": {URL}',
    'http = "http://a:b@x/"': '.http = "http://a:b@x/": a user in a URL would be in every log; '
    + URL,
    'http = "http://x/", status = 99': ".status = 99: allowed are whole numbers from 100 to 599",
    'http = "http://x/", verify = 0': ".verify = 0: allowed are true and false",
    'http = "http://x/", contains = ""': '.contains = "": allowed is a text that is not empty',
    'process = " "': '.process = " ": allowed is a text that is not empty',
    'pidfile = "x.pid"': '.pidfile = "x.pid": allowed is an absolute path',
    'unit = "a*"': '.unit = "a*": allowed is the name of a systemd unit, such as nginx.service',
    'unit = "-x.service"': '.unit = "-x.service": '
    "allowed is the name of a systemd unit, such as nginx.service",
    'unit = "x.conf"': '.unit = "x.conf": allowed is the name of a systemd unit, such as nginx.service',
    'file = "ok"': '.file = "ok": allowed is an absolute path',
    'file = "/x", newer = 0': ".newer = 0: allowed are 1 to 31536000 seconds",
    'ping = "gateway"': '.ping = "gateway": allowed is an IP address, such as the gateway\'s',
    'ping = "127.0.0.1"': f'.ping = "127.0.0.1": {OTHER}',
    "lateness = 0": ".lateness = 0: allowed are 0.01 to 60 seconds",
}


class SpecTests(SynchronousTestCase):
    """Tables as they stand in a list of checks."""

    def read(self, text: str) -> tuple[CheckSpec | None, list[str]]:
        problems: list[str] = []
        table = Table(tomllib.loads(f"check = {{{text}}}")["check"], problems, ("check",))
        return parseCheck(table), problems

    def test_good(self) -> None:
        """Every kind, in each of its forms, with the defaults that are documented."""
        for text, kind in GOOD.items():
            spec, problems = self.read(text)
            self.assertEqual(problems, [], text)
            self.assertEqual(spec, CheckSpec(kind, 2.0, 1.0, 2, 3, Fitness.UNFIT), text)
        kinds = {text.partition(" ")[0] for text in GOOD}
        self.assertEqual(kinds, set(KINDS))

    def test_common(self) -> None:
        """What every check has."""
        spec, problems = self.read(
            'carrier = "eth1", interval = 0.5, timeout = 3, rise = 1, fall = 5, effect = "degraded"'
        )
        self.assertEqual(problems, [])
        self.assertEqual(spec, CheckSpec(CarrierCheck("eth1"), 0.5, 3.0, 1, 5, Fitness.DEGRADED))

    def test_bad(self) -> None:
        """Every mistake is one sentence that names the key, the value and what is allowed."""
        for text, expected in BAD.items():
            spec, problems = self.read(text)
            self.assertIsNone(spec, text)
            self.assertEqual(problems, [f"check{expected}"], text)

    def test_allAtOnce(self) -> None:
        """Every mistake of one table is told."""
        _, problems = self.read('htp = "http://x/", interval = 0, rise = -1, effect = "bad"')
        self.assertEqual(len(problems), 4, problems)
        _, problems = self.read('http = "x", interval = 0, statsu = 3')
        self.assertEqual(len(problems), 3, problems)

    def test_equal(self) -> None:
        """What says the same is the same, so that a reload leaves it alone."""
        for text in GOOD:
            self.assertEqual(self.read(text), self.read(text))
