"""How fit this node is for one group: the verdicts of checks, links and operator, of which the worst counts."""

from __future__ import annotations

from hatwist.core.worth import Fitness


class Verdicts:
    """
    @ivar fitness: the worst verdict of all sources; C{reason}: why it is that, from those that say so.
    """

    def __init__(self) -> None:
        self.fitness = Fitness.FIT
        self.reason = ""
        self._bySource: dict[str, tuple[Fitness, str]] = {}

    def put(self, source: str, fitness: Fitness, reason: str) -> bool:
        """One source's verdict, in place of its last one; whether that changes what counts."""
        self._bySource[source] = (fitness, reason)
        before = self.fitness, self.reason
        self._count()
        return before != (self.fitness, self.reason)

    def without(self, source: str) -> Verdicts:
        """The same, had that source said nothing."""
        found = Verdicts()
        found._bySource = {s: verdict for s, verdict in self._bySource.items() if s != source}
        found._count()
        return found

    def _count(self) -> None:
        verdicts = self._bySource.values()
        self.fitness = min((fitness for fitness, _ in verdicts), default=Fitness.FIT)
        self.reason = "; ".join(
            [why for fitness, why in verdicts if fitness is self.fitness and why]
        )
