"""Who held one group, and when."""

from __future__ import annotations


class Occupancy:
    """
    A node is a holder from the start of acquire to the end of release.

    @ivar changes: (time, node, holds now), each time a node became or ceased to be a holder; seconds since the start.
    @ivar since: who holds now, and since when.
    """

    def __init__(self) -> None:
        self.changes: list[tuple[float, str, bool]] = []
        self.since: dict[str, float] = {}

    def note(self, at: float, node: str, holds: bool) -> None:
        """A node became or ceased to be a holder."""
        self.changes.append((at, node, holds))
        if holds:
            self.since[node] = at
        else:
            self.since.pop(node, None)

    def darkness(self, since: float, now: float) -> float:
        """The longest time without any holder, in seconds, from C{since} until now."""
        worst, count, dark = 0.0, 0, since
        for at, _, holds in self.changes:
            count += 1 if holds else -1
            if count == 0:
                dark = max(at, since)
            elif count == 1 and holds:
                worst = max(worst, at - dark)
        return max(worst, now - dark) if count == 0 else worst

    def overlap(self, since: float, now: float) -> float:
        """The total time with two holders or more, in seconds."""
        total, count, before = 0.0, 0, 0.0
        for at, _, holds in [*self.changes, (now, "", True)]:
            if count > 1:
                total += max(0.0, at - max(before, since))
            count, before = count + (1 if holds else -1), at
        return total
