"""What is answered to which path: no socket, no clock of its own, and nothing of a request comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from prometheus_client.exposition import choose_encoder

from hatwist.frontends.web import health
from hatwist.frontends.web.metrics import registry
from hatwist.frontends.web.page import Page
from hatwist.service.service import HAService
from hatwist.service.status import status

FRESH, STALE = 0.2, 5.0
"""Seconds for which one answer does for all who ask, while the node keeps up and while it does not: heartbeats come
first, however many ask."""
METHODS = (b"GET", b"HEAD")
TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """
    @ivar code: of HTTP.
    @ivar type: of its content.
    @ivar headers: further ones.
    """

    code: int
    body: bytes
    type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()


PATHS = ("/", "/status", "/metrics", "/health/active", "/health/alive")
NOT_FOUND = Answer(404, f"there is nothing here; there are {' '.join(PATHS)}\n".encode())
ANOTHER_HOST = Answer(
    421, b"this host is not asked by that name here: ask for localhost (a proxy: Host: localhost)\n"
)
NOT_ALLOWED = Answer(405, b"only GET and HEAD\n", headers=(("Allow", "GET, HEAD"),))
FAILED = Answer(500, b"it failed; the log says why\n")

Arguments = Mapping[bytes, Sequence[bytes]]


class WebAnswers:
    """The answers of one service."""

    def __init__(self, service: HAService) -> None:
        self._service = service
        self._registry = registry(service.status)
        self._made: dict[str, tuple[float, Answer]] = {}
        page = Page()
        headers = (("Content-Security-Policy", page.policy),)
        self._page = Answer(200, page.body, "text/html; charset=utf-8", headers)

    def answer(
        self, method: bytes, path: bytes, arguments: Arguments, accept: str, now: float
    ) -> Answer:
        """
        @param path: without arguments.
        @param accept: the header of that name, or C{""}.
        @param now: on the reactor's clock.
        """
        if method not in METHODS:
            return NOT_ALLOWED
        if path == b"/":
            return self._page
        if path == b"/status":
            return self._once("status", now, self._tellStatus)
        if path == b"/metrics":
            encode, kind = choose_encoder(accept)
            return self._once(kind, now, lambda: Answer(200, encode(self._registry), kind))
        if path == b"/health/alive":
            return _verdict(health.alive(self._service.figures(), self._service.settings))
        if path == b"/health/active":
            return self._active(arguments)
        return NOT_FOUND

    def _once(self, name: str, now: float, make: Callable[[], Answer]) -> Answer:
        at, answer = self._made.get(name, (-inf, NOT_FOUND))
        if now >= at + (STALE if self._service.overloaded else FRESH):
            if len(self._made) > 8:  # whoever asks chooses among types
                self._made.clear()
            answer = make()
            self._made[name] = (now, answer)
        return answer

    def _tellStatus(self) -> Answer:
        body = json.dumps(status(self._service.status()), allow_nan=False, separators=(",", ":"))
        return Answer(200, body.encode() + b"\n", "application/json")

    def _active(self, arguments: Arguments) -> Answer:
        groups = [group.decode("utf-8", "replace") for group in arguments.get(b"group", ())]
        try:
            return _verdict(health.active(self._service.figures(), groups))
        except LookupError:
            return Answer(404, b"no such group here\n")


def _verdict(verdict: health.Verdict) -> Answer:
    good, why = verdict
    return Answer(200 if good else 503, f"{why}\n".encode())
