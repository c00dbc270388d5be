"""A trained entrant in the layout of FOMO's container templates runs as it is."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from mritk import (
    Augmentation,
    Classification,
    MritkError,
    Regression,
    Samples,
    Segmentation,
    Setup,
    Subset,
    UsageError,
    Workspace,
)
from mritk.external import ProgramFailed
from mritk.store.folder import ResultsFolder
from mritk_external.fomo import fit_fomo
from mritk_external.recipe import FomoRecipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="uses programs for POSIX shells"),
]

SHAPE = (6, 7, 8)
COUNT = 12
SPACING = (3.0, 2.0, 1.0)

# As an entrant would write it: it knows nothing of mritk.
ENTRANT = """
import argparse
import sys
from pathlib import Path

sys.modules["pydicom"] = None  # nibabel would import it, for longer than all else takes
import nibabel as nib
import numpy as np


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--t1", type=str, required=True)
    parser.add_argument("--flair", type=str)
    parser.add_argument("--output", type=str, required=True)
    return parser.parse_args()


def main():
    args = parse_args()
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    image = nib.load(args.t1)
    values = np.asarray(image.dataobj, dtype=float)
    if args.output.endswith(".nii.gz"):
        mask = (values > 100).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, image.affine, image.header), args.output)
    else:
        with open(args.output, "w") as f:
            f.write(f"{values.max() / 255:.3f}")
    return 0


if __name__ == "__main__":
    exit(main())
"""


def volume(row):
    """Return a bright box of its own place in the first channel, and noise in the second."""
    rng = np.random.default_rng(row)
    channels = rng.integers(0, 60, (2, *SHAPE)).astype(np.uint8)
    channels[0][tuple(slice(at, at + 3) for at in rng.integers(0, 3, 3))] = 120 + 10 * row
    return channels


def make(task):
    names = [f"scan-{row:02d}" for row in range(COUNT)]
    segments = task.kind == "segmentation"
    targets = {
        "classification": np.arange(COUNT) // (COUNT // 2),
        "regression": np.arange(COUNT, dtype=float),
    }
    return Samples(
        names,
        targets.get(task.kind, np.empty(0)),
        task,
        volume,
        spatial_dims=3,
        channels=("t1ce", "flair"),
        patients=names,
        spacing=np.tile(SPACING, (COUNT, 1)),
        read_target=(lambda row: (volume(row)[0] > 100).astype(np.uint8)) if segments else None,
    )


@pytest.fixture
def fit(tmp_path):
    """Return the entrant, fitted, and a subset of samples that it has not seen."""

    def call(task, text=ENTRANT, samples=None, **options):
        path = tmp_path / "predict.py"
        path.write_text(text)
        own = FomoRecipe(
            "box",
            **{
                "program": ("python", str(path)),
                "inputs": {"t1ce": "t1", "flair": ""},
                **options,
            },
        )
        workspace = Workspace(tmp_path / "workspace")
        samples = samples or make(task)
        part = {
            name: Subset.of(samples, rows, workspace)
            for name, rows in (("train", range(6)), ("val", range(6, 9)), ("test", (11, 9)))
        }
        setup = Setup(
            own, task, part["train"], part["val"], Augmentation("none", None), 0, workspace
        )
        return fit_fomo(setup), part["test"]

    return call


def test_a_label_map_comes_back_on_the_voxels_of_its_scan(fit):
    fitted, test = fit(Segmentation(("background", "box")))
    for row, labels in enumerate(fitted.predict(test)):
        np.testing.assert_array_equal(labels, test.samples.read_target(row))
        assert labels.dtype == np.uint8


REORIENTED = """
        image = nib.load(args.t1)
        to = nib.orientations.axcodes2ornt("PIL")
        turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), to)
        turned = image.as_reoriented(turn)
        mask = (np.asarray(turned.dataobj) > 100).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, turned.affine), args.output)
        return 0
