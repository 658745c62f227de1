"""By which leases this node holds: the guard and the kernel are told of each once, for all groups that follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hatwist.core.machine import Machine
from hatwist.linux.interfaces import IGuard
from hatwist.runtime.fence import Fence, HeldLease, KernelLease


class Leases:
    """
    Those of all machines of a node.

    @param kernels: of each machine, how the addresses are kept of what it holds.
    @param guard: C{None}: there is none, and nothing is renewed.
    @param keep: has the kernel keep the addresses of each group for so many seconds.
    """

    def __init__(
        self,
        kernels: Mapping[Machine, KernelLease],
        guard: IGuard | None,
        keep: Callable[[Mapping[str, int]], None],
    ) -> None:
        self.kernels = dict(kernels)
        self._numbers = {machine: number for number, machine in enumerate(kernels)}
        self._guard = guard
        self._keep = keep
        self._known: dict[str, HeldLease] = {}

    def follow(self, fence: Fence, machine: Machine, name: str, now: float) -> None:
        """A group is held by this lease of its machine from now on; what is armed for it too."""
        key = f"{self._numbers[machine]} {name}"
        lease = self._known.get(key)
        if lease is None:
            step = (machine.interval or machine.tolerance / 3) / 4
            lease = self._known[key] = HeldLease(machine, name, key, step)
        before = fence.lease
        fence.follows(lease)
        if before is not lease:
            self._leave(fence, before)
        lease.joined(fence, machine.until(name, now))
        if self._guard is not None and before is not lease:
            self._guard.follow(fence.group, key, lease.until)

    def ended(self, fence: Fence) -> None:
        """Nothing of a group is held any more, or the guard has fired: what was told before counts no more."""
        before = fence.lease
        fence.ended()
        self._leave(fence, before)

    def _leave(self, fence: Fence, lease: HeldLease | None) -> None:
        if lease is not None:
            lease.left(fence)
            if not lease.followers:
                self._known.pop(lease.key, None)

    def heard(self, decidedAt: float, now: float) -> None:
        """
        A packet came: where it confirms what is held, renew at once, and not an interval later.

        One lease speaks for all: as a rule the same nodes vote for every group. What it does not speak for is
        renewed after the next decision.
        """
        lease = next(iter(self._known.values()), None)
        if lease is not None and lease.grows(lease.machine.until(lease.name, decidedAt)):
            self.renew(decidedAt, now)

    def renew(self, decidedAt: float, now: float) -> None:
        """After a decision or a confirmation: tell the guard, and the kernel, as far as there is something to tell."""
        due = []
        for lease in self._known.values():
            until = lease.machine.until(lease.name, decidedAt)
            if lease.renewed(until, now) and self._guard is not None:
                due.append(lease)
        if self._guard is None:
            return
        if due:
            self._guard.pet({lease.key: lease.until for lease in due})
        self._guard.flush()
        kept: dict[str, int] = {}
        for lease in due:
            seconds, groups = lease.toKeep(self.kernels[lease.machine], now)
            kept.update(dict.fromkeys(groups, seconds))
        if kept:
            self._keep(kept)
