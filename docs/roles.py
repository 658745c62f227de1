"""
Draw the table of roles: docs/roles.svg and docs/roles.rst, from hatwist.core.states.TABLE.

    python docs/roles.py

A test fails when the committed files are not what this makes.
"""

from __future__ import annotations

from pathlib import Path

from hatwist.core.states import TABLE, Input, State

SAYS = {
    Input.READY: "listened for one tolerance, and proven clean",
    Input.ASK: "it is this node's turn to hold, and that takes votes",
    Input.CLAIM: "it is this node's turn to hold; if it takes votes, it has enough of them",
    Input.HELD: "the resources are acquired",
    Input.REFUSED: "the resources could not be acquired, or were lost",
    Input.YIELD: "another comes first, it is to be handed over, or there are not enough votes",
    Input.RELEASED: "the resources are proven gone",
    Input.FENCED: "the guard has fired: what it could release is gone, and this session is over",
    Input.STOP: "the daemon is to end",
}
TOLD = {
    State.STARTING: "STANDBY, listening",
    State.STANDBY: "STANDBY",
    State.ASKING: "ASKING",
    State.ACQUIRING: "ACTIVE",
    State.ACTIVE: "ACTIVE",
    State.RELEASING: "ACTIVE, releasing",
    State.STOPPING: "ACTIVE, releasing; STANDBY if it held nothing",
    State.SHUTDOWN: "SHUTDOWN",
}

# Where the boxes are, and the corners of arrows that cannot go straight.
WIDTH, HEIGHT = 920, 550
BOX = (116, 44)
PLACES = {
    State.STARTING: (90, 200),
    State.STANDBY: (320, 200),
    State.ASKING: (320, 90),
    State.ACQUIRING: (590, 200),
    State.ACTIVE: (830, 200),
    State.RELEASING: (455, 335),
    State.STOPPING: (700, 470),
    State.SHUTDOWN: (320, 470),
}
CORNERS: dict[tuple[State, State], tuple[tuple[float, float], ...]] = {
    (State.STARTING, State.STOPPING): ((60, 525), (700, 525)),
    (State.ASKING, State.STANDBY): ((400, 145),),
    (State.ASKING, State.SHUTDOWN): ((215, 90), (215, 470)),
    (State.ACQUIRING, State.STARTING): ((590, 45), (22, 45), (22, 200)),
    (State.ACTIVE, State.STARTING): ((830, 20), (10, 20), (10, 200)),
    (State.RELEASING, State.STARTING): ((135, 335),),
}


def arrows() -> dict[tuple[State, State], list[Input]]:
    """Which inputs lead from one state to another."""
    found: dict[tuple[State, State], list[Input]] = {}
    for state, row in TABLE.items():
        for what, cell in row.items():
            if cell is not None:
                found.setdefault((state, cell.state), []).append(what)
    return found


def edge(state: State, towards: tuple[float, float]) -> tuple[float, float]:
    """Where a line from the middle of a box towards a point leaves the box."""
    x, y = PLACES[state]
    dx, dy = towards[0] - x, towards[1] - y
    scale = min(
        BOX[0] / 2 / abs(dx) if dx else float("inf"), BOX[1] / 2 / abs(dy) if dy else float("inf")
    )
    return x + dx * scale, y + dy * scale


def arrow(source: State, target: State, inputs: list[Input]) -> list[str]:
    says = ", ".join(what.value for what in inputs)
    title = f"<title>{source.value} to {target.value}: {says}</title>"
    if source is target:
        x, y = PLACES[source]
        top = y - BOX[1] / 2
        path = f"M{x - 25},{top:.0f} C{x - 45},{top - 55:.0f} {x + 45},{top - 55:.0f} {x + 25},{top:.0f}"
        middle = (x, top - 41.0)
    else:
        corners = CORNERS.get((source, target), ())
        start = edge(source, corners[0] if corners else PLACES[target])
        end = edge(target, corners[-1] if corners else PLACES[source])
        points = [start, *corners, end]
        path = "M" + " L".join(f"{x:.0f},{y:.0f}" for x, y in points)
        one, other = points[len(points) // 2 - 1 : len(points) // 2 + 1]
        # Not quite half way: arrows that cross do so near the middle.
        middle = (one[0] * 0.6 + other[0] * 0.4, one[1] * 0.6 + other[1] * 0.4)
    wide = 7 * len(says) + 6
    return [
        f'<g>{title}<path d="{path}" class="arrow" marker-end="url(#head)"/>',
        (
            f'<rect x="{middle[0] - wide / 2:.0f}" y="{middle[1] - 9:.0f}" width="{wide}" height="18"'
            ' class="gap"/>'
        ),
        f'<text x="{middle[0]:.0f}" y="{middle[1] + 4:.0f}" class="input">{says}</text></g>',
    ]


def svg() -> str:
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
            f' height="{HEIGHT}" font-family="sans-serif" text-anchor="middle">'
        ),
        (
            "<style>.back,.gap{fill:#fff}.box{fill:#f4f4f4;stroke:#222}.holds{fill:#cfe8cf}"
            ".arrow{fill:none;stroke:#222}.name{font-size:14px}.input{font-size:12px}</style>"
        ),
        (
            '<defs><marker id="head" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="9"'
            ' markerHeight="9" orient="auto"><path d="M0,0 L10,5 L0,10 z"/></marker></defs>'
        ),
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
    ]
    for (source, target), inputs in arrows().items():
        lines += arrow(source, target, inputs)
    for state, (x, y) in PLACES.items():
        holds = " holds" if TOLD[state].startswith("ACTIVE") else ""
        lines.append(
            f'<rect class="box{holds}" x="{x - BOX[0] // 2}" y="{y - BOX[1] // 2}"'
            f' width="{BOX[0]}" height="{BOX[1]}" rx="8"/>'
            f'<text x="{x}" y="{y + 5}" class="name">{state.value}</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """A grid of reStructuredText."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: list[str]) -> str:
        inner = " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {inner} |"

    lines = [rule, line(heads), rule.replace("-", "=")]
    for row in rows:
        lines += [line(row), rule]
    return lines


def rst() -> str:
    cells = []
    for state, row in TABLE.items():
        line = [f"**{state.value}**"]
        for what in Input:
            cell = row[what]
            if cell is None:
                line.append("")
            else:
                does = ", ".join(do.value for do in cell.do)
                line.append(cell.state.value + (f" ({does})" if does else ""))
        cells.append(line)
    return "\n".join(
        [
            ".. Made by docs/roles.py from hatwist.core.states.TABLE; change that, and run it again.",
            "",
            "Roles, state by state",
            "=====================",
            "",
            "What each input does in each state: the state that follows, and in brackets what is done on the",
            "way. An empty cell means that the input comes too late or is already met: nothing happens.",
            "",
            *table(["state", *[what.value for what in Input]], cells),
            "",
            "What the inputs say:",
            "",
            *table(["input", "it says that"], [[what.value, SAYS[what]] for what in Input]),
            "",
            "What the other nodes are told in each state:",
            "",
            *table(["state", "role on the wire"], [[s.value, TOLD[s]] for s in State]),
            "",
        ]
    )


def pages() -> dict[str, str]:
    """The files made here, by name."""
    return {"roles.svg": svg(), "roles.rst": rst()}


if __name__ == "__main__":
    for name, text in pages().items():
        Path(__file__).with_name(name).write_text(text)
