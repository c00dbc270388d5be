"""The plan of the house holds: arrows point one way, plugins use public names only."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "mritk").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

# Lower numbers may import higher ones, and their own.
FLOORS = {
    "cli": 1,
    "testing": 1,
    "__main__": 1,
    "benchmark": 2,
    "plan": 2,
    "execute": 2,
    "opening": 2,
    "data_options": 2,
    "path_hint": 2,
    "refusals": 2,
    "report": 2,
    "culprit": 3,
    "trial": 3,
    "registry": 3,
    "results": 4,
    "protocol": 4,
    "hookspecs": 4,
    "interface": 4,
    "deprecation": 5,
    "loaded_plugin": 4,
    "plugins": 4,
    "tomltext": 4,
    "options": 4,
    "variation": 4,
    "rehearsal": 3,
    "evaluate": 5,
    "train": 5,
    "audit": 5,
    "data": 5,
    "records": 5,
    "blame": 5,
    "trace": 5,
    "backbone": 5,
    "errors": 5,
    "digests": 5,
    "code_state": 5,
    "draft": 5,
    "download": 5,
    "archives": 5,
    "background": 5,
    "seeds": 5,
    "cores": 5,
    "supplied": 5,
    "mistaken_file": 5,
    "waiting": 5,
    "visible": 5,
    "workspace": 5,
    "whole_file": 5,
    "regular_file": 5,
}
PUBLIC_TO_PLUGINS = ("mritk", "mritk.train")


def imports_of(path: Path, *, at_top: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports, leaving out those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in tree.body if at_top else ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def floor_of(module: str) -> int | None:
    parts = module.split(".")
    return FLOORS[parts[1]] if parts[0] == "mritk" and len(parts) > 1 else None


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    own = path.relative_to(ROOT / "mritk").with_suffix("").parts[0]
    if own == "__init__":
        return
    for module in imports_of(path):
        assert not module.startswith("mritk_"), "the core imports no plugin"
        floor = floor_of(module)
        assert floor is None or floor >= FLOORS[own], f"{own} must not import {module}"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_plugins_import_public_names_only(path):
    own = path.relative_to(ROOT / "plugins").parts[0]
    for module in imports_of(path):
        if module.split(".")[0].startswith("mritk"):
            public = module == "mritk" or module.startswith("mritk.train.")
            assert public or module.split(".")[0] == own, f"{own} must not import {module}"


@pytest.mark.parametrize(
    "room",
    [
        "results",
        "report",
        "evaluate",
        "data",
        "audit",
        "cli",
        "protocol",
        "benchmark",
        "plan",
        "registry",
        "plugins",
    ],
)
def test_rooms_without_torch_do_not_import_it(room):
    allowed_inside_functions = {"cli", "results"}
    paths = [p for p in CORE if p.relative_to(ROOT / "mritk").with_suffix("").parts[0] == room]
    assert paths
    for path in paths:
        found = imports_of(path, at_top=room in allowed_inside_functions)
        assert not [m for m in found if m.split(".")[0] in ("torch", "timm", "torchvision")]


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_and_are_named_after_an_idea(path):
    assert path.stem not in ("utils", "helpers", "common", "misc")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_weights_are_loaded_without_proof():
    for path in [*CORE, *PLUGINS]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and "load_state_dict" in ast.unparse(node.func):
                assert "strict" not in {keyword.arg for keyword in node.keywords}


def test_the_distribution_lists_every_package_and_every_plugin():
    """Two package roots cannot be found automatically, so the list is written and checked."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    on_disk = {
        ".".join(path.parent.relative_to(root).parts)
        for root, found in ((ROOT, CORE), (ROOT / "plugins", PLUGINS))
        for path in found
        if path.name == "__init__.py"
    }
    assert listed == on_disk
    points = config["options.entry_points"]["mritk"].split("\n")
    named = {line.split("=")[1].strip().split(":")[0] for line in points if "=" in line}
    assert named == {
        package for package in on_disk if package.startswith("mritk_") and "." not in package
    }
