"""A protocol of a few lines: whoever has the highest priority of all that are heard holds the group."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from hatwist.core.claims import Record, Role
from hatwist.core.effects import Effect, Hold, Leased, Release, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Outgoing, Packet, Received
from hatwist.core.picture import Context, Picture
from hatwist.core.reports import Gone, Held, Judged, NotHeld, Report, Stopped, groupOf
from hatwist.core.worth import Fitness


class ToyMachine:
    """It says its name and priority once in an interval; 0: it holds nothing, and will not."""

    cluster, session, interval, tolerance = "toys", 0, 0.1, 0.35

    def __init__(self, name: str, priority: int, group: str, now: float) -> None:
        self.name, self.groups = name, (group,)
        self._priority, self._state = priority, "dirty"
        self._role: Role | None = None
        self._heard: dict[str, tuple[int, float]] = {}
        self._mayAt, self._term = now + self.tolerance, 0
        self._due = self._stopped = False
        self._fit, self.news, self.deadline = True, True, now

    @property
    def over(self) -> bool:
        return self._stopped and self._state == "clean"

    silent = over

    def receive(self, packet: Packet, now: float) -> Received:
        words = packet.data.split(b" ")
        if len(words) != 3 or words[0] != b"toy" or not words[2].isdigit():
            raise BadPacket("malformed")
        sender, self.news = words[1].decode("ascii", "replace"), True
        self._heard[sender] = (int(words[2]), now)
        return Received(sender)

    def tell(self, report: Report, now: float) -> None:
        self._stopped = self._stopped or isinstance(report, Stopped)
        if groupOf(report) not in self.groups:
            return
        if isinstance(report, Judged):
            self._fit = report.fitness is not Fitness.UNFIT
        elif isinstance(report, NotHeld):
            self._mayAt = now + 2 * self.tolerance
        elif isinstance(report, Gone) and self._state == "releasing":
            self._state = "clean"
        elif isinstance(report, Held) and self._state == "acquiring":
            self._state = "held"

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        effects: list[Effect] = []
        best = max((p for p, at in self._heard.values() if now < at + self.tolerance), default=0)
        wants = now >= self._mayAt and self._fit and not self._stopped and self._priority > best
        if wants and self._state == "clean":
            self._state, self._term = "acquiring", self._term + 1
            effects += [Leased(self.groups[0], "toy"), Hold(self.groups[0], self._term)]
        elif self._role is None or (not wants and self._state in ("acquiring", "held")):
            self._state = "releasing"
            effects.append(Release(self.groups[0]))
        role = Role.ACTIVE if self._state == "held" else Role.STANDBY
        role = Role.SHUTDOWN if self.over else role
        if role is not self._role:
            effects.append(RoleChange("toys", self.groups[0], self._role, role, self._term, "toy"))
        self._due = self._due or (beat and not self.over) or role is not self._role
        self._role, self.news = role, False
        ends = [self._mayAt, *(at + self.tolerance for _, at in self._heard.values())]
        self.deadline = min((end for end in ends if end > now), default=inf)
        return effects

    def outgoing(self, now: float) -> list[Outgoing]:
        due, self._due = self._due and self._state != "releasing", False
        said = self._priority * (self._fit and not self._stopped)
        return [Outgoing(f"toy {self.name} {said}".encode())] * due

    def until(self, lease: str, now: float) -> float:
        return now + self.tolerance

    def farewells(self, group: str) -> list[Outgoing]:
        return [Outgoing(f"toy {self.name} 0".encode())]

    def hindrance(self, group: str, to: str, now: float) -> str:
        return "a toy cannot be moved"

    def contested(self, group: str) -> bool:
        return False

    def others(self, group: str, now: float) -> list[str]:
        return sorted(name for name, (priority, _) in self._heard.items() if priority)

    def change(self, rules: int, now: float, records: Mapping[str, Record]) -> None:
        self._priority = rules

    def picture(self, now: float, context: Context) -> Picture:
        return Picture(now, self.name, self.session, False, False, "", "", {}, {})
