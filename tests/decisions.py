"""Find code that decides on the kind of a task, or on the rank of samples."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from mritk.tasks.task import Task


@cache
def kinds() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the classes of all kinds of tasks, and the names of the kinds."""
    import mritk.tasks.kinds  # noqa: F401 - imports them all

    found = [kind for kind in Task.__subclasses__() if kind.__module__.startswith("mritk.")]
    return frozenset(k.__name__ for k in found), frozenset(k.kind for k in found)


def decisions_on_kind(tree: ast.AST) -> list[str]:
    """Return the expressions that ask a task, or a name of a kind, for a kind.

    They compare with one, look something up by one, or register something for one.
    """
    return [ast.unparse(node) for node in ast.walk(tree) if _decides(node)]


def _decides(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _call_decides(node)
    if isinstance(node, ast.Compare):
        return any(_names_kind(inner) for part in _parts(node) for inner in ast.walk(part))
    if isinstance(node, ast.Dict):
        return any(key is not None and _names_kind(key) for key in node.keys)
    if isinstance(node, ast.MatchClass):
        return _names_kind(node.cls)
    return isinstance(node, ast.MatchValue) and _names_kind(node.value)


def _call_decides(node: ast.Call) -> bool:
    called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    if called in ("isinstance", "issubclass"):
        return any(_names_kind(inner) for inner in ast.walk(node.args[1]))
    if called == "register":  # of functools.singledispatch
        return any(map(_names_kind, node.args))
    # Beginnings of names; "kind" is of other things, too, but theirs are compared whole.
    return called in ("startswith", "endswith") and ".kind." in ast.unparse(node.func)


def _parts(node: ast.Compare) -> Iterator[ast.expr]:
    """Yield what is compared; of tuples and sets, their members."""
    for part in (node.left, *node.comparators):
        members = part.elts if isinstance(part, ast.Tuple | ast.List | ast.Set) else [part]
        # What a function returns is no kind; a kind that is made to be compared with is one.
        yield from (m for m in members if not isinstance(m, ast.Call) or _names_kind(m.func))


def _names_kind(node: ast.AST) -> bool:
    classes, names = kinds()
    if isinstance(node, ast.Constant):
        return node.value in names | classes
    name = getattr(node, "attr", None) or getattr(node, "id", None)
    return name in classes


def decisions_on_rank(tree: ast.AST) -> list[str]:
    """Return the expressions that compare spatial dimensions, or those of a batch, with a number.

    Comparing those of two things is no decision.
    """
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and _compares_rank(node)
    ]


def _compares_rank(node: ast.Compare) -> bool:
    parts = list(_parts(node))
    names = {getattr(part, "attr", None) or getattr(part, "id", None) for part in parts}
    numbers = {part.value for part in parts if isinstance(part, ast.Constant)}
    dims = bool(names & {"spatial_dims", "dims"} and numbers & {2, 3})
    return dims or bool("ndim" in names and numbers & {4, 5})
