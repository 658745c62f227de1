"""The guarantee in force, computed from the configuration, with what it rests on and what would raise it."""

from __future__ import annotations

from math import ceil, floor, inf

from hatwist.core.electorate import Quorum
from hatwist.core.guarantee import Guarantee, Level
from hatwist.protocols.native.rules import CLOCK_ERROR, Timing

GUARDABLE_LEASE = 1.0
"""Seconds: the kernel counts leases in whole ones, so that shorter ones cannot be written down."""
LEASE_MARGIN = 0.4
"""Seconds by which a lease is shorter than the votes, before it is cut down to whole ones."""
LEASE_PROMPT = 0.1
"""Seconds after its sending in which a heartbeat is confirmed, where no packet is lost."""
LEASE_LATE = 1.0
"""Seconds that the kernel may remove late (check_lifetime in net/ipv4/devinet.c runs once in a second)."""


EACH, USUAL = 0.00005, 20
"""Seconds by which each address beyond so many makes a release longer: a thousand took 33 to 83 ms, a hundred 2.4 to
6 (two busy cores, Linux 6.18: dump, delete, dump). For fewer the time that an ordinary release has is enough."""


def guarantee(
    timing: Timing,
    quorum: Quorum | None,
    guarded: bool,
    lease: int,
    unguardable: tuple[str, ...] = (),
    delay: float = 0.001,
    witness: bool = False,
) -> Guarantee:
    """
    @param timing: with the longest release of anything that is held.
    @param guarded: a guard process releases what a dead or hung daemon left.
    @param lease: whole seconds of the kernel's own lease on addresses; 0: none.
    @param unguardable: resources that the guard cannot release, by name.
    @param delay: seconds that a packet travels.
    @param witness: one is asked; it counts without C{quorum} only.
    """
    if not guarded:
        return Guarantee(Level.BEST_EFFORT, "no guard is running")
    gaps = []
    if not lease:
        gaps.append("daemon and guard killed together: addresses stay, since there is no lease")
    survives = timing.survives(delay)
    if quorum is None:
        gaps += _partitions(timing, witness)
    elif survives < 1:
        gaps.append(f"a partition: {_hasty(timing, delay)}")
    elif lease:
        gaps += _late(timing)
    if unguardable:
        names = ", ".join(unguardable)
        return Guarantee(
            Level.BEST_EFFORT,
            f"the guard cannot release {names}, which stays where only the daemon dies",
            tuple(gaps),
        )
    if quorum is None:
        covered = "a partition is not covered"
        if witness:
            covered = "the witness covers most partitions"
            if not timing.witnesses:
                covered = "the witness has no time to cover a partition"
        return Guarantee(
            Level.SELF_RELEASING,
            f"a node that dies or hangs releases what it holds; without --quorum {covered}",
            tuple(gaps),
        )
    if survives < 1:
        return Guarantee(Level.SELF_RELEASING, _hasty(timing, delay), tuple(gaps))
    return Guarantee(
        Level.EXCLUSIVE,
        f"a holder has the votes of {quorum.needed} of {len(quorum.members)} nodes, and releases "
        f"{timing.hold:.3f} s after the last confirmed heartbeat; {survives} lost round trips are survived",
        tuple(gaps),
    )


def enough(timing: Timing, delay: float = 0.001) -> float:
    """A tolerance, in seconds, with which one lost round trip is survived."""
    # With more of a tolerance, what is taken off for an ordinary release and for timers grows no further.
    most = Timing(timing.interval, 60.0, timing.release)
    needed = 2 * timing.interval + 2 * delay + 2 * most.lateness + most.releaseTime
    return ceil(needed * (1 + CLOCK_ERROR) / (1 - CLOCK_ERROR) * 1000) / 1000


def releasing(timing: Timing, addresses: int, slow: float) -> Timing:
    """
    With the time that a release takes in which so many addresses are let go of, and then what is slow.

    Very many count twice: a daemon may have just begun with them when the guard has to do it.

    @param timing: an ordinary one.
    @param slow: seconds for all that is no address.
    """
    many = EACH * max(0, addresses - USUAL)
    more = slow + 2 * many
    return timing._replace(release=timing.releaseTime + more, guarding=many) if more else timing


