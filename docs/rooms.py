"""
Write the list of rooms in docs/architecture.rst, from the docstrings of hatwist and its packages.

    python docs/rooms.py
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
HOUSE = HERE.parent / "hatwist"
PAGE = HERE / "architecture.rst"
BEGIN, END = ".. rooms: made by docs/rooms.py", ".. end of rooms"


def docstring(path: Path) -> str:
    """That of a module."""
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def order() -> list[str]:
    """The rooms from the bottom up, as the docstring of hatwist has them."""
    return re.findall(r"^    (\w+) {2,}", docstring(HOUSE / "__init__.py"), re.MULTILINE)


def rooms() -> str:
    """Each room and the rooms in it: its name, and the first paragraph of its docstring."""
    lines = []
    for room in order():
        for init in sorted(HOUSE.joinpath(room).rglob("__init__.py")):
            name = init.parent.relative_to(HOUSE).as_posix()
            lines += [f"``{name}``", f"    {summary(init)}"]
    return "\n".join(lines)


def summary(path: Path) -> str:
    """The first paragraph of a module's docstring, its epytext as reStructuredText."""
    first = " ".join(docstring(path).split("\n\n")[0].split())
    return re.sub(r"[CL]\{([^}]*)\}", r"``\1``", first)


def page(text: str) -> str:
    """The page with its list made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{rooms()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
