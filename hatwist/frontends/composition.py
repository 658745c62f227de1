"""One node with all that belongs to it, as C{twistd ha} runs it, and whoever has it in a program of one's own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

from hatwist.core.errors import ConfigurationError
from hatwist.frontends.control import place
from hatwist.frontends.control.server import Control
from hatwist.frontends.notify import Notifier
from hatwist.frontends.reloader import Reloader
from hatwist.runtime.lock import NodeLock, Taken
from hatwist.service.proof import FramesProof
from hatwist.service.service import HAService
from hatwist.settings import Settings
from hatwist.settings.endpoint import unusable
from hatwist.settings.options import argument

OWN_CODE = (
    "this program has its configuration from its own code, and not from a file: give makeService a function "
    "that reads it"
)


def makeService(
    settings: Settings | Callable[[], Settings],
    reactor: Any = None,
    resources: Sequence[Any] = (),
) -> HAService:
    """
    The service that C{twistd ha} runs: a node with its control socket, its notifier of systemd, HTTP where
    the settings say so, and reloads on SIGHUP and by C{hatwist reload}.

    Nothing is opened before it is started, so that a daemon may fork meanwhile.

    @param settings: those of L{hatwist.settings.settings} or L{hatwist.settings.load}; or a function that
        reads them, now and at each reload.
    @param reactor: C{None}: the global one. Its clock is left as it is.
    @param resources: further providers of L{IResource}, for the first group.
    @raise ConfigurationError: with everything that keeps it from running here.
    """
    if isinstance(settings, Settings):
        return compose(settings, reactor, _unread, _named, resources)
    return compose(settings(), reactor, settings, _named, resources)


def _named(key: str, value: str) -> str:
    return argument((key,), value)


def _unread() -> Settings:
    raise ConfigurationError([OWN_CODE])


def compose(
    settings: Settings,
    reactor: Any,
    read: Callable[[], Settings],
    named: Callable[[str, str], str],
    resources: Sequence[Any] = (),
) -> HAService:
    """
    See L{makeService}.

    @param read: the settings anew.
    @param named: a setting and its value as whoever gave it wrote them.
    """
    problems = []
    if settings.control not in ("", place.OFF) and (wrong := place.problem(settings.control)):
        problems.append(f"{named('control', settings.control)}: {wrong}")
    if settings.http is not None and (wrong := unusable(settings.http)):
        problems.append(f"{named('http', settings.http)}: {wrong}")
    try:
        # It is taken when the service starts; but then nothing can be refused in one line any more.
        NodeLock.of(settings.stateDir, settings.cluster, settings.node).check()
    except Taken as e:
        problems.append(str(e))
    if problems:
        raise ConfigurationError(problems)
    service = HAService(settings, reactor, resources)
    clock = service.clock
    # All that is there by then stays; to look through it takes 30 ms, several heartbeats of a fast cluster.
    clock.callWhenRunning(gc.freeze)
    if settings.http is not None:
        # Twisted's HTTP and prometheus-client are for who wants them.
        from hatwist.frontends.web.server import Web

        Web(service, settings.http, clock).setServiceParent(service)
    notifier = Notifier(service, clock)
    notifier.setServiceParent(service)
    Reloader(clock, service, read, notifier).setServiceParent(service)
    FramesProof(clock).setServiceParent(service)
    if settings.control != place.OFF:
        Control(service, clock, settings.control or None).setServiceParent(service)
    return service
