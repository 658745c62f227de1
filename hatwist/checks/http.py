"""Checks that a web server answers, by Twisted's Agent: one request, no redirect followed, a bounded answer."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.checks.base import CheckFailed, CheckWorld, Stateless
from hatwist.checks.tcp import endpoint, isAddress, resolvable, resolve, said

BODY = 64 * 1024
"""Bytes of an answer's body that are read; a longer one is as good as a whole one."""
MOST = 4 * BODY
"""Bytes after which an answer is no answer, its head included."""
GOOD = range(200, 400)
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """
    Good while a GET is answered with a status from 200 to 399, or the one that is asked for.

    @ivar contains: what must be in the first 64 KiB of the body, as UTF-8.
    @ivar verify: whether the certificate must be valid, by the host's trusted ones, for the name in the URL.
    """

    url: str
    status: int | None = None
    contains: str = ""
    verify: bool = True

    @property
    def name(self) -> str:
        return f"http {self.url}"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def problems(self) -> list[str]:
        found = resolvable(self.host)
        if urlsplit(self.url).scheme == "https" and not all(
            find_spec(module) for module in ("OpenSSL", "service_identity")
        ):
            found.append("https needs pyOpenSSL and service_identity: pip install 'hatwist[tls]'")
        return found

    def probe(self, world: CheckWorld) -> _HttpProbe:
        return _HttpProbe(world, self)


class _HttpProbe(Stateless):
    def __init__(self, world: CheckWorld, spec: HttpCheck) -> None:
        self._world = world
        self._spec = spec
        parts = urlsplit(spec.url)
        self._port = parts.port or PORTS[parts.scheme]
        # The trusted certificates are read once, not with every question.
        self._tls = _tls(spec.host, spec.verify) if parts.scheme == "https" else None

    def run(self, limit: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(limit))

    async def _run(self, limit: float) -> None:
        failure = ""
        for address in await resolve(self._world, self._spec.host, limit):
            where = endpoint(self._world.reactor, address, self._port, limit)
            if self._tls is not None:
                from twisted.internet.endpoints import wrapClientTLS

                where = wrapClientTLS(self._tls, where)
            way = _Way(where)
            try:
                await self._ask(way)
                return
            except ConnectError as error:
                failure = said(error)
            finally:
                way.end()
        raise CheckFailed(failure)

    async def _ask(self, way: _Way) -> None:
        from twisted.web.http_headers import Headers

        spec = self._spec
        try:
            response = await self._agent(way).request(
                b"GET", spec.url.encode("ascii"), Headers({b"User-Agent": [b"hatwist"]})
            )
        except Exception as error:
            if not hasattr(error, "reasons"):  # then it is none of Twisted's HTTP client
                raise
            raise CheckFailed(way.failure or f"no answer: {said(error)}") from error
        body = _Body(spec.contains.encode())
        response.deliverBody(body)
        phrase = response.phrase.decode("ascii", "replace")
        wanted = GOOD if spec.status is None else (spec.status,)
        if response.code not in wanted:
            expected = "" if spec.status is None else f", expected was {spec.status}"
            raise CheckFailed(f"answered {response.code} {phrase}{expected}")
        failure = await body.judged
        if failure:
            raise CheckFailed(failure)

    def _agent(self, way: _Way) -> Any:
        from twisted.web.client import Agent
        from twisted.web.iweb import IAgentEndpointFactory

        @implementer(IAgentEndpointFactory)
        class Ways:
            def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
                return way

        return Agent.usingEndpointFactory(self._world.reactor, Ways())


@implementer(IStreamClientEndpoint)
class _Way:
    """One connection, bounded, that can be ended from outside."""

    def __init__(self, where: IStreamClientEndpoint) -> None:
        self._where = where
        self._connection: _Bounded | None = None

    @property
    def failure(self) -> str:
        """Why it was ended by itself, if it was."""
        spent = self._connection is not None and self._connection.left < 0
        return f"the head of its answer is too long ({MOST} bytes)" if spent else ""

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        def connected(wrapper: _Bounded) -> Any:
            self._connection = wrapper
            return wrapper.wrappedProtocol

        connecting: Deferred[Any] = self._where.connect(_Quiet(protocolFactory))
        return connecting.addCallback(connected)

    def end(self) -> None:
        """Whatever it was at, it is over."""
        if self._connection is not None:
            self._connection.end()


class _Bounded(ProtocolWrapper):
    left = MOST

    def dataReceived(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            self.end()
        else:
            super().dataReceived(data)

    def end(self) -> None:
        """Close it at once."""
        transport: Any = self.transport
        if transport is not None and self.connected:
            transport.abortConnection()


class _Quiet(WrappingFactory):
    """Says nothing to the log of its beginning and end."""

    protocol = _Bounded
    noisy = False

    def doStart(self) -> None:
        """Nothing to start."""

    def doStop(self) -> None:
        """Nothing to stop."""


class _Body(Protocol):
    """Reads as much of a body as is wanted, and judges."""

    def __init__(self, wanted: bytes) -> None:
        self.judged: Deferred[str] = Deferred()
        self._wanted = wanted
        self._read = b""

    def dataReceived(self, data: bytes) -> None:
        self._read += data[: BODY - len(self._read)]
        if len(self._read) >= BODY:
            self._judge("")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        from twisted.web.client import ResponseDone
        from twisted.web.http import PotentialDataLoss

        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._judge("" if whole else "the connection was lost within the answer")

    def _judge(self, failure: str) -> None:
        if not failure and self._wanted not in self._read:
            failure = f"the answer does not contain {self._wanted.decode()!r}"
        if not self.judged.called:
            self.judged.callback(failure)


def _tls(host: str, verify: bool) -> Any:
    """What makes TLS connections to a host."""
    from twisted.internet.ssl import optionsForClientTLS

    if verify:
        return optionsForClientTLS(host)
    return _Unverified(host)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Takes any certificate."""

    def __init__(self, host: str) -> None:
        from twisted.internet.ssl import CertificateOptions

        self._context = CertificateOptions(verify=False).getContext()
        self._name = b"" if isAddress(host) else host.encode("ascii")

    def clientConnectionForTLS(self, tlsProtocol: object) -> Any:
        from OpenSSL import SSL

        connection = SSL.Connection(self._context, None)
        if self._name:
            connection.set_tlsext_host_name(self._name)
        return connection
