"""What L{hatwist}'s source says of its modules, imports and classes: read, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """
    One name that a module imports.

    @ivar target: absolute; where C{hatwist.a} is a module, C{from hatwist import a} has the target C{hatwist.a}.
    """

    target: str
    line: int


@dataclass
class Class:
    """
    One class, as its source has it.

    @ivar bases: dotted names, resolved by the module's imports as far as these tell.
    @ivar attributes: of instances: annotated in the body of a data class or NamedTuple, or assigned to C{self}.
    @ivar methods: names of what is defined in its body.
    """

    module: str
    name: str
    line: int
    bases: tuple[str, ...]
    attributes: frozenset[str]
    methods: frozenset[str]

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Module:
    """One module: its name within hatwist (C{""}: hatwist itself) and what is in it."""

    name: str
    source: str
    package: bool = False
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.source)

    @property
    def dotted(self) -> str:
        return f"hatwist.{self.name}" if self.name else "hatwist"

    @property
    def room(self) -> str:
        return self.name.split(".")[0]


class House:
    """
    A tree of modules.

    @param modules: by name within hatwist.
    """

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = {module.name: module for module in modules}

    @classmethod
    def at(cls, root: Path) -> House:
        """The one whose package is at C{root}."""
        found = []
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if package else parts)
            found.append(Module(name, path.read_text("utf-8"), package))
        return cls(found)

    @classmethod
    def of(cls, sources: Mapping[str, str]) -> House:
        """One for a test: source by name."""
        return cls(Module(name, source) for name, source in sources.items())

    def imports(self, module: Module) -> Iterator[Import]:
        """Everything that a module imports, wherever in it, for the type checker too."""
        parts = ["hatwist", *filter(None, module.name.split("."))]
        for node in ast.walk(module.tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = node.level - 1 if module.package else node.level
                    base = ".".join([*parts[: len(parts) - above], *filter(None, [node.module])])
                names = [self._target(base, alias.name) for alias in node.names]
            elif (
                isinstance(node, ast.Call)
                and ast.unparse(node.func)
                in ("__import__", "import_module", "importlib.import_module")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                names = [str(node.args[0].value)]
            for name in names:
                yield Import(name, getattr(node, "lineno", 0))

    def _target(self, base: str, name: str) -> str:
        inner = f"{base}.{name}"
        if not base.startswith("hatwist"):
            return inner
        return inner if inner.removeprefix("hatwist.") in self.modules else base

    def arrows(self) -> dict[str, set[str]]:
        """For each module those modules of the house that it imports."""
        return {
            module.name: {
                name
                for each in self.imports(module)
                if each.target.split(".")[0] == "hatwist"
                for name in [each.target.removeprefix("hatwist").removeprefix(".")]
                if name in self.modules and name != module.name
            }
            for module in self.modules.values()
        }

    def classes(self) -> list[Class]:
        """Every class, those within functions and classes excepted."""
        return [
            _class(module.name, node, _names(self, module))
            for module in self.modules.values()
            for node in module.tree.body
            if isinstance(node, ast.ClassDef)
        ]


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The circles of a graph: each its strongly connected nodes, sorted (Tarjan, 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        path.append(node)
        for target in sorted(arrows.get(node, ())):
            if target not in order:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in path:
                lowest[node] = min(lowest[node], order[target])
        if lowest[node] == order[node]:
            circle = path[path.index(node) :]
            del path[path.index(node) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return found


def inherited(classes: Sequence[Class]) -> dict[str, frozenset[str]]:
    """The attributes of each class by its path, with those of its bases of the house."""
    known = {each.path: each for each in classes}

    def all_(each: Class) -> frozenset[str]:
        own = each.attributes
        for base in each.bases:
            if base in known and known[base] is not each:
                own |= all_(known[base])
        return own

    return {each.path: all_(each) for each in classes}


def privateReads(module: Module) -> Iterator[tuple[int, str]]:
    """Where a module reads C{x._name} of another object: C{_name} is not defined in this module."""
    own = {
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.endswith("__")
            and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
            and not _super(node.value)
            and node.attr not in own
        ):
            yield node.lineno, ast.unparse(node)


def unseeded(tree: ast.Module) -> Iterator[int]:
    """The lines that use random other than by an instance of Random made from a seed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            if any(alias.name != "Random" for alias in node.names):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random":
            if node.attr != "Random":
                yield node.lineno
        elif isinstance(node, ast.Call) and not node.args:
            if ast.unparse(node.func) in ("Random", "random.Random"):
                yield node.lineno


def _super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "super"


def _names(house: House, module: Module) -> dict[str, str]:
    """What the names in a module stand for: classes of hatwist by their paths, others as they are written."""
    names = {
        node.name: f"{module.name}.{node.name}"
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hatwist"):
            base = (node.module or "").removeprefix("hatwist").removeprefix(".")
            for alias in node.names:
                names[alias.asname or alias.name] = f"{base}.{alias.name}" if base else alias.name
    return names


def _class(module: str, node: ast.ClassDef, names: Mapping[str, str]) -> Class:
    bases = []
    for base in node.bases:
        text = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        head, _, rest = text.partition(".")
        bases.append(".".join(filter(None, [names.get(head, head), rest])))
    attributes = set()
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not ast.unparse(statement.annotation).startswith("ClassVar"):
                attributes.add(statement.target.id)
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        ):
            attributes.add(inner.attr)
    methods = frozenset(
        each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return Class(module, node.name, node.lineno, tuple(bases), frozenset(attributes), methods)