def affordable(timing: Timing, quorum: Quorum | None, witness: bool) -> float | None:
    """
    The time of a release to reckon with: the longest there is, if votes or a witness leave room for it.

    Otherwise C{None}, what addresses take, since one could not hold at all; L{guarantee} tells so.

    @param timing: with the longest release of anything that is held.
    """
    room = timing.survives() >= 1 if quorum is not None else witness and timing.witnesses
    return timing.release if room else None


def ample(timing: Timing) -> float:
    """A tolerance, in seconds, with which a node that is cut off lets go in time, though a heartbeat was lost."""
    usual = round(4.5 * timing.interval, 6)
    if timing._replace(tolerance=usual).hold >= 3 * timing.interval:
        return usual
    most = Timing(timing.interval, 60.0, timing.release)
    needed = 3 * timing.interval + most.lateness + most.releaseTime
    return ceil(needed * (1 + CLOCK_ERROR) / (1 - CLOCK_ERROR) * 1000) / 1000


def _partitions(timing: Timing, witness: bool) -> list[str]:
    if not witness:
        return ["if the network splits, both sides can hold the addresses"]
    gaps = ["if nodes reach the witness but not each other, both sides can hold the addresses"]
    if not timing.witnesses:
        gaps.append(f"a node that is cut off releases too late: {_unwitnessed(timing)}")
    elif timing.witnessHold > timing.hold - 2 * timing.interval:
        gaps.append(
            "a node that is cut off just after a heartbeat was lost releases up to "
            f"{timing.interval:g} s too late; with --tolerance {ample(timing):g} it does not"
        )
    return gaps


def _unwitnessed(timing: Timing) -> str:
    wanted = f"raise --tolerance to {ample(timing):g} s"
    if timing.release is not None:
        return (
            f"that may take {timing.releaseTime:g} s, for which a tolerance of {timing.tolerance:g} s "
            f"has no room; {wanted}, or shorten the timeouts"
        )
    return (
        f"the tolerance of {timing.tolerance:g} s leaves {max(0.0, timing.witnessHold):.3f} s after the "
        f"witness has answered; {wanted}"
    )


def _hasty(timing: Timing, delay: float) -> str:
    wanted = f"raise --tolerance to {enough(timing, delay):g} s"
    if timing.release is not None:
        return (
            f"a release may take {timing.releaseTime:g} s, for which a tolerance of "
            f"{timing.tolerance:g} s has no room; {wanted}"
        )
    return (
        f"the tolerance of {timing.tolerance:g} s leaves {timing.hold:.3f} s to hold, "
        f"in which not even one lost round trip is survived; {wanted}"
    )


def _late(timing: Timing) -> list[str]:
    """Where the kernel's lease may end after the votes are free."""
    both = "daemon and guard killed together"
    if not leaseFollows(timing):
        return [f"{both}: the kernel's lease is longer than the votes"]
    spare = timing.tolerance / (1 + CLOCK_ERROR) - timing.hold
    late = LEASE_LATE - LEASE_MARGIN - spare
    if late <= 0:
        return []
    return [f"{both}, and cut off: the kernel's lease may end up to {late:.1f} s after the votes"]


def leaseFollows(timing: Timing) -> bool:
    """Whether the votes last for so long that the kernel can count what is left of them."""
    return timing.hold - LEASE_MARGIN - LEASE_PROMPT >= GUARDABLE_LEASE


def askLimit(timing: Timing, quorum: Quorum | None, lease: int) -> float:
    """
    How long after a holder's last word an answer of the LAN can still be that holder's; L{inf}: for ever.

    With votes it has let go, at the latest, when the lease is over that the kernel had from its last vote.
    """
    if quorum is None or not lease:
        return inf
    return kernelLease(timing, quorum, lease) + LEASE_LATE + timing.tolerance


def kernelLease(timing: Timing, quorum: Quorum | None, lease: int) -> int:
    """The seconds for which addresses are added: what was asked for, but no longer than the votes."""
    if quorum is None or not lease or not leaseFollows(timing):
        return lease
    return min(lease, floor(timing.hold - LEASE_MARGIN))


def leaseMargin(timing: Timing, quorum: Quorum | None) -> float | None:
    """Seconds by which each lease ends before the votes; C{None}: it does not follow them."""
    return LEASE_MARGIN if quorum is not None and leaseFollows(timing) else None
