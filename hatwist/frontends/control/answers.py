"""What the daemon answers to each command."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from hatwist.core.claims import Role
from hatwist.core.effects import Change
from hatwist.core.errors import ConfigurationError, Refused, ResourceError
from hatwist.frontends.control import commands
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.frontends.control.levels import NAMESPACE, Threshold
from hatwist.frontends.control.times import LONGEST, WAIT
from hatwist.service.orders import Done, known, seen
from hatwist.service.service import HAService
from hatwist.service.status import status, troubles

_Method = Callable[[Any, dict[str, Any]], Any]


def answering(command: type[commands.JsonCommand]) -> Callable[[_Method], _Method]:
    """
    The decorator of a method that answers a command: it is given the arguments, and returns what
    goes into JSON, or is a coroutine that does.
    """

    def decorate(method: _Method) -> _Method:
        def respond(self: ControlAnswers, arguments: Any) -> Any:
            if not isinstance(arguments, dict):
                raise CommandRefused("arguments are an object of names and values")
            try:
                found = method(self, arguments)
            except Refused as e:
                raise CommandRefused(str(e)) from None
            if not hasattr(found, "__await__"):
                return {"answer": found}
            pending = self.pending = Deferred.fromCoroutine(found)
            return pending.addCallbacks(lambda answer: {"answer": answer}, _left)

        command.responder(respond)
        return method

    return decorate


def _said(error: ConfigurationError | ResourceError) -> str:
    if isinstance(error, ResourceError):
        return f"reloaded, but: {error}"
    lines = "".join(f"\n  {problem}" for problem in error.problems)
    return f"not reloaded, and the old configuration goes on:{lines}"


def _goingOn(pending: Deferred[Any]) -> Deferred[Any]:
    """Fires with it; who waits no more does not end it."""
    waiting: Deferred[Any] = Deferred()

    def tell(result: Any) -> None:
        if not waiting.called:
            waiting.callback(result)

    pending.addBoth(tell)
    return waiting


def _told(done: Done) -> dict[str, Any]:
    """An order that was carried out, for JSON."""
    moves = [
        {"group": a.group, "from": a.source, "to": a.to, "dark": a.dark, "total": a.total}
        for a in done.arrivals
    ]
    note = {"note": done.note} if done.note else {}
    return {"plan": done.plan, "moves": moves, **note}


def _left(failure: Failure) -> None:
    if failure.check(CancelledError):
        raise CommandRefused("nobody waits for it any more")
    if failure.check(Refused):
        raise CommandRefused(failure.getErrorMessage())
    failure.raiseException()


class ControlAnswers(amp.CommandLocator):
    """
    For one client, which asks one question at a time.

    @param threshold: of the log, the same for all clients.
    """

    _log = Logger()

    def __init__(self, service: HAService, reactor: Any, threshold: Threshold) -> None:
        self.service = service
        self.pending: Deferred[Any] | None = None
        self._reactor = reactor
        self._threshold = threshold

    def cancel(self) -> None:
        """Nobody waits for an answer any more. What was begun goes on."""
        if self.pending is not None:
            self.pending.cancel()

    # What is

    @answering(commands.StatusCommand)
    def status(self, arguments: dict[str, Any]) -> Any:
        return status(self.service.status())

    @answering(commands.WatchCommand)
    async def watch(self, arguments: dict[str, Any]) -> Any:
        node = self.service.orders.node
        changed: Deferred[None] = Deferred()

        def tell(change: Change) -> None:
            # When everything that this packet brings is known.
            self._reactor.callLater(0, wake)

        def wake() -> None:
            if not changed.called:
                changed.callback(None)

        unwatch = node.watch(tell)
        try:
            await changed.addTimeout(
                _seconds(arguments, "wait", 1.0), self._reactor, lambda late, limit: None
            )
        finally:
            unwatch()
        return status(self.service.status())

    @answering(commands.WhyCommand)
    def why(self, arguments: dict[str, Any]) -> Any:
        node, snapshot = self.service.orders.node, self.service.status()
        picture, named = seen(snapshot), arguments.get("group")
        groups = {}
        for name in [named] if named is not None else picture.groups:
            why = known(snapshot, name)
            since = ""
            if why.age is not None:
                since = f"since {_timeOfDay(time.time() - why.age)}"
            groups[name] = {
                "text": why.paragraph(since),
                "nodes": {
                    other: {"kind": reason.word, "text": reason.text}
                    for other, reason in why.nodes.items()
                },
            }
        found: dict[str, Any] = {
            "alone": picture.alone,
            "groups": groups,
            "troubles": troubles(snapshot),
        }
        if arguments.get("full"):
            wall = time.time()
            found["recorder"] = [
                [round(wall - (picture.now - line.at), 6), line.kind, line.text]
                for line in node.driver.recorder.lines()
            ]
        return found

    @answering(commands.HistoryCommand)
    def history(self, arguments: dict[str, Any]) -> Any:
        limit = arguments.get("limit") or 0
        if not isinstance(limit, int) or limit < 0:
            raise CommandRefused("limit: allowed is 1 or more")
        entries = list(self.service.history.entries)
        group = arguments.get("group")
        if group is not None:
            entries = [entry for entry in entries if entry.group == group]
            if not entries:
                known(self.service.status(), group)  # one that was there once is told of, too
        return [entry._asdict() for entry in entries[-limit:]]

    # What moves something

    @answering(commands.MoveCommand)
    def move(self, arguments: dict[str, Any]) -> Any:
        limit = _seconds(arguments, "wait", WAIT)
        if arguments.get("node") == "":
            raise CommandRefused("node: an empty name; without any the group goes to the worthiest")
        group, to = str(arguments.get("group")), str(arguments.get("node") or "")
        if arguments.get("dry"):
            return {"plan": self.service.orders.planMove(group, to).lines}
        return self._carried(self.service.move(group, to, limit))

    @answering(commands.DrainCommand)
    def drain(self, arguments: dict[str, Any]) -> Any:
        limit = _seconds(arguments, "wait", WAIT)
        force = bool(arguments.get("force"))
        if arguments.get("dry"):
            return {"plan": self.service.orders.planDrain(force).lines}
        return self._carried(self.service.drain(force, limit))

    @answering(commands.UndrainCommand)
    def undrain(self, arguments: dict[str, Any]) -> Any:
        limit = _seconds(arguments, "wait", WAIT)
        if arguments.get("dry"):
            return {"plan": self.service.orders.planUndrain().lines}
        return self._carried(self.service.undrain(limit))

    async def _carried(self, doing: Deferred[Done]) -> Any:
        return _told(await doing)

    @answering(commands.AnnounceCommand)
    def announce(self, arguments: dict[str, Any]) -> Any:
        node = self.service.orders.node
        named = arguments.get("group")
        if named is not None:
            known(self.service.status(), named)
        held = [name for name, role in node.roles.items() if role is Role.ACTIVE]
        if named is not None and named not in held:
            raise CommandRefused(f"{named} is not held here, so there is nothing to announce")
        if not held:
            raise CommandRefused("nothing is held here, so there is nothing to announce")
        chosen = held if named is None else [named]
        for name in chosen:
            node.keepers[name].announce()
        return {"groups": chosen}

    # The daemon itself

    @answering(commands.PreviewCommand)
    async def preview(self, arguments: dict[str, Any]) -> Any:
        return {"changes": await self._reloaded(self._reloader().preview())}

    @answering(commands.ReloadCommand)
    async def reload(self, arguments: dict[str, Any]) -> Any:
        began = self.service.seconds()
        changes = await self._reloaded(_goingOn(self._reloader().reload()))
        return {"changes": changes, "total": self.service.seconds() - began}

    def _reloader(self) -> Any:
        try:
            return self.service.getServiceNamed("reloader")
        except KeyError:
            raise CommandRefused(
                "this program has its configuration from its own code, and not from a file"
            ) from None

    @staticmethod
    async def _reloaded(pending: Awaitable[Sequence[str]]) -> list[str]:
        try:
            return list(await pending)
        except (ConfigurationError, ResourceError) as e:
            raise CommandRefused(_said(e)) from None

    @answering(commands.LogLevelCommand)
    def logLevel(self, arguments: dict[str, Any]) -> Any:
        level = str(arguments.get("level"))
        namespace = str(arguments.get("namespace") or NAMESPACE)
        try:
            self._threshold.set(level, namespace)
        except ValueError as e:
            raise CommandRefused(str(e)) from None
        self._log.info("The log level of {of} is now {lowest}", of=namespace, lowest=level)
        return {"level": level, "namespace": namespace}


def _seconds(arguments: dict[str, Any], name: str, default: float) -> float:
    value = arguments.get(name, default)
    if not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        raise CommandRefused(f"{name}: allowed are 0 to {LONGEST:g} seconds")
    return float(value)


def _timeOfDay(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