"""


def test_a_label_map_may_have_its_axes_in_any_order(fit):
    text = ENTRANT.replace("        mask = ", f"{REORIENTED}        mask = ")
    fitted, test = fit(Segmentation(("background", "box")), text)
    for row, labels in enumerate(fitted.predict(test)):
        np.testing.assert_array_equal(labels, test.samples.read_target(row))


def test_a_label_map_that_lies_elsewhere_is_refused(fit):
    text = ENTRANT.replace("nib.Nifti1Image(mask, image.affine, image.header)", "MAP")
    text = text.replace("MAP", "nib.Nifti1Image(mask, np.eye(4))")
    fitted, test = fit(Segmentation(("background", "box")), text)
    with pytest.raises(ProgramFailed) as refused:
        fitted.predict(test)
    told = "box, case scan-11: output.nii.gz lies on another grid than its image; write it with the"
    assert str(refused.value).startswith(told)
    assert str(refused.value).endswith("mm apart")


def test_a_probability_is_that_of_the_second_class(fit):
    fitted, test = fit(Classification(("dark", "bright")))
    scores = fitted.predict(test)
    expected = [volume(row)[0].max() / 255 for row in (11, 9)]
    np.testing.assert_allclose(np.exp(scores[:, 1]), expected, atol=1e-3)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-6)


def test_a_value_is_the_prediction(fit):
    fitted, test = fit(Regression("brightness"))
    expected = [volume(row)[0].max() / 255 for row in (11, 9)]
    np.testing.assert_allclose(fitted.predict(test), expected, atol=1e-3)


LOOK = """
def main():
    args = parse_args()
    folder = Path(args.t1).parent
    image = nib.load(args.t1)
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["flair.nii.gz", "t1.nii.gz"], found
    assert image.header.get_zooms() == (1, 2, 3), image.header.get_zooms()
    assert image.shape == (8, 7, 6)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert not list(Path(args.output).parent.iterdir())
    assert not list(Path(".").iterdir())
    Path(args.output).write_text("0.5")
"""


def test_an_entrant_sees_one_case_in_the_layout_and_nothing_else(fit):
    text = ENTRANT[: ENTRANT.index("def main")] + LOOK + "\n\nmain()\n"
    fitted, test = fit(Regression("brightness"), text, inputs={"t1ce": "t1"})
    np.testing.assert_array_equal(fitted.predict(test), [0.5, 0.5])


FAILURES = {
    "crash": (("image = nib", "raise ValueError('no weights'); image = nib"), "exit code 1 after"),
    "nothing": (("f.write(", "0 and f.write("), "output.txt must hold one number; it has ''"),
    "words": (("f.write(f", "f.write('high') or (f"), "must hold one number; it has 'high'"),
    "no file": (("    if args.output", "    return 0\n    if args.output"), "it wrote no output"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_goes_wrong_is_one_line_that_names_the_case(fit, case):
    (old, new), message = FAILURES[case]
    assert ENTRANT.count(old) == 1
    fitted, test = fit(Regression("brightness"), ENTRANT.replace(old, new))
    with pytest.raises(ProgramFailed, match="box") as failed:
        fitted.predict(test)
    assert message in str(failed.value)


def test_a_label_map_of_another_shape_is_refused_with_both_shapes(fit):
    wrong = ENTRANT.replace("mask = (values > 100)", "mask = (values[1:] > 100)")
    fitted, test = fit(Segmentation(("background", "box")), wrong)
    with pytest.raises(
        ProgramFailed,
        match=r"scan-11: .* its shape is \(7, 7, 6\), that of the image \(8, 7, 6\)",
    ):
        fitted.predict(test)


def test_an_entrant_that_hangs_on_a_case_is_ended(fit):
    hang = ENTRANT.replace("image = nib", "import time; time.sleep(60); image = nib")
    fitted, test = fit(Regression("brightness"), hang, minutes=0.02)
    with pytest.raises(ProgramFailed, match=r"box took longer than 1.2 s and was ended"):
        fitted.predict(test)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (Classification(("a", "b", "c")), {}, "writes one probability, but the data have 3"),
        (Regression("y"), {"inputs": {"t2": "t2"}}, "inputs names t2, but the data have t1ce, fl"),
        (Regression("y"), {"inputs": {"t1ce": "x", "flair": "x"}}, "an argument of its own"),
        (Regression("y"), {"inputs": {"t1ce": "", "flair": ""}}, "an argument of its own"),
    ],
)
def test_what_does_not_fit_the_layout_is_refused(fit, task, options, message):
    samples = make(Regression("y"))
    if task.classes:
        samples = replace(samples, task=task, targets=np.arange(COUNT) % 3)
    with pytest.raises(UsageError, match=message):
        fit(task, samples=samples, **options)


def test_a_container_is_given_the_folders_of_the_layout(fit, tmp_path, monkeypatch):
    """The engine is one of ours: it runs the entrant with what it would have mounted."""
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text(f"""#!{sys.executable}
import subprocess, sys
words = sys.argv[1:]
if words[:2] == ["image", "inspect"]:
    print('[{{"Id": "sha256:feed"}}]')
