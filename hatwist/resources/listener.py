"""A listening port as a service that can be started again: for L{hatwist.service.service.HAService.addActive}."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint


class Listener(Service):
    """
    Listens on an endpoint while it runs, as often as it is started.

    Twisted's C{StreamServerEndpointService} (and C{strports.service}) listens only the first time, and only logs
    when it cannot; this one fails. Connections that are there when it stops stay, as they do there.

    @param endpoint: its interface may be the shared address, since that is held when this starts.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, factory: IProtocolFactory) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._starting: Deferred[None] | None = None
        self._port: IListeningPort | None = None

    def startService(self) -> Deferred[None]:
        """Fires when it listens; fails with what C{listen} failed with, such as C{CannotListenError}."""
        super().startService()
        self._starting = Deferred.fromCoroutine(self._listen())
        return self._starting

    async def _listen(self) -> None:
        if self._port is None:
            self._port = await self._endpoint.listen(self._factory)

    def stopService(self) -> Deferred[None]:
        """Fires when the port is closed."""
        super().stopService()
        if self._starting is not None:
            self._starting.cancel()
        port, self._port = self._port, None
        closing = port.stopListening() if port is not None else None
        return closing if closing is not None else succeed(None)
