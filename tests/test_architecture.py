"""The plan of the house holds: imports point one way, plugins use public names only."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

import mritk
import mritk.external
import mritk.train
from reference_pages.floors_page import purpose, render
from reference_pages.import_graph import circle, floors, imports_of, room_graph, room_of
from tests.decisions import decisions_on_kind, decisions_on_rank

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "mritk").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

# From the top; a room imports rooms of lower floors only.
FLOORS = [
    ["__main__", "pytest_plugin"],
    ["cli"],
    ["execute", "testing"],
    ["study", "train"],
    ["cards", "compare", "explain", "plugins", "probe", "report"],
    ["batches", "results", "trial"],
    ["model", "store"],
    ["external", "protocol"],
    ["method"],
    ["backbone", "evaluate"],
    ["audit", "records"],
    ["images", "splits"],
    ["data"],
    ["reading", "text"],
    ["files"],
    ["lazy_import", "machine", "tasks"],
    ["errors", "seeds"],
]
ROOMS = sorted(room for floor in FLOORS for room in floor)


@pytest.mark.slow
def test_rooms_stand_on_their_floors():
    """A new import between rooms that moves one to another floor is a decision: write it here."""
    assert floors(room_graph()) == FLOORS


def package(folder: Path, **files: str) -> Path:
    """Write a package of rooms with one file each."""
    for room, text in files.items():
        (folder / "mritk" / room).mkdir(parents=True)
        (folder / "mritk" / room / "__init__.py").touch()
        (folder / "mritk" / room / "idea.py").write_text(text)
    (folder / "mritk" / "__init__.py").touch()
    return folder / "mritk"


@pytest.mark.parametrize(
    "back",
    [
        "from mritk.high.idea import f",
        "import mritk.high.idea",
        "from mritk import high",
        "def late():\n    from mritk.high.idea import f",
        "from functools import partial\nf = partial(lazy('mritk.high.idea:f'), 1)",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mritk.high.idea import f",
    ],
)
def test_a_circle_is_found_however_it_is_imported(back, tmp_path):
    planted = package(
        tmp_path,
        high="from mritk.middle.idea import f",
        middle="from mritk.low.idea import f",
        low=back,
        beside="from mritk.low import idea",
    )
    graph = room_graph(planted)
    assert set(circle(graph)) == {"high", "middle", "low"}
    with pytest.raises(ValueError, match="rooms import each other: "):
        floors(graph)


def test_a_room_stands_as_low_as_its_imports_let_it(tmp_path):
    planted = package(
        tmp_path,
        top="from mritk.middle import idea\nfrom mritk.low import idea",
        middle="from mritk.low import idea",
        beside="from mritk.low import idea",
        low="import json",
    )
    assert floors(room_graph(planted)) == [["top"], ["beside", "middle"], ["low"]]
    assert circle(room_graph(planted)) == ()


def test_few_files_stand_directly_in_the_package():
    beside = [path.name for path in CORE if path.parent == ROOT / "mritk"]
    assert len(beside) <= 10, "a package says better what they are for"


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_says_what_it_is_for_in_one_line_here_and_in_the_docs(room):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert purpose(room)
    assert f"`{room}`" in page


@pytest.mark.slow
def test_the_page_of_the_floors_draws_every_room_and_says_what_it_imports():
    page, graph = render(), room_graph()
    for room, imported in graph.items():
        assert f">{room.replace('_', '&#95;')}</text>" in page
        assert f"| {', '.join(sorted(imported)) or '–'} |" in page


@pytest.mark.slow
def test_the_core_imports_no_plugin():
    for path in CORE:
        found = [m for m in imports_of(path) if m.startswith("mritk_")]
        assert not found, f"{path} imports {found}"


PUBLIC_TO_PLUGINS = {
    package.__name__: package.__all__ for package in (mritk, mritk.external, mritk.train)
}
# The hub keeps timm's models in timm's own files.
BUILT_ON = {"mritk_huggingface": "mritk_timm", "mritk_domains": "mritk_segmentation"}


def names_not_public(path: Path) -> list[str]:
    """Return what a file of a plugin imports of mritk or of other plugins, and must not."""
    own = path.relative_to(ROOT / "plugins").parts[0]
    found = []
    for name in imports_of(path):
        package, _, imported = name.rpartition(".")
        root = name.split(".")[0]
        if root.startswith("mritk") and root not in (own, BUILT_ON.get(own)):
            found += [name] if imported not in PUBLIC_TO_PLUGINS.get(package, ()) else []
    return found


def test_plugins_import_public_names_only():
    found = {path.relative_to(ROOT).as_posix(): names_not_public(path) for path in PLUGINS}
    assert {name: names for name, names in found.items() if names} == {}


TORCH = {"torch", "timm", "torchvision"}
WITHOUT_TORCH = ("audit", "data", "evaluate", "protocol", "reading", "report", "splits")
TORCH_LATE = ("cards", "cli", "compare", "plugins", "results", "store", "study", "text")


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_without_torch_do_not_import_it(room):
    for path in CORE:
        if room_of(path) == room:
            assert not TORCH & {name.split(".")[0] for name in imports_of(path)}, path


@pytest.mark.parametrize("room", TORCH_LATE)
def test_rooms_that_start_without_torch_import_it_within_functions_only(room):
    for path in CORE:
        if room_of(path) == room:
            body = ast.parse(path.read_text(encoding="utf-8")).body
            top = [
                ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            assert not [line for line in top if line.split()[1].split(".")[0] in TORCH], path


def test_files_stay_short_and_are_named_after_an_idea():
    others = [
        p for folder in ("tests", "benchmarks", "docs") for p in (ROOT / folder).rglob("*.py")
    ]
    files = [*CORE, *PLUGINS, *others]
    assert not {path.stem for path in files} & {"utils", "helpers", "common", "misc"}
    lines = {path: path.read_bytes().count(b"\n") for path in files}
    assert {path: count for path, count in lines.items() if count > 350} == {}


# The metrics and the loss depend on the kind; all else asks the task.
DECIDE_ON_KINDS = ("mritk/tasks/", "mritk/evaluate/", "mritk/model/objective.py")
# The option task of a table says which kind of task is made.
MAKES_A_KIND = "plugins/mritk_folders/target_column.py"


def found_outside(allowed, decisions):
    """Return the decisions in files of core and plugins whose paths begin otherwise."""
    names = {path: path.relative_to(ROOT).as_posix() for path in [*CORE, *PLUGINS]}
    found = {
        name: decisions(ast.parse(path.read_text(encoding="utf-8")))
        for path, name in names.items()
        if not name.startswith(allowed)
    }
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.slow
def test_only_tasks_metrics_and_the_loss_decide_on_the_kind_of_a_task():
    found = found_outside((*DECIDE_ON_KINDS, MAKES_A_KIND), decisions_on_kind)
    assert not found, "ask the task instead"


@pytest.mark.parametrize(
    "planted",
    [
        "isinstance(samples.task, Classification)",
        "isinstance(task, (mritk.Classification, Regression))",
        "isinstance(task, Segmentation | Unlabelled)",
        "type(task) is Regression",
        "task.kind == 'classification'",
        "record.task.kind != Segmentation.kind",
        "kind in ('regression', 'other')",
        "match task:\n    case Classification(classes):\n        pass",
        "match task.kind:\n    case 'unlabelled':\n        pass",
        "{'regression': mean}.get(task.kind)",
        "{Classification: mode, Regression: mean}[type(task)]",
        "type(task).__name__ == 'Regression'",
        "task.kind.startswith('class')",
        "summary.register(Segmentation)",
        "task == Unlabelled()",
    ],
)
def test_a_decision_on_a_kind_is_found_however_it_is_written(planted):
    assert decisions_on_kind(ast.parse(planted))
    assert not decisions_on_kind(ast.parse("if task.classes and finding.kind == 'labels': pass"))


# What reads pixels or maps them to a network; and what makes samples and networks to test others.
DECIDE_ON_RANK = ("data", "images", "batches", "model", "audit", "testing")
# It is the network: its input contract, and the layers of one.
IS_A_NETWORK = ("mritk/backbone.py", "plugins/mritk_huggingface/pooled_encoder.py")


@pytest.mark.slow
def test_only_what_holds_pixels_or_networks_decides_on_the_rank_of_samples():
    rooms = (f"mritk/{room}/" for room in DECIDE_ON_RANK)
    assert not found_outside((*rooms, *IS_A_NETWORK), decisions_on_rank)


@pytest.mark.parametrize(
    "planted",
    [
        "samples.spatial_dims == 2",
        "2 != spatial_dims",
        "dims in (2, 3)",
        "batch.ndim == 5",
        "x if backbone.architecture.spatial_dims > 2 else y",
    ],
)
def test_a_decision_on_rank_is_found_however_it_is_written(planted):
    assert decisions_on_rank(ast.parse(planted))
    assert not decisions_on_rank(ast.parse("backbone.spatial_dims != samples.spatial_dims"))


@pytest.mark.slow
def test_no_weights_are_loaded_without_proof():
    sources = [path.read_text(encoding="utf-8") for path in [*CORE, *PLUGINS]]
    loading = [text for text in sources if "load_state_dict" in text]
    assert loading
    for node in (node for text in loading for node in ast.walk(ast.parse(text))):
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
