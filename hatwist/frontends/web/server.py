"""
The service that listens, and how it speaks HTTP.

It shares a process with the heartbeats, so what anybody can make it do is bounded: so many connections, one
request in each and some seconds for it, no body, and answers that are made once for all who ask. Whoever connects
and asks nothing makes room for those who ask: a load balancer takes an answer that does not come for a dead host.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from hatwist.frontends.web.answers import ANOTHER_HOST, FAILED, WebAnswers
from hatwist.frontends.web.names import strange
from hatwist.service.service import HAService
from hatwist.settings.endpoint import endpoint

CONNECTIONS = 32
"""At a time; one more ends the oldest that has not asked yet, or is closed at once."""
PER_SOURCE = 8
"""The same, of one address."""
LIMIT = 5.0
"""Seconds for one connection, from its beginning to its end."""
FIRST_LINE = 1.0
"""Seconds until it says what it asks for."""
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
        channel.asked = True
        try:
            accept = self.requestHeaders.getRawHeaders("accept", [""])
            here = str(getattr(self.getHost(), "host", ""))
            if strange(self.path, self.getHeader("host"), here):
                answer = ANOTHER_HOST
            else:
                answer = factory.answers.answer(
                    *(self.method, self.path, self.args or {}, ",".join(accept)),
                    factory.reactor.seconds(),
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
    @ivar source: the address that it comes from; C{""} for those that have none.
    @ivar asked: its request is complete.
    @ivar aborted: it has been told to end.
    """

    requestFactory = HTTPRequest
    answering: AnswersFactory

    def __init__(self) -> None:
        super().__init__()
        self.ended: Deferred[None] = Deferred()
        self.source = ""
        self.asked = self.aborted = False
        self._end: IDelayedCall | None = None
        self._line: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.answering.channels[self] = None
        self._end = self.callLater(LIMIT, self.abort)
        self._line = self.callLater(FIRST_LINE, self.abort)

    def lineReceived(self, line: bytes) -> None:
        if line:
            self._cancel(self._line)
        super().lineReceived(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.answering.channels.pop(self, None)
        self._cancel(self._end)
        self._cancel(self._line)
        super().connectionLost(reason)
        self.ended.callback(None)

    def abort(self) -> None:
        """End it at once."""
        self.aborted = True
        transport: Any = self.transport
        transport.abortConnection()

    def _cancel(self, call: IDelayedCall | None) -> None:
        if call is not None and call.active():
            call.cancel()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        request.responseHeaders.setRawHeaders("Connection", ["close"])
        return False


class AnswersFactory(HTTPFactory):
    """
    Makes channels, and keeps no log of requests: health checks come every second.

    @ivar channels: those that are open, the oldest first.
    """

    protocol: Any = Channel
    noisy = False

    def __init__(self, answers: WebAnswers, reactor: Any) -> None:
        super().__init__(reactor=reactor)
        self.timeOut = (
            None  # a channel's own is absolute, and so cannot be put off by a byte now and then
        )
        self.answers = answers
        self.channels: dict[Channel, None] = {}

    def startFactory(self) -> None:
        """Twisted's would begin a log of requests."""

    def stopFactory(self) -> None:
        """Nothing was begun."""

    def buildProtocol(self, addr: Any) -> Any:
        source = str(getattr(addr, "host", ""))
        of = [channel for channel in self.channels if not channel.aborted]
        if source:
            if not _room([c for c in of if c.source == source], PER_SOURCE):
                return None
        if not _room([c for c in of if not c.aborted], CONNECTIONS):
            return None
        channel: Any = super().buildProtocol(addr)
        channel.answering, channel.source = self, source
        return channel

    def log(self, request: Any) -> None:
        """Not one."""


def _room(channels: Sequence[Channel], most: int) -> bool:
    """Is there room for one more? If need be the oldest that has not asked yet ends."""
    if len(channels) < most:
        return True
    idle = next((channel for channel in channels if not channel.asked), None)
    if idle is not None:
        idle.abort()
    return idle is not None


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
        self._factory = AnswersFactory(WebAnswers(service), reactor)
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
