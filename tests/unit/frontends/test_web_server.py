"""Tests for L{hatwist.frontends.web.server}: HTTP as bytes, on transports in memory; and where it listens."""

from __future__ import annotations

import json
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hatwist.core.errors import ConfigurationError
from hatwist.frontends.web import answers
from hatwist.frontends.web.answers import FRESH, STALE, WebAnswers
from hatwist.frontends.web.server import (
    CONNECTIONS,
    FIRST_LINE,
    LIMIT,
    PER_SOURCE,
    AnswersFactory,
    Web,
)
from hatwist.settings import settings
from hatwist.settings.endpoint import EXAMPLE, endpoint
from tests.unit.frontends.test_web_metrics import serviceOf

PEER = IPv4Address("TCP", "127.0.0.1", 40000)
EVIL = b"<script>alert(1)</script>"


class Response:
    """An answer as a client reads it."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.code = int(lines[0].split()[1])
        pairs = [line.partition(": ") for line in lines[1:]]
        self.headers = {name.lower(): value for name, _, value in pairs}


class HTTPTestCase(SynchronousTestCase):
    """A service that does not run, asked over HTTP."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: dict[str, Any] = {"node": "alpha"}
        self.made = 0
        self.patch(answers, "status", self.status)
        self.service = serviceOf(None)
        self.factory = AnswersFactory(WebAnswers(self.service), self.clock)

    def status(self, service: Any) -> dict[str, Any]:
        self.made += 1
        return self.told

    def connect(self, source: int = 1, here: str = "10.0.0.1") -> tuple[Any, StringTransport]:
        """
        @param source: the number of a peer.
        @param here: the address that it connects to.
        """
        peer = IPv4Address("TCP", f"10.{source >> 8}.{source & 255}.9", 40000)
        channel = self.factory.buildProtocol(peer)
        transport = StringTransport(IPv4Address("TCP", here, 9107), peer)
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, data: bytes, here: str = "10.0.0.1") -> StringTransport:
        """Send bytes on a connection of their own."""
        channel, transport = self.connect(here=here)
        channel.dataReceived(data)
        if transport.disconnecting:
            channel.connectionLost(Failure(ConnectionDone()))
        return transport

    def get(self, path: bytes, method: bytes = b"GET", head: bytes = b"") -> Response:
        return Response(
            self.ask(
                method + b" " + path + b" HTTP/1.1\r\nHost: alpha\r\n" + head + b"\r\n"
            ).value()
        )


