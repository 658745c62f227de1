"""Checks of servers that behave, and of many that do not, on loopback and at the end of a wire."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from hatwist.checks import http
from hatwist.checks.base import CheckFailed, CheckKind, CheckWorld
from hatwist.checks.check import CheckSpec
from hatwist.checks.checks import Checks
from hatwist.checks.http import BODY, HttpCheck
from hatwist.checks.inside import CarrierCheck
from hatwist.checks.ping import PingCheck
from hatwist.checks.tcp import TcpCheck
from hatwist.core.worth import Fitness
from hatwist.lab.namespace import Namespace
from hatwist.lab.switch import writeSysctl
from hatwist.linux.netlink.socket import Netlink
from tests.wire import Wire, ip

reactor: Any = _reactor
LIMIT = 5.0
HERE = "127.0.0.1"


class Server(Protocol):
    """Waits for the end of a request's head, and says what it was told to."""

    factory: Servers

    def connectionMade(self) -> None:
        self.factory.connections.add(self)
        self.request = b""
        if not self.factory.listens:
            self.factory.answer(self)

    def dataReceived(self, data: bytes) -> None:
        self.request += data
        if self.request.endswith(b"\r\n\r\n"):
            self.factory.requests.append(self.request)
            self.factory.answer(self)

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connections.discard(self)


class Servers(Factory):
    """@ivar answer: what a server does once it has a request (or, unless it C{listens}, a connection)."""

    noisy = False

    def __init__(self, answer: Callable[[Server], None], listens: bool = True) -> None:
        self.answer = answer
        self.listens = listens
        self.connections: set[Server] = set()
        self.requests: list[bytes] = []

    def buildProtocol(self, addr: object) -> Any:
        server = Server()
        server.factory = self
        return server

    async def idle(self) -> None:
        """No connection is left."""
        await until(lambda: not self.connections)


Serve = Callable[..., tuple[int, Servers]]


@pytest_twisted.async_yield_fixture
async def serve() -> AsyncIterator[Serve]:
    """Makes servers on 127.0.0.1: port and factory; they are gone afterwards."""
    ip("link", "set", "lo", "up")
    ports = []

    def make(
        answer: Callable[[Server], None], listens: bool = True, tls: Any = None
    ) -> tuple[int, Servers]:
        factory = Servers(answer, listens)
        if tls is None:
            port = reactor.listenTCP(0, factory, interface=HERE)
        else:
            port = reactor.listenSSL(0, factory, tls, interface=HERE)
        ports.append((port, factory))
        return port.getHost().port, factory

    yield make
    for port, factory in ports:
        await port.stopListening()
        for connection in list(factory.connections):
            connection.transport.abortConnection()  # type: ignore[union-attr]
        await factory.idle()


async def until(condition: Callable[[], object]) -> None:
    """Wait for C{condition()} to be true, ten seconds at most."""
    end = reactor.seconds() + 10.0
    while not condition():
        assert reactor.seconds() < end, "it did not come true within 10 s"
        await deferLater(reactor, 0.005)


async def asked(kind: CheckKind, world: CheckWorld | None = None) -> str:
    """What a check finds wrong, C{""}: nothing."""
    probe = kind.probe(world or CheckWorld(reactor))
    probe.start()
    try:
        await probe.run(LIMIT).addTimeout(LIMIT, reactor)
    except CheckFailed as error:
        return str(error)
    finally:
        probe.stop()
    return ""


def free() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind((HERE, 0))
        port: int = held.getsockname()[1]
        return port


def answering(head: str, body: bytes = b"") -> Callable[[Server], None]:
    """A server that answers this and closes."""

    def answer(server: Server) -> None:
        text = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n"
        server.say(text.encode() + body)
        server.close()

    return answer


# TCP


@pytest_twisted.ensureDeferred
async def test_tcp(serve: Serve) -> None:
    """A port that accepts is good, and the connection is closed; one that refuses says so."""
    port, factory = serve(lambda server: None)
    for host in (HERE, "localhost"):
        spec = TcpCheck(host, port)
        assert spec.problems() == []
        assert await asked(spec) == ""
    await factory.idle()
    assert await asked(TcpCheck(HERE, free())) == "connection refused"
    assert await asked(TcpCheck("::1", port)) == "connection refused"
    assert await asked(TcpCheck("no-such-host.invalid", port)) == (
        "the name no-such-host.invalid cannot be resolved"
    )


