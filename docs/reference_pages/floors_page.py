"""The page of the rooms and their floors, from the imports and the rooms' own docstrings."""

from __future__ import annotations

import ast

from reference_pages.import_graph import PACKAGE, Graph, files_of_rooms, floors, room_graph

# Of the drawing, in pixels.
WIDTH, HEIGHT, GAP, BETWEEN = 104, 30, 12, 26


def purpose(room: str) -> str:
    """Return what a room is for: the first line of its docstring."""
    folder = PACKAGE / room
    file = folder / "__init__.py" if folder.is_dir() else PACKAGE / f"{room}.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def gaps() -> list[str]:
    """Return the rooms that do not say what they are for."""
    return [f"room {room}: no docstring" for room in files_of_rooms() if not purpose(room)]


def render() -> str:
    """Return the page as Markdown."""
    graph = room_graph()
    rows = floors(graph)
    lines = [
        "# Floors",
        "",
        "The packages of mritk, and the modules that stand beside them, drawn from their imports "
        "when this page was built. Each imports what stands below it, and nothing above or beside "
        "it; imports within functions and for type checkers count.",
        "",
        _drawing(rows, graph),
        "",
        "| | what it is for | imports |",
        "|---|---|---|",
    ]
    for row in rows:
        for room in row:
            imported = ", ".join(sorted(graph[room])) or "–"
            lines.append(f"| `{room}` | {purpose(room)} | {imported} |")
    return "\n".join(lines) + "\n"


def _drawing(rows: list[list[str]], graph: Graph) -> str:
    wide = max(len(row) for row in rows) * (WIDTH + GAP)
    place = {}
    for level, row in enumerate(rows):
        left = (wide - len(row) * (WIDTH + GAP) + GAP) / 2
        for number, room in enumerate(row):
            place[room] = (left + number * (WIDTH + GAP), level * (HEIGHT + BETWEEN))
    height = len(rows) * (HEIGHT + BETWEEN) - BETWEEN
    drawn = [
        f'<svg viewBox="-2 -2 {wide + 4} {height + 4}" role="img" width="100%" '
        'aria-label="The rooms of mritk, floor by floor, and their imports">'
    ]
    # An import that others imply is left out, so that the lines can be followed.
    for room in sorted(graph):
        for other in sorted(_direct(room, graph)):
            (x, y), (u, v) = place[room], place[other]
            drawn.append(
                f'<path d="M{x + WIDTH / 2:g} {y + HEIGHT} L{u + WIDTH / 2:g} {v:g}" '
                'stroke="currentColor" stroke-opacity=".25" fill="none"/>'
            )
    for room, (x, y) in place.items():
        name = room.replace("_", "&#95;")  # underscores would be emphasis in Markdown
        drawn.append(
            f'<rect x="{x:g}" y="{y:g}" '
            f'width="{WIDTH}" height="{HEIGHT}" rx="5" fill="var(--md-default-bg-color, #fff)" '
            f'stroke="currentColor"/><text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4:g}" '
            f'text-anchor="middle" font-size="13" fill="currentColor">{name}</text>'
        )
    return "\n".join([*drawn, "</svg>"])


def _direct(room: str, graph: Graph) -> set[str]:
    """Return the imports of a room that none of its other imports leads to."""
    below: set[str] = set()
    waiting = [inner for other in graph[room] for inner in graph[other]]
    while waiting:
        if (next_room := waiting.pop()) not in below:
            below.add(next_room)
            waiting += graph[next_room]
    return set(graph[room]) - below