class AnswerTests(HTTPTestCase):
    """Each path has its answer."""

    def test_status(self) -> None:
        """C{/status} is JSON."""
        answer = self.get(b"/status")
        self.assertEqual((answer.code, json.loads(answer.body)), (200, self.told))
        self.assertEqual(answer.headers["content-type"], "application/json")

    def test_metrics(self) -> None:
        """C{/metrics} has the text format, and OpenMetrics for who asks for it."""
        answer = self.get(b"/metrics")
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"))
        self.assertIn(b"\nhatwist_running 0.0\n", answer.body)
        answer = self.get(b"/metrics", head=b"Accept: application/openmetrics-text\r\n")
        self.assertTrue(answer.headers["content-type"].startswith("application/openmetrics-text"))
        self.assertTrue(answer.body.endswith(b"# EOF\n"))

    def test_page(self) -> None:
        """C{/} is the page, with a policy of its own."""
        answer = self.get(b"/")
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("script-src 'sha256-", answer.headers["content-security-policy"])
        self.assertIn(b"<title>", answer.body)

    def test_health(self) -> None:
        """Health is 503 with a reason while the node does not run, and 404 for a group that is not there."""
        for path in (b"/health/active", b"/health/alive"):
            answer = self.get(path)
            self.assertEqual((answer.code, answer.body), (503, b"the node does not run\n"))

    def test_head(self) -> None:
        """HEAD has the headers of GET, its length among them, and no body."""
        for path in (b"/", b"/status", b"/metrics", b"/health/alive", b"/nothing"):
            got, head = self.get(path), self.get(path, b"HEAD")
            self.assertEqual((head.code, head.body), (got.code, b""))
            if path != b"/metrics":  # it tells the memory and time of this process too
                self.assertEqual(head.headers, got.headers)

    def test_unknown(self) -> None:
        """What is not there is 404, and nothing of the request comes back."""
        for path in (
            b"/" + EVIL,
            b"/status/",
            b"/health",
            b"/health/",
            b"//",
            b"/../etc/passwd",
            b"/page.js",
            b"*",
            b"/%00",
            b"/status%2f",
            b"/health/active?group=" + EVIL,
        ):
            data = self.ask(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n").value()
            code = Response(data).code
            self.assertIn(code, (404, 503) if b"active" in path else (404,), path)
            if b"active" not in path:
                self.assertIn(b"/health/alive", data, "what there is")
            self.assertNotIn(b"alert", data)

    def test_methods(self) -> None:
        """Whatever is neither GET nor HEAD is 405, on every path."""
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"EVIL"):
            answer = self.get(b"/status", method)
            self.assertEqual((answer.code, answer.headers["allow"]), (405, "GET, HEAD"), method)
            self.assertNotIn(b"EVIL", answer.body)
        self.assertEqual(self.made, 0)

    def test_securityHeaders(self) -> None:
        """Every answer, an error too, forbids guessing its type, framing it, keeping it, and running things in it."""
        for path in (b"/", b"/status", b"/metrics", b"/health/alive", b"/nothing"):
            headers = self.get(path).headers
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["x-frame-options"], "DENY")
            self.assertEqual(headers["referrer-policy"], "no-referrer")
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            self.assertNotIn("access-control-allow-origin", headers)
            self.assertEqual(headers["server"], "hatwist")

    def test_names(self) -> None:
        """
        On the loopback interface only who asks by a name of this host is answered: a stranger's page, in a browser of
        this host, asks by his own, whatever that leads to. Health is told to everybody.
        """
        self.patch(socket, "gethostname", lambda: "alpha.example.com")
        own = ("127.0.0.1", "127.0.0.1:9107", "[::1]:9107", "localhost", "LOCALHOST.:80", "alpha")
        for here in ("127.0.0.1", "127.1.2.3", "::1", "10.0.0.1"):
            for name in (*own, "a.localhost", "alpha.example.com:9107"):
                self.assertEqual(self.codeFor(name, here), 200, name)
        strangers = ("evil.example", "evil.example:9107", "127.0.0.1.evil.example", "a.b.")
        for name in strangers:
            for here in ("127.0.0.1", "::1"):
                self.assertEqual(self.codeFor(name, here), 421, name)
                self.assertEqual(self.codeFor(name, here, "/health/alive"), 503)
            self.assertEqual(
                self.codeFor(name, "10.0.0.1"), 200
            )  # it has names that nobody told us
        data = self.ask(b"GET /status HTTP/1.0\r\n\r\n", "127.0.0.1").value()
        self.assertEqual(Response(data).code, 200)

    def codeFor(self, name: str, here: str, path: str = "/status") -> int:
        asked = f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
        return Response(self.ask(asked, here).value()).code

    def test_failure(self) -> None:
        """An answer that fails is 500 without details, and logged."""
        self.told = {"node": object()}
        answer = self.get(b"/status")
        self.assertEqual((answer.code, answer.body), (500, b"it failed; the log says why\n"))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class BoundTests(HTTPTestCase):
    """What strangers can make a daemon do is bounded."""

    def test_madeOnce(self) -> None:
        """However many ask, an answer that takes time is made once in a while; and then it is new."""
        for _ in range(100):
            self.get(b"/status")
        self.assertEqual(self.made, 1)
        self.clock.advance(FRESH)
        self.told = {"node": "beta"}
        self.assertEqual(json.loads(self.get(b"/status").body), {"node": "beta"})
        self.assertEqual(self.made, 2)

    def test_overloaded(self) -> None:
        """While the node is overloaded an answer does for longer."""
        self.service.overloaded = True
        self.get(b"/status")
        self.clock.advance(STALE - 0.1)
        self.get(b"/status")
        self.assertEqual(self.made, 1)
        self.clock.advance(0.1)
        self.get(b"/status")
        self.assertEqual(self.made, 2)

    def test_oneRequest(self) -> None:
        """Of requests that come together only the first is answered, and the connection ends."""
        data = self.ask(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n" * 1000).value()
        self.assertEqual(data.count(b"HTTP/1.1 "), 1)
        self.assertEqual(Response(data).headers["connection"], "close")

    def test_body(self) -> None:
        """A body is neither kept nor read to its end."""
        channel, transport = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(100):
            channel.dataReceived(b"x" * 65536)
        self.assertEqual(channel.requests[0].content.getvalue(), b"")
        self.clock.advance(LIMIT)
        self.assertTrue(transport.disconnecting or transport.disconnected)

    def test_slow(self) -> None:
        """Who sends a byte now and then does not keep a connection for longer than the limit."""
        channel, transport = self.connect()
        channel.dataReceived(b"GET / HTTP/1.1\r\n")
        for _ in range(int(LIMIT) - 1):
            channel.dataReceived(b"G")
            self.clock.advance(1.0)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1.0)
        self.assertTrue(transport.disconnected)

    def test_silent(self) -> None:
        """Who does not say what he asks for within a second is not waited for."""
        for data in (b"", b"\r\n", b"GET / HT"):
            channel, transport = self.connect()
            channel.dataReceived(data)
            self.clock.advance(FIRST_LINE - 0.1)
            self.assertFalse(transport.disconnected)
            self.clock.advance(0.1)
            self.assertTrue(transport.disconnected, data)

    def lose(self, channel: Any) -> None:
        channel.connectionLost(Failure(ConnectionDone()))

    def test_oldest(self) -> None:
        """One connection more than allowed ends the oldest that has asked nothing yet, wherever it is from."""
        open_ = [self.connect(source) for source in range(CONNECTIONS)]
        open_[0][0].dataReceived(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        self.connect(1000)
        self.assertEqual([t.disconnected for _, t in open_[:3]], [False, True, False])
        self.connect(1001)  # what has been told to end counts no more
        self.assertEqual([t.disconnected for _, t in open_[:4]], [False, True, True, False])

    def test_source(self) -> None:
        """One source has a few of them only, so that others are answered while it holds as many as it can."""
        health = self.connect(7)
        greedy = [self.connect(1) for _ in range(5 * CONNECTIONS)]
        self.assertEqual(sum(not transport.disconnected for _, transport in greedy), PER_SOURCE)
        self.assertFalse(health[1].disconnected)
        health[0].dataReceived(b"GET /health/alive HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b"503", health[1].value()[:20])

    def test_connections(self) -> None:
        """Where all have asked, one more is closed; when one has ended there is room again."""
        open_ = [self.connect(source) for source in range(CONNECTIONS)]
        for channel, _ in open_:
            channel.dataReceived(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIsNone(self.factory.buildProtocol(PEER))
        self.lose(open_[0][0])
        self.assertIsNotNone(self.factory.buildProtocol(PEER))

    def test_path(self) -> None:
        """Clients on a Unix socket have no address, and share what all have."""
        for _ in range(CONNECTIONS):
            channel = self.factory.buildProtocol(UNIXAddress(None))
            channel.makeConnection(StringTransport())
        self.assertEqual(sum(channel.aborted for channel in self.factory.channels), 0)

    def test_garbage(self) -> None:
        """What is not HTTP is 400 and the end of the connection."""
        for data in (b"\0" * 100 + b"\r\n\r\n", b"GET\r\n\r\n", b"A" * 20000 + b"\r\n\r\n"):
            transport = self.ask(data)
            self.assertIn(b"400", transport.value()[:20] or b"400")
            self.assertTrue(transport.disconnecting)


class WebTests(TestCase):
    """Where it listens."""

    def setUp(self) -> None:
        self.patch(answers, "status", lambda service: {})

    def test_endpoint(self) -> None:
        """It listens where it was told, from its start to its stop, and again."""
        memory = MemoryReactorClock()
        web = Web(serviceOf(None), EXAMPLE, memory)
        for _ in range(2):
            memory.tcpServers.clear()
            web.startService()
            ((port, _, _, interface),) = memory.tcpServers
            self.assertEqual((port, interface), (9107, "127.0.0.1"))
            self.successResultOf(web.stopService())

    def test_taken(self) -> None:
        """A port that is taken is an error at the start, which names it and what is wrong."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            web = Web(serviceOf(None), f"tcp:{number}:interface=127.0.0.1", reactor)
            with self.assertRaises(OSError) as raised:
                web.startService()
        text = str(raised.exception)
        self.assertIn(f"--http tcp:{number}:interface=127.0.0.1: cannot listen there", text)
        self.assertIn("in use", text)
        self.assertFalse(web.running)

    async def test_stop(self) -> None:
        """A stop closes the port, and connections that are still open."""
        web = Web(serviceOf(None), "tcp:0:interface=127.0.0.1", reactor)
        web.startService()
        port: Any = web.port
        number = port.getHost().port
        client = socket.create_connection(("127.0.0.1", number))
        self.addCleanup(client.close)
        while not web._factory.channels:
            await deferLater(reactor, 0.001)
        await web.stopService()
        self.assertEqual(web._factory.channels, {})
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", number))

    def test_certificate(self) -> None:
        """What the endpoint needs and is not there is an error at the start too."""
        web = Web(serviceOf(None), "ssl:443:privateKey=/nonexistent/key.pem", reactor)
        with self.assertRaises(OSError) as raised:
            web.startService()
        self.assertIn("/nonexistent/key.pem", str(raised.exception))


class EndpointTests(SynchronousTestCase):
    """Descriptions of endpoints."""

    def test_good(self) -> None:
        """What Twisted understands is taken as it is."""
        for text in (
            EXAMPLE,
            "tcp:9107",
            "tcp6:9107:interface=\\:\\:1",
            "unix:/run/hatwist/http.sock:mode=660",
            "ssl:443:privateKey=/nonexistent/key.pem",
        ):
            self.assertEqual(endpoint(text), text)

    def test_bad(self) -> None:
        """What it does not is refused with an example of what is allowed."""
        for value in (
            "",
            "9107",
            "tcp:",
            "tcp:http",
            "tcp:70000",
            "tcp:-1",
            "tcp:1:color=red",
            9107,
            None,
        ):
            with self.assertRaises(ValueError) as raised:
                endpoint(value)
            self.assertIn(EXAMPLE, str(raised.exception))

    def test_settings(self) -> None:
        """A wrong one is a problem of the configuration, which names its option and value."""
        with self.assertRaises(ConfigurationError) as raised:
            settings(interface="lo", alias=["lo:1"], http="9107")
        (problem,) = raised.exception.problems
        self.assertTrue(problem.startswith("http='9107': allowed is a server endpoint"), problem)