@pytest_twisted.ensureDeferred
async def test_tcpHangs() -> None:
    """A port that does not answer at all is given up, and nothing of it is left."""
    ip("link", "set", "lo", "up")
    with socket.socket() as server, contextlib.ExitStack() as others:
        server.bind((HERE, 0))
        server.listen(0)
        port = server.getsockname()[1]
        for _ in range(3):  # more than may wait: the kernel drops what comes next
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex((HERE, port))
        before = waiting(port)
        running = TcpCheck(HERE, port).probe(CheckWorld(reactor)).run(LIMIT)
        await until(lambda: waiting(port) == before + 1)
        running.cancel()
        with pytest.raises(ConnectingCancelledError):
            await running
        assert waiting(port) == before


def waiting(port: int) -> int:
    """How many connections to this port are not made yet."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    states = [line.split()[3] for line in lines if line.split()[2].endswith(f":{port:04X}")]
    return states.count("02")  # TCP_SYN_SENT in include/net/tcp_states.h


@pytest_twisted.ensureDeferred
async def test_tcpToItself() -> None:
    """A connection whose two ends are one, as the kernel may make for a port of its own choice, is none."""
    there = Namespace()
    try:
        with there.entered():
            ip("link", "set", "lo", "up")
            writeSysctl("net/ipv4/ip_local_port_range", "40000 40000")
            # The socket is made in the first turn, which is this one.
            running = TcpCheck(HERE, 40000).probe(CheckWorld(reactor)).run(LIMIT)
        with pytest.raises(CheckFailed, match="connection refused"):
            await running
    finally:
        there.close()


@pytest_twisted.ensureDeferred
async def test_quiet(serve: Serve) -> None:
    """Connections that are made every other second leave no line in the log."""
    port, factory = serve(answering("200 OK"))
    with capturedLogs() as events:
        for kind in (
            TcpCheck(HERE, port),
            HttpCheck(f"http://localhost:{port}/"),
            TcpCheck(HERE, free()),
        ):
            await asked(kind)
        await factory.idle()
    assert events == []


# HTTP


@pytest_twisted.ensureDeferred
async def test_http(serve: Serve) -> None:
    """The status decides: 200 to 399, or the one that is asked for; a redirect is an answer like others."""
    for head, status, expected in (
        ("200 OK", None, ""),
        ("204 No Content", None, ""),
        ("302 Found\r\nLocation: http://192.0.2.1/", None, ""),
        ("404 Not Found", None, "answered 404 Not Found"),
        ("503 Service Unavailable", None, "answered 503 Service Unavailable"),
        ("503 Service Unavailable", 503, ""),
        ("200 OK", 503, "answered 200 OK, expected was 503"),
    ):
        port, factory = serve(answering(head))
        assert await asked(HttpCheck(f"http://{HERE}:{port}/health?x=1", status)) == expected
        await factory.idle()
        (request,) = factory.requests
        assert request.startswith(b"GET /health?x=1 HTTP/1.1\r\n")
        assert f"host: {HERE}:{port}\r\n" in request.decode().lower()
    assert await asked(HttpCheck(f"http://{HERE}:{free()}/")) == "connection refused"
    assert await asked(HttpCheck(f"http://localhost:{port}/")) == ""


@pytest_twisted.ensureDeferred
async def test_contains(serve: Serve) -> None:
    """The text is looked for in the first 64 KiB, where two pieces of the answer meet too."""
    near, far = b"x" * 1000 + b"all well" + b"y" * 10, b"x" * BODY + b"all well"
    long = near + b"z" * 1_000_000
    for body, expected in ((near, ""), (long, ""), (far, "the answer does not contain 'all well'")):
        port, _ = serve(answering("200 OK", body))
        assert await asked(HttpCheck(f"http://{HERE}:{port}/", contains="all well")) == expected

    def inTwo(server: Server) -> None:
        server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall ")
        reactor.callLater(0.05, server.say, b"well")

    port, _ = serve(inTwo)
    assert await asked(HttpCheck(f"http://{HERE}:{port}/", contains="all well")) == ""


def flood(piece: bytes) -> Callable[[Server], None]:
    """A server that says something and then this, without end, as fast as it is taken."""

    class Producer:
        def __init__(self, server: Server) -> None:
            self.server = server

        def resumeProducing(self) -> None:
            self.server.say(piece * 100)

        def stopProducing(self) -> None:
            pass

    def answer(server: Server) -> None:
        server.say(b"HTTP/1.1 200 OK\r\n")
        transport: Any = server.transport
        transport.registerProducer(Producer(server), False)

    return answer


@pytest.mark.parametrize(
    ("answer", "listens", "expected"),
    [
        (lambda server: server.close(), True, "no answer: the connection was closed"),
        (lambda server: server.close(), False, "no answer: the connection was closed"),
        (
            lambda server: server.say(b"SSH-2.0-OpenSSH_9.2\r\n"),
            False,
            "no answer: what came is not HTTP",
        ),
        (
            flood(b"X-More: of the same\r\n"),
            True,
            f"the head of its answer is too long ({http.MOST} bytes)",
        ),
        (flood(b"\r\n"), True, ""),
    ],
    ids=["closed", "closed at once", "not HTTP", "endless head", "endless body"],
)
@pytest_twisted.ensureDeferred
async def test_badServers(
    serve: Serve, answer: Callable[[Server], None], listens: bool, expected: str
) -> None:
    """A server that does not keep to HTTP fails in words, and costs neither time nor memory."""
    port, factory = serve(answer, listens)
    assert await asked(HttpCheck(f"http://{HERE}:{port}/")) == expected
    await factory.idle()


@pytest_twisted.ensureDeferred
async def test_truncated(serve: Serve) -> None:
    """An answer that ends before it is whole is a failure."""

    def answer(server: Server) -> None:
        server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        server.close()

    port, _ = serve(answer)
    expected = "the connection was lost within the answer"
    assert await asked(HttpCheck(f"http://{HERE}:{port}/")) == expected


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], ids=["silence", "only a head"]
)
@pytest_twisted.ensureDeferred
async def test_httpHangs(serve: Serve, said: bytes) -> None:
    """A server that hangs counts as failed at the timeout, and the connection is closed."""
    port, factory = serve(lambda server: server.say(said))
    told: list[tuple[Fitness, str]] = []
    spec = CheckSpec(HttpCheck(f"http://{HERE}:{port}/"), interval=0.5, timeout=0.2)
    checks = Checks(reactor, [spec], lambda *verdict: told.append(verdict))
    began = reactor.seconds()
    checks.start()
    await until(lambda: len(told) > 1)
    assert 0.2 <= reactor.seconds() - began < 0.4
    assert told[-1] == (
        Fitness.UNFIT,
        f"http http://{HERE}:{port}/: no answer within 0.2 s (from the start)",
    )
    await until(lambda: factory.requests and not factory.connections)
    await checks.stop()


# HTTPS


@pytest.fixture
def certificate(tmp_path: Path) -> Iterator[Any]:
    """A server's context for localhost and 127.0.0.1, signed by itself; trusted where the test says so."""
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address(HERE))]
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "cert").write_bytes(made.public_bytes(pem))
    (tmp_path / "key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    before = os.environ.get("SSL_CERT_FILE")
    yield DefaultOpenSSLContextFactory(str(tmp_path / "key"), str(tmp_path / "cert"))
    if before is None:
        os.environ.pop("SSL_CERT_FILE", None)


@pytest_twisted.ensureDeferred
async def test_https(serve: Serve, certificate: Any, tmp_path: Path) -> None:
    """A certificate must be trusted and for the name in the URL, unless C{verify} is off."""
    port, _ = serve(answering("200 OK"), tls=certificate)
    byName, byAddress = f"https://localhost:{port}/", f"https://{HERE}:{port}/"
    assert HttpCheck(byName).problems() == []
    for url in (byName, byAddress):
        assert await asked(HttpCheck(url, verify=False)) == ""
        assert await asked(HttpCheck(url)) == "no answer: certificate verify failed"
    os.environ["SSL_CERT_FILE"] = str(tmp_path / "cert")
    for url in (byName, byAddress):
        assert await asked(HttpCheck(url)) == ""
    # Another way to write 127.0.0.1, which is a name to all but the resolver.
    failure = await asked(HttpCheck(f"https://127.1:{port}/"))
    assert failure == "no answer: the certificate is for another name"


@pytest_twisted.ensureDeferred
async def test_noTls(serve: Serve) -> None:
    """A server without TLS fails in words."""
    port, _ = serve(lambda server: server.say(b"hello, who is there?\r\n"), False)
    failure = await asked(HttpCheck(f"https://{HERE}:{port}/", verify=False))
    assert failure.startswith("no answer: "), failure
    assert len(failure) < 100


# The LAN


@pytest_twisted.async_yield_fixture
async def wire() -> AsyncIterator[Wire]:
    """This host, another one and a wire."""
    made = Wire()
    yield made
    made.close()


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_ping(wire: Wire) -> None:
    """A host answers, on the LAN or behind a router, until its cable is pulled, and again when it is back."""
    wire.farIp("link", "set", "lo", "up")
    wire.farIp("address", "replace", "192.0.2.1/32", "dev", "lo")
    ip("route", "replace", "192.0.2.1", "via", "10.9.0.2")
    netlink = Netlink(reactor)
    netlink.start()
    verdict: list[Fitness] = []
    try:
        for address in ("10.9.0.2", "fd09::2", "192.0.2.1"):
            for spec in (PingCheck(ip_address(address)), PingCheck(ip_address(address), Wire.near)):
                assert spec.problems() == []
                assert await asked(spec, CheckWorld(reactor, netlink)) == ""
        specs = [
            CheckSpec(what, interval=0.3, timeout=0.2, fall=1, rise=1)
            for what in (PingCheck(ip_address("10.9.0.2")), CarrierCheck(Wire.near))
        ]
        checks = Checks(reactor, specs, lambda fitness, _: verdict.append(fitness), netlink)
        checks.start()
        await until(lambda: checks.verdict[0] is Fitness.FIT)
        wire.farIp("link", "set", Wire.far, "down")
        await until(lambda: checks.verdict[1].count(";") == 1)
        assert checks.verdict == (
            Fitness.UNFIT,
            "ping 10.9.0.2: no answer within 0.2 s (1 of 1); carrier near0: no carrier (1 of 1)",
        )
        wire.farIp("link", "set", Wire.far, "up")
        await until(lambda: checks.verdict[0] is Fitness.FIT)
        assert verdict[0] is Fitness.UNFIT
        assert verdict[-1] is Fitness.FIT
        await checks.stop()
    finally:
        netlink.stop()


@pytest_twisted.ensureDeferred
async def test_nothingLeft(serve: Serve) -> None:
    """Fifty checks that hang in every way are stopped at once: no timer, connection or process is left."""
    from hatwist.checks.programs import CommandCheck

    port, factory = serve(lambda server: None)
    before = set(children())
    hanging = [
        *(CheckSpec(HttpCheck(f"http://{HERE}:{port}/{n}"), timeout=60.0) for n in range(25)),
        *(CheckSpec(CommandCheck(("sleep", f"6{n:03}")), timeout=60.0) for n in range(25)),
    ]
    timers = set(reactor.getDelayedCalls())
    checks = Checks(reactor, hanging, lambda *verdict: None)
    checks.start()
    await until(lambda: len(factory.connections) == 25 and len(set(children()) - before) == 25)
    began = reactor.seconds()
    done: Deferred[None] = checks.stop()
    await done
    assert reactor.seconds() - began < 1.0
    assert set(children()) <= before
    await factory.idle()
    await until(lambda: set(reactor.getDelayedCalls()) <= timers)


def children() -> list[int]:
    """The processes that this one has started."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in text.split()]
