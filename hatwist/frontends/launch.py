"""What twistd asks for the command C{ha}: it takes SIGHUP in hand, then imports L{hatwist.frontends.tap}."""

from __future__ import annotations

from typing import Any

from hatwist.frontends import hangups


def __getattr__(name: str) -> Any:
    """C{Options} and C{makeService}, see L{twisted.application.service.ServiceMaker}."""
    if name not in ("Options", "makeService"):
        raise AttributeError(name)
    hangups.catch()
    from hatwist.frontends import tap

    return getattr(tap, name)
