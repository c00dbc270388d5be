"""Every study plans, and runs from its data to its table at small scale, on toy data."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mritk.plugins.registry import Registry
from mritk.protocol.tomltext import TomlText
from mritk.study.benchmark import Benchmark
from mritk.study.opening import joined_names
from mritk_phantom.recipe import Recipe

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "studies"
# Files of the folder that name no backbones are protocols.
STUDIES = [
    path
    for path in sorted(FOLDER.glob("*.toml"))
    if "backbones" in TomlText(path.read_text(encoding="utf-8"), path.name).parse()
]

FOUR = ("glioma", "meningioma", "notumor", "pituitary")
TUMOURS = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")
# Folder: its parts, its classes.
TREES = {
    "masoudnickparvar": (("Training", "Testing"), FOUR),
    "sartajbhuvaji": (("Training", "Testing"), TUMOURS),
    "brain-tumor-3264": (("Training", "Testing"), TUMOURS),
    "br35h": (("",), ("yes", "no")),
}
# What stands in for sets that take long to make.
SMALL = {
    "augmented:phantom3d,target=mask,size=32,patients=60,copies=5": (
        "augmented:phantom3d,target=mask,size=32,patients=20,copies=1"
    ),
    "augmented:brats:BraTS-SSA,copies=5": "augmented:brats:BraTS-SSA,copies=1",
    "tiles": "tiles:sharp,cases=20,side=64,tiles=2",
    "tiles_blurred": "tiles:blurred,cases=20,side=64,tiles=2",
    "openbhb:openbhb,target=age,modality=vbm": "phantom3d,target=age,size=32,patients=20",
    # Of the same shape and with the same targets: the networks need not be trained on it again.
    "openbhb:openbhb,target=age,modality=quasiraw": "phantom3d,target=age,size=32,patients=20",
    "phantom3d,target=age,size=32": "phantom3d,target=age,size=32,patients=20",
    "phantom3d,target=sex,size=32": "phantom3d,target=sex,size=32,patients=40",
    "manifest:abide2.csv,frames=4": "manifest:abide2.csv,frames=2",
    "phantom3d,target=mask,size=32,patients=60": "phantom3d,target=mask,size=32,patients=20",
}
SMALL_PHANTOM = partial(Recipe, patients=32, size=64, resolution=4)
# Names of data that a user brings.
BROUGHT = ("folder:", "manifest:", "openbhb:", "brats:")
# Networks of an extra that may not be installed, and what stands in for them.
OF_MONAI = ("densenet121_3d", "resnet34_3d")

# Studies of volumes, which take 128³ voxels, and the side of a cube that holds what stands in.
OF_VOLUMES = {"brats_africa": 16, "dufumier2021": 32, "fader_abide2": 32}

# Enough of the many values that a study varies: all are planned, these are run.
RUN = {"findings_resolution": "image_size=32,48"}

# What is large besides the backbones.
NARROW = dict.fromkeys(("fader_abide2", "fader_phantom"), ("parameters.width=4",))

# A large network trains for long: protocols that hold every key of the four between them.
SOME = {"lvmmed": ("lvmmed_frozen_1fc", "lvmmed_full_3fc")}

# Training images of each class: enough for 80 shots beside a validation part, or for a validation
# part of 3 in 10.
MANY, FEW = 104, 10

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Make a folder with data under every name that a study uses, so many training images each."""
    made = {}

    def folder_with(count, phantom):
        if count not in made:
            made[count] = tmp_path_factory.mktemp(f"studies{count}")
            _make_data(made[count], count)
            (made[count] / "home").mkdir()
            (made[count] / "home" / "phantom").symlink_to(phantom)
        return made[count]

    return folder_with


def _make_data(folder, count):
    rng = np.random.default_rng(0)
    for name, (parts, classes) in TREES.items():
        for part in parts:
            for label in classes:
                for number in range(2 if part == "Testing" else count):
                    _picture(folder / name / part / label / f"{label}_{number:03d}.png", rng)

    def table(name, images, count, columns, told):
        lines = [f"path,label,{columns}"]
        for number in range(count):
            path = folder / images / f"{number:02d}.png"
            _picture(path, rng)
            lines.append(f"{images}/{path.name},{'ab'[number // 2 % 2]},{told(number)}")
        (folder / name).write_text("\n".join(lines) + "\n")

    table("medulloblastoma.csv", "slides", 40, "patient", lambda n: f"case{n // 2}")
    table(
        *("neuroblastoma.csv", "scans", 40, "patient,site,split"),
        lambda n: f"p{n // 2},{('home', 'away')[n % 3 > 1]},{('train', 'test')[n >= 28]}",
    )

    def volumes(name, shape, columns, told):
        lines = [f"path,label,{columns}"]
        for number in range(24):
            volume = rng.integers(1, 256, shape, dtype=np.uint8)
            path = folder / name.partition(".")[0] / f"{number:02d}.nii"
            path.parent.mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(volume, np.eye(4)), path)
            lines.append(f"{path.parent.name}/{path.name},{'ab'[number // 3 % 2]},{told(number)}")
        (folder / name).write_text("\n".join(lines) + "\n")

    volumes("abide2.csv", (32, 32, 32, 3), "patient,site", lambda n: f"p{n},s{n % 3}")
    volumes("hcp.csv", (24, 24, 24), "patient,head_volume", lambda n: f"p{n},{1400 + n}")
    _cases(folder / "BraTS-SSA", rng)
    table("sites.csv", "sites", 36, "patient,site", lambda n: f"p{n // 2},s{n // 4 % 3}")


