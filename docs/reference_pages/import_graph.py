"""Who imports whom: rooms (packages, and modules directly under ``mritk``) and their floors."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import mritk

PACKAGE = Path(mritk.__file__).parent

Graph = Mapping[str, frozenset[str]]


@cache
def imports_of(path: Path, *, at_top: bool = False) -> tuple[str, ...]:
    """Return what a file imports: at its top, within functions, lazily and for type checkers.

    With ``at_top`` only what it imports as soon as it is imported itself. Files are read once.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_top else ast.walk(tree)
    return tuple(name for node in nodes for name in _imports(node, lazily=not at_top))


def _imports(node: ast.AST, *, lazily: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        # ``from mritk import errors`` names a module, ``from mritk import Samples`` none.
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif lazily and isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy":
        # ``lazy("MODULE:FUNCTION")`` is an import too, at the first call.
        yield from (
            argument.value.replace(":", ".")
            for argument in node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        )


def room_of(path: Path, package: Path = PACKAGE) -> str:
    """Return the room that a file of the package stands in."""
    return path.relative_to(package).with_suffix("").parts[0]


def files_of_rooms(package: Path = PACKAGE) -> Mapping[str, list[Path]]:
    """Return the files of each room.

    The package's own ``__init__`` is no room: it names all public things, and loads them late.
    """
    rooms: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        if path != package / "__init__.py":
            rooms.setdefault(room_of(path, package), []).append(path)
    return rooms


def room_graph(package: Path = PACKAGE) -> Graph:
    """Return, for each room, the other rooms that its files import."""
    rooms = files_of_rooms(package)
    graph: dict[str, set[str]] = {room: set() for room in rooms}
    for room, files in rooms.items():
        for module in (name for path in files for name in imports_of(path)):
            parts = module.split(".")
            if parts[0] == package.name and len(parts) > 1 and parts[1] in rooms.keys() - {room}:
                graph[room].add(parts[1])
    return {room: frozenset(imported) for room, imported in graph.items()}


def circle(graph: Graph) -> tuple[str, ...]:
    """Return rooms each of which imports the next, and the last the first; empty if none do."""
    done: set[str] = set()

    def search(room: str, way: tuple[str, ...]) -> tuple[str, ...]:
        if room in way:
            return way[way.index(room) :]
        if room in done:
            return ()
        for imported in sorted(graph[room]):
            if found := search(imported, (*way, room)):
                return found
        done.add(room)
        return ()

    return next((found for room in sorted(graph) if (found := search(room, ()))), ())


def floors(graph: Graph) -> list[list[str]]:
    """Return the rooms floor by floor, from the top; each imports rooms of lower floors only.

    A room stands as low as its imports let it.

    Raises:
        ValueError: Rooms import each other in a circle.
    """
    if found := circle(graph):
        raise ValueError("rooms import each other: " + " → ".join((*found, found[0])))
    height: dict[str, int] = {}
    while len(height) < len(graph):
        for room, imported in graph.items():
            if room not in height and imported <= height.keys():
                height[room] = 1 + max((height[other] for other in imported), default=-1)
    top = max(height.values(), default=-1)
    return [sorted(r for r in height if height[r] == level) for level in range(top, -1, -1)]