elif words[0] == "--version":
    print("Docker of a test")
elif words[0] == "run":
    image = words.index("team/box:1")
    mounts = [words[i + 1].split(":") for i, word in enumerate(words) if word == "--volume"]
    assert [mount[1:] for mount in mounts] == [["/input", "ro"], ["/output", "rw"], ["/tmp", "rw"]]
    arguments = words[image + 1:]
    paths = [word for word in arguments if word.startswith("/")]
    assert paths == ["/input/t1.nii.gz", "/output/output.nii.gz"]
    hosts = {{inside: host for host, inside, _ in mounts}}
    parts = [word.rpartition("/") for word in arguments]
    arguments = [hosts.get(folder, folder) + slash + name for folder, slash, name in parts]
    sys.exit(subprocess.call([sys.executable, "{tmp_path}/predict.py", *arguments]))
""")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}{os.pathsep}{os.environ['PATH']}")
    fitted, test = fit(
        Segmentation(("background", "box")), program=(), environment="docker:team/box:1"
    )
    for row, labels in enumerate(fitted.predict(test)):
        np.testing.assert_array_equal(labels, test.samples.read_target(row))
    lock = fitted.provenance["external"]["box"]["environment"]
    assert (lock["kind"], lock["digest"]) == ("docker", "feed")


PLUGIN = """
from mritk import Dataset, Segmentation, hookimpl
from tests.plugins.external.test_fomo import make


def open_boxes(workspace):
    return make(Segmentation(("background", "box")))


@hookimpl
def mritk_datasets():
    yield Dataset("boxes", open_boxes)
"""


def test_an_entrant_stands_in_a_table_like_any_method(mritk, tmp_path):
    (tmp_path / "predict.py").write_text(ENTRANT)
    (tmp_path / "boxes.py").write_text(PLUGIN)
    protocol = tmp_path / "fomo.toml"
    protocol.write_text(f"""
method = "fomo_container"
volume_size = "native"
[selection]
on = "last"
[parameters]
name = "box"
version = "1"
program = ["python", "{tmp_path}/predict.py"]
inputs = {{ t1ce = "t1", flair = "" }}
""")
    words = ("run", "-p", tmp_path / "boxes.py", "-d", "boxes", "--protocol", protocol)
    ended = mritk(*words, "--seeds", 1, "--device", "cpu", "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    (record,) = ResultsFolder(tmp_path / "results").trials()
    test = record.predictions["test"]
    assert (test.score[:, 0] == 1).all()  # the Dice of an entrant that makes no mistake
    for row in range(len(test.id)):
        np.testing.assert_array_equal(test.masks[row], test.references[row])
    assert record.notes["arguments"] == {"t1ce": "t1", "flair": ""}
    assert "predict.py" in record.provenance["external"]["box"]["files"]


def test_images_are_refused(fit):
    samples = Samples(
        ["a", "b", "c", *"defghijkl"],
        np.arange(12.0),
        Regression("y"),
        lambda row: np.zeros((8, 8), np.uint8),
    )
    fitted, test = fit(Regression("y"), samples=samples, inputs={})
    with pytest.raises(MritkError, match="fomo_container takes volumes"):
        fitted.predict(test)
