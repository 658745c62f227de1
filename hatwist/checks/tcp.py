"""Checks that a TCP port accepts connections; and how names become addresses without waiting for them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from hatwist.checks.base import CheckFailed, CheckWorld, Stateless
from hatwist.checks.programs import lacking, output

GETENT = "getent"


def isAddress(host: str) -> bool:
    """Whether it is an IP address, without brackets."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(world: CheckWorld, host: str, limit: float) -> list[str]:
    """
    The addresses of a host, as its resolver orders them.

    A program asks, since it can be ended: a thread that waits for a name server cannot, and the
    process that keeps addresses alive has only a few.

    @raise CheckFailed: it has none.
    """
    if isAddress(host):
        return [host]
    ending, lines = await output(world, [GETENT, "ahosts", host], limit)
    found = list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
    if ending.code or not found:
        raise CheckFailed(f"the name {host} cannot be resolved")
    return found


def resolvable(host: str) -> list[str]:
    """Problems of a check that connects to this host."""
    return [] if isAddress(host) else lacking(GETENT, "setsid")


def endpoint(reactor: Any, address: str, port: int, limit: float) -> IStreamClientEndpoint:
    """Where to connect to; who asks ends it within C{limit} seconds."""
    kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
    made: IStreamClientEndpoint = kind(reactor, address, port, timeout=limit + 1)
    return made


def hostAndPort(host: str, port: int) -> str:
    """C{127.0.0.1:80}, or C{[::1]:80}."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def said(error: BaseException) -> str:
    """Why there is no connection, or no answer on it, in few words."""
    reasons = getattr(error, "reasons", None)
    if reasons:  # of Twisted's HTTP client
        return said(reasons[-1].value)
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if isinstance(error, ConnectError | OSError) and isinstance(number, int):
        text = os.strerror(number)
        return text[0].lower() + text[1:]
    name = type(error).__name__
    if name == "VerificationError":  # of service_identity
        return "the certificate is for another name"
    if name == "Error" and error.args and isinstance(error.args[0], list) and error.args[0]:
        return str(error.args[0][-1][-1])  # of OpenSSL: library, function, reason
    if isinstance(error, ConnectionDone | ConnectionLost):
        return "the connection was closed"
    if name == "ParseError":
        return "what came is not HTTP"
    return str(error) or name


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """Good while a port accepts a connection, which is closed at once."""

    host: str
    port: int

    @property
    def name(self) -> str:
        return f"tcp {hostAndPort(self.host, self.port)}"

    def problems(self) -> list[str]:
        return resolvable(self.host)

    def probe(self, world: CheckWorld) -> _TcpProbe:
        return _TcpProbe(world, self)


class _TcpProbe(Stateless):
    def __init__(self, world: CheckWorld, spec: TcpCheck) -> None:
        self._world = world
        self._spec = spec

    def run(self, limit: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(limit))

    async def _run(self, limit: float) -> None:
        spec, failure = self._spec, ""
        for address in await resolve(self._world, spec.host, limit):
            where = endpoint(self._world.reactor, address, spec.port, limit)
            try:
                connection: Any = await where.connect(_Quiet.forProtocol(_Closing))
            except ConnectError as error:
                failure = said(error)
                continue
            await connection.closed
            if not connection.toItself:
                return
            # Nobody listens on that port, and the kernel chose it for our own end: we were connected to ourselves.
            failure = "connection refused"
        raise CheckFailed(failure)


class _Quiet(Factory):
    noisy = False


class _Closing(Protocol):
    """Ends as soon as it has begun."""

    toItself = False

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.toItself = transport.getHost() == transport.getPeer()
        transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.closed.called:
            self.closed.callback(None)
