"""
The states of one group on one node, and the table that says what each input does to each of them.

The docs draw their diagram from this table, and L{hatwist.core.standing} obeys it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """Where a group is; the role that others are told follows from it."""

    STARTING = "starting"
    STANDBY = "standby"
    ASKING = "asking"
    ACQUIRING = "acquiring"
    ACTIVE = "active"
    RELEASING = "releasing"
    STOPPING = "stopping"
    SHUTDOWN = "shutdown"


class Input(Enum):
    """What can happen to a group: decided here (claim, yield), reported by the driver, or asked for (stop)."""

    READY = "ready"
    ASK = "ask"
    CLAIM = "claim"
    HELD = "held"
    REFUSED = "refused"
    YIELD = "yield"
    RELEASED = "released"
    FENCED = "fenced"
    STOP = "stop"


class Do(Enum):
    """What a transition does, apart from changing the state."""

    NAME_TERM = "name a new term"
    HOLD = "hold"
    RELEASE = "release"
    ACTIVATE = "activate"
    DROP = "drop the claim"
    LET_GO = "released"
    CLEAN = "clean"
    RESTART = "begin anew"


class Next(NamedTuple):
    """One cell of the table: the state that follows, and what is done on the way."""

    state: State
    do: tuple[Do, ...] = ()


_S = State
_STALE = None
"""An answer to a request that is no longer wanted, or a request that is already met: nothing happens."""

TABLE: dict[State, dict[Input, Next | None]] = {
    _S.STARTING: {
        Input.READY: Next(_S.STANDBY),
        Input.ASK: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: Next(_S.STARTING, (Do.CLEAN,)),
        Input.FENCED: _STALE,
        Input.STOP: Next(_S.STOPPING, (Do.RELEASE,)),
    },
    _S.STANDBY: {
        Input.READY: _STALE,
        Input.ASK: Next(_S.ASKING, (Do.NAME_TERM,)),
        Input.CLAIM: Next(_S.ACQUIRING, (Do.NAME_TERM, Do.HOLD)),
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: _STALE,
        Input.FENCED: _STALE,
        Input.STOP: Next(_S.SHUTDOWN),
    },
    _S.ASKING: {
        Input.READY: _STALE,
        Input.ASK: _STALE,
        Input.CLAIM: Next(_S.ACQUIRING, (Do.HOLD,)),
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: Next(_S.STANDBY, (Do.DROP,)),
        Input.RELEASED: _STALE,
        Input.FENCED: _STALE,
        Input.STOP: Next(_S.SHUTDOWN, (Do.DROP,)),
    },
    _S.ACQUIRING: {
        Input.READY: _STALE,
        Input.ASK: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: Next(_S.ACTIVE, (Do.ACTIVATE,)),
        Input.REFUSED: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.YIELD: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.RELEASED: _STALE,
        Input.FENCED: Next(_S.STARTING, (Do.RESTART, Do.RELEASE)),
        Input.STOP: Next(_S.STOPPING, (Do.RELEASE,)),
    },
    _S.ACTIVE: {
        Input.READY: _STALE,
        Input.ASK: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.YIELD: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.RELEASED: _STALE,
        Input.FENCED: Next(_S.STARTING, (Do.RESTART, Do.RELEASE)),
        Input.STOP: Next(_S.STOPPING, (Do.RELEASE,)),
    },
    _S.RELEASING: {
        Input.READY: _STALE,
        Input.ASK: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: Next(_S.STANDBY, (Do.LET_GO,)),
        Input.FENCED: Next(_S.STARTING, (Do.RESTART, Do.RELEASE)),
        Input.STOP: Next(_S.STOPPING),
    },
    _S.STOPPING: {
        Input.READY: _STALE,
        Input.ASK: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: Next(_S.SHUTDOWN, (Do.LET_GO,)),
        Input.FENCED: _STALE,
        Input.STOP: _STALE,
    },
    _S.SHUTDOWN: dict.fromkeys(Input, _STALE),
}