def _picture(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)).save(path)


def _cases(folder, rng, count=15, side=16):
    """Write cases as a BraTS challenge has them: four sequences, nested labels."""
    place = np.indices((side,) * 3)
    for number in range(count):
        case = folder / f"BraTS-SSA-{number:05d}-000"
        case.mkdir(parents=True)
        distance = np.sqrt(((place - rng.uniform(6, 9, 3)[:, None, None, None]) ** 2).sum(axis=0))
        labels = np.select([distance < 2, distance < 3, distance < 5], [1, 3, 2], 0)
        for ending in ("t1n", "t1c", "t2w", "t2f", "seg"):
            # So much noise that no two are compared as possible copies.
            values = labels if ending == "seg" else 20 * labels + rng.integers(0, 150, labels.shape)
            image = nib.Nifti1Image(values.astype(np.uint8), np.eye(4))
            nib.save(image, case / f"{case.name}-{ending}.nii.gz")


@pytest.fixture
def run(here, phantoms, mritk, monkeypatch):
    """Run a study where its data are; what is generated is kept for the next one."""
    monkeypatch.setattr("mritk_phantom.Recipe", SMALL_PHANTOM)
    # No near copies are looked for, so that boxes around the content need not be found finely.
    monkeypatch.setattr("mritk.audit.signature.BOX_SIDE", {2: 32, 3: 16})

    def call(study, *arguments, backbones=None):
        folder = here(MANY if "shot" in study.stem else FEW, phantoms.folder("phantom"))
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MRITK_HOME", str(folder / "home"))
        benchmark = Benchmark.from_file(study)
        small = list(dict.fromkeys(SMALL.get(name, name) for name in benchmark.datasets))
        chosen = [f"--dataset={n}" for n in small] if small != list(benchmark.datasets) else []
        if backbones is None and set(OF_MONAI) & set(benchmark.backbones):
            backbones = trained(benchmark)
        chosen += [f"--backbone={name}" for name in backbones or ()]
        if not benchmark.vary:
            kind = "volume" if study.stem in OF_VOLUMES else "image"
            chosen += ["--vary", f"{kind}_size={OF_VOLUMES.get(study.stem, 32)}"]
        chosen += [f"--vary={change}" for change in NARROW.get(study.stem, ())]
        return mritk("run", study, *chosen, "--device", "cpu", "--offline", *arguments)

    return call


def trained(benchmark):
    """Return the backbones of a study, without large networks for volumes."""
    return [name for name in benchmark.backbones if name not in OF_MONAI]


def across(study):
    """Yield protocols and backbones of each run: every one of a study, but not every pair."""
    benchmark = Benchmark.from_file(study)
    backbones, protocols = trained(benchmark), SOME.get(study.stem, benchmark.protocols)
    if min(len(backbones), len(protocols)) < 2:
        yield (), None
    else:
        yield protocols[:1], backbones
        others = replace(benchmark, protocols=protocols[1:])
        one = backbones[:1] if others.takes_backbones(Registry.load(environ={})) else ()
        yield others.protocols, one


@pytest.mark.usefixtures("shallow_lite", "no_near_copies")
@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_a_study_plans_without_its_weights_and_runs_at_small_scale(study, run, tmp_path, mritk):
    planned = run(study, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert json.loads(planned.out)

    results = tmp_path / study.stem
    for protocols, backbones in across(study):
        some = [f"--protocol={name}" for name in protocols]
        some += [f"--vary={RUN[study.stem]}"] if study.stem in RUN else []
        ended = run(study, *some, "--rehearse", "-o", results, backbones=backbones)
        assert ended.code == 0, ended.err
    board = json.loads(mritk("leaderboard", results, "--json").out)
    architectures = {name.partition("@")[0] for name in trained(Benchmark.from_file(study))}
    found = {
        row["backbone"].partition("@")[0] for table in board["tables"] for row in table["rows"]
    }
    # A method with a network of its own, or none, has no backbone.
    assert found - {"none"} in (architectures, set())
    for table in board["tables"]:
        assert table["protocol"].endswith("(rehearsal)")
        assert all(row["trials"] == 1 and not row["failed"] for row in table["rows"])


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_a_study_tells_how_to_get_its_data(study):
    benchmark = Benchmark.from_file(study)
    registry = Registry.load(environ={})
    brought = {
        part
        for name in benchmark.datasets
        for part in joined_names(name, registry)
        if part.removeprefix("augmented:").startswith(BROUGHT)
    }
    assert set(benchmark.data.instructions) == brought


def test_every_protocol_beside_the_studies_belongs_to_one():
    named = {name for study in STUDIES for name in Benchmark.from_file(study).protocols}
    files = {str(path) for path in FOLDER.rglob("*.toml")} - {str(path) for path in STUDIES}
    assert files == {name for name in named if name.endswith(".toml")}
