"""What a daemon that is dead may have left on this host, for C{hatwist release}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hatwist.core.limits import LIMIT


class Left(NamedTuple):
    """
    What became of a resource that an earlier run may have left.

    @ivar problem: why it could not be released; C{""}: it was, or was not there.
    @ivar was: whether it was there; C{None}: that cannot be told.
    """

    problem: str
    was: bool | None


async def releaseLeft(reactor: Any, resources: Sequence[Any]) -> dict[str, Left]:
    """
    Release them all, the last first; what fails keeps none of the others.

    @return: what became of each, by name.
    """
    found = {}
    for resource in reversed(resources):
        was = await _was(reactor, resource)
        pending = resource.release()
        pending.addTimeout(getattr(resource, "releaseTime", LIMIT) + 1, reactor)
        try:
            await pending
        except Exception as e:
            found[resource.name] = Left(str(e) or repr(e), was)
        else:
            found[resource.name] = Left("", getattr(resource, "leftThere", was))
    return found


async def _was(reactor: Any, resource: Any) -> bool | None:
    """Whether it is held now, before it is released; C{None}: who can tell?"""
    if not getattr(resource, "checked", True):
        return None
    pending = resource.verify()
    pending.addTimeout(getattr(resource, "acquireTime", LIMIT) + 1, reactor)
    try:
        return bool(await pending)
    except Exception:
        return None  # its release will say what is wrong
