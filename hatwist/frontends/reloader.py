"""SIGHUP, and whoever else asks for it: the configuration is read anew, and applied."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hatwist.core.errors import ConfigurationError, ResourceError
from hatwist.frontends import hangups
from hatwist.frontends.logs import postponeSignals
from hatwist.frontends.notify import Notifier
from hatwist.service.service import HAService
from hatwist.settings import Settings
from hatwist.settings.changes import WARNING


class Reloader(Service):
    """
    Reads the configuration anew on SIGHUP. SIGUSR1 would end the process without its goodbye; it is only logged.

    @param read: the settings anew, from the file that this process was given or from its options.
    """

    name = "reloader"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        service: HAService,
        read: Callable[[], Settings],
        notifier: Notifier,
    ) -> None:
        self._notifier = notifier
        self._reactor = reactor
        self._service = service
        self._read = read
        self._before: dict[int, Any] = {}  # handlers of signals, which others may have had

    def startService(self) -> None:
        super().startService()
        for number, handler in self._handlers:
            self._before[number] = signal.signal(number, handler)
        if hangups.waiting:  # after the file was read, perhaps
            hangups.waiting.clear()
            self._reactor.callWhenRunning(self._asked)
        self._reactor.callWhenRunning(postponeSignals, self._reactor)

    def stopService(self) -> None:
        """A program that goes on has its signals as before, if nobody else has taken them since."""
        super().stopService()
        for number, handler in self._handlers:
            before = self._before.pop(number, None)
            if before is not None and signal.getsignal(number) == handler:
                signal.signal(number, before)

    @property
    def _handlers(self) -> tuple[tuple[int, Any], ...]:
        return (signal.SIGHUP, self._hangup), (signal.SIGUSR1, self._ignored)

    async def preview(self) -> tuple[str, ...]:
        """
        Read the configuration, and tell what a L{reload} would change.

        @raise ConfigurationError: it would change nothing, for these reasons.
        """
        return await self._service.preview(self._read())

    def reload(self) -> Deferred[tuple[str, ...]]:
        """
        Read the configuration, and go on with it.

        Fires with what has changed. Fails with L{ConfigurationError}, and everything is as it was; or with
        L{ResourceError}, see L{HAService.reload}.
        """
        self._notifier.reloading()
        done = Deferred.fromCoroutine(self._reload())
        return done.addBoth(self._reloaded)

    def _reloaded(self, result: Any) -> Any:
        self._notifier.reloaded()
        return result

    async def _reload(self) -> tuple[str, ...]:
        try:
            done = await self._service.reload(self._read())
        except ConfigurationError as e:
            self._log.error("Not reloaded, and the old configuration goes on:")
            for problem in e.problems:
                self._log.error("  {problem}", problem=problem)
            raise
        except ResourceError as e:
            self._log.error("Reloaded, but: {error}", error=e)
            raise
        for line in done:
            emit = self._log.warn if line.startswith(WARNING) else self._log.info
            emit("Reloaded: {line}", line=line)
        if not done:
            self._log.info("Reloaded: nothing has changed")
        return done

    def _hangup(self, number: int, frame: Any) -> None:
        self._reactor.callFromThread(self._asked)

    def _asked(self) -> None:
        self.reload().addErrback(lambda failure: failure.trap(ConfigurationError, ResourceError))

    def _ignored(self, number: int, frame: Any) -> None:
        self._reactor.callFromThread(
            self._log.warn, "{signal} is ignored", signal=signal.Signals(number).name
        )
