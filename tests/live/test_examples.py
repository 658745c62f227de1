"""The examples, run on hosts of the lab."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from tests.daemons import ADDRESS, CIDR, TWISTD, ended, until

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def serve(host: Host, path: Path) -> Program:
    """The web server of the examples, on one host; the host with the lower number is the worthier."""
    settings = {
        "ADDRESS": CIDR,
        "NODE": host.name,
        "PRIORITY": str(200 - host.number),
        "INTERVAL": "0.1",
        "RUNTIME_DIRECTORY": str(path),
    }
    argv = [*TWISTD, "--nodaemon", "--pidfile=", "--python", str(EXAMPLES / "webserver.tac")]
    return host.spawn(reactor, argv, {**os.environ, **settings}, str(path))


def listens(host: Host) -> bool:
    """Does anything on this host listen on TCP port 80?"""
    return ":80 " in host.run(["ss", "-Hltn", "sport", "=", ":80"])


def page(lan: LabLan) -> str:
    """What a browser on the client's host shows."""
    with lan.client.socket(socket.AF_INET, socket.SOCK_STREAM) as browser:
        browser.settimeout(0.2)  # nothing else runs here meanwhile
        try:
            browser.connect((ADDRESS, 80))
            browser.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while received := browser.recv(4096):
                answer += received
        except OSError as error:
            return str(error)
    return answer.partition(b"\r\n\r\n")[2].decode().strip()


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_webserver(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Only the host with the address listens; the server moves with it, stops first, and can come back."""
    alpha, beta = lan.host("alpha"), lan.host("beta")
    first, second = serve(alpha, tmp_path), serve(beta, tmp_path)
    await judge.untilHeldBy(ADDRESS, "alpha")
    await second.says("peer-joined alpha")
    await deferLater(reactor, 0.5)  # for a tolerance both listen for the other
    await until(lambda: page(lan) == "hello from alpha")
    assert (listens(alpha), listens(beta)) == (True, False)

    # It is asked as a daemon is.
    command = [sys.executable, "-m", "hatwist.frontends.cli", "status", "--json"]
    asking = alpha.spawn(reactor, [*command, "--control", f"{tmp_path}/default.alpha.sock"])
    assert await asking.ended() == 0
    assert json.loads("".join(asking.lines))["node"] == "alpha"

    began = await judge.mark()
    first.stop()
    await ended(first)
    await until(lambda: page(lan) == "hello from beta")
    assert (listens(alpha), listens(beta)) == (False, True)
    report = await judge.report(ADDRESS, began)
    assert report.twoHolders == 0.0
    assert report.noHolder < 0.1

    first = serve(alpha, tmp_path)
    await until(lambda: page(lan) == "hello from alpha")
    assert (listens(alpha), listens(beta)) == (True, False)
    first.kill()
    await first.ended()
    alpha.powerOff()
    await until(lambda: page(lan) == "hello from beta")  # for the second time, on the same service
    assert listens(beta)
    second.stop()
    await ended(second)
    await judge.untilHeldBy(ADDRESS)


ORDER = """\
import json
import os
import socket
import sys
from twisted.application.service import Service

class Witness(Service):
    # Started before the server and stopped after it, while the address is held.
    def startService(self):
        super().startService()
        self.see("start")
    def stopService(self):
        super().stopService()
        self.see("stop")
    def see(self, what):
        with socket.socket() as s:
            try:
                s.bind((shared, 0))
                there = True
            except OSError:
                there = False
        with socket.socket() as s:
            print(f"witness {what}: address {there}, server {s.connect_ex((shared, 80)) == 0}", flush=True)


with open(os.environ["EXAMPLE"]) as file:
    source = file.read()
add = "ha.addActive("
assert source.count(add) == 1
exec(source.replace(add, "ha.addActive(Witness())\\n" + add))
"""


@pytest_twisted.ensureDeferred
async def test_webserverStopsFirst(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """The server starts when the address is there, and has stopped listening when it is still there."""
    file = tmp_path / "order.tac"
    file.write_text(ORDER)
    host = lan.host("alpha")
    env = {**os.environ, "ADDRESS": CIDR, "NODE": "alpha", "INTERVAL": "0.1"}
    env["EXAMPLE"] = str(EXAMPLES / "webserver.tac")
    argv = [*TWISTD, "--nodaemon", "--pidfile=", "--python", str(file)]
    program = host.spawn(reactor, argv, env, str(tmp_path))
    await until(lambda: page(lan) == "hello from alpha")
    program.stop()
    await ended(program)
    seen = [line.partition("witness ")[2] for line in program.lines if "witness " in line]
    assert seen == ["start: address True, server False", "stop: address True, server False"]
    await judge.untilHeldBy(ADDRESS)
