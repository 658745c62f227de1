"""
The service that listens, and how it speaks HTTP.

It shares a process with the heartbeats, so what anybody can make it do is bounded: so many connections, one
request in each and some seconds for it, no body, and answers that are made once for all who ask.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from hatwist.web.answers import FAILED, Answers
from hatwist.web.endpoint import endpoint

if TYPE_CHECKING:
    from hatwist.service import HAService

CONNECTIONS = 32
"""At a time; one more is closed at once."""
LIMIT = 5.0
"""Seconds for one connection, from its beginning to its end."""
HEADERS = (
    ("Server", "hatwist"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"


class HTTPRequest(Request):
    """One request: its body is not wanted, and its answer is ready at once."""

    _log = Logger()

    def gotLength(self, length: int | None) -> None:
        """Twisted would write a large body to the disk, on the reactor."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        pass

    def process(self) -> None:
        channel: Any = self.channel
        factory: AnswersFactory = channel.answering
        try:
            accept = self.requestHeaders.getRawHeaders("accept", [""])
            answer = factory.answers.answer(
                self.method, self.path, self.args or {}, ",".join(accept), factory.reactor.seconds()
            )
        except Exception:
            self._log.failure("A request over HTTP could not be answered")
            answer = FAILED
        self.setResponseCode(answer.code)
        for name, value in (*HEADERS, ("Content-Security-Policy", NO_PAGE), *answer.headers):
            self.responseHeaders.setRawHeaders(name, [value])
        self.responseHeaders.setRawHeaders("Content-Type", [answer.type])
        self.responseHeaders.setRawHeaders("Content-Length", [str(len(answer.body))])
        self.write(answer.body)
        self.finish()


class Channel(HTTPChannel):
    """
    One connection for one request: thousands in a row would all be answered in one turn of the reactor.

    @ivar ended: fires when it has.
    """

    requestFactory = HTTPRequest
    answering: AnswersFactory
    _end: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.ended: Deferred[None] = Deferred()
        self.answering.channels.add(self)
        self._end = self.callLater(LIMIT, self.abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.answering.channels.discard(self)
        if self._end is not None and self._end.active():
            self._end.cancel()
        super().connectionLost(reason)
        self.ended.callback(None)

    def abort(self) -> None:
        """End it at once."""
        transport: Any = self.transport
        transport.abortConnection()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        request.responseHeaders.setRawHeaders("Connection", ["close"])
        return False


class AnswersFactory(HTTPFactory):
    """
    Makes channels, and keeps no log of requests: health checks come every second.

    @ivar channels: those that are open.
    """

    protocol: Any = Channel
    noisy = False

    def __init__(self, answers: Answers, reactor: Any) -> None:
        super().__init__(reactor=reactor)
        self.timeOut = (
            None  # a channel's own is absolute, and so cannot be put off by a byte now and then
        )
        self.answers = answers
        self.channels: set[Channel] = set()

    def startFactory(self) -> None:
        """Twisted's would begin a log of requests."""

    def stopFactory(self) -> None:
        """Nothing was begun."""

    def buildProtocol(self, addr: Any) -> Any:
        if len(self.channels) >= CONNECTIONS:
            return None
        channel: Any = super().buildProtocol(addr)
        channel.answering = self
        return channel

    def log(self, request: Any) -> None:
        """Not one."""


class Web(Service):
    """
    Tells what one service knows over HTTP, as long as it runs.

    @param description: where to listen, a server endpoint of Twisted such as
        C{"tcp:9107:interface=127.0.0.1"}.
    @param reactor: C{None}: the global one.
    @raise ValueError: this is no such description.
    @ivar port: where it listens, once it does.
    """

    name = "web"
    _log = Logger()

    def __init__(self, service: HAService, description: str, reactor: Any = None) -> None:
        endpoint(description)
        if reactor is None:
            from twisted.internet import reactor
        self.description = description
        self.port: IListeningPort | None = None
        self._reactor = reactor
        self._factory = AnswersFactory(Answers(service), reactor)
        self._listening: Deferred[None] | None = None

    def startService(self) -> None:
        """
        Listen.

        @raise OSError: that is not possible; the text says why.
        """
        failures: list[Failure] = []
        try:
            listening = serverFromString(self._reactor, self.description).listen(self._factory)
        except Exception as error:  # a certificate that is no file, for example
            raise OSError(self._explained(Failure(error))) from error
        self._listening = listening.addCallbacks(self._listens, failures.append)
        if failures:
            raise OSError(self._explained(failures[0]))
        super().startService()
        # One that takes its time, and fails then: what is held stays held.
        listening.addCallback(self._late, failures)

    def stopService(self) -> Deferred[None]:
        """Fires once nothing listens here any more."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
        port, self.port = self.port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        channels = list(self._factory.channels)
        for channel in channels:
            channel.abort()
        for channel in channels:
            await channel.ended

    def _listens(self, port: IListeningPort) -> None:
        self.port = port
        host: Any = port.getHost()
        where = f"{host.host} port {host.port}" if hasattr(host, "port") else str(host.name)
        self._log.info("HTTP is answered on {where}", where=where)

    def _late(self, result: None, failures: list[Failure]) -> None:
        if failures and self.running:
            self._log.error("{problem}", problem=self._explained(failures[0]))

    def _explained(self, failure: Failure) -> str:
        error: Any = failure.value
        why = getattr(error, "socketError", None) or error
        return f"--http {self.description}: cannot listen there: {why}"
