"""Files of every layout train, and what there is to learn is learnt."""

from __future__ import annotations

import io
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

TINY_3D = '''
"""A tiny 3-D network."""
from mritk import Architecture, InputContract, hookimpl


def build():
    from torch import nn

    return nn.Sequential(
        nn.Conv3d(1, 8, 3, 2, 1), nn.BatchNorm3d(8), nn.ReLU(),
        nn.Conv3d(8, 8, 3, 2, 1), nn.BatchNorm3d(8), nn.ReLU(),
        nn.AdaptiveAvgPool3d((1, 2, 1)), nn.Flatten(),
    )


@hookimpl
def mritk_backbones():
    yield Architecture("tiny3d", build, InputContract(16, (0.5,), (0.25,)), spatial_dims=3)
'''

PATIENTS = range(40)
ORIENTATIONS = ("RAS", "LPS", "PIR", "SAL")


# Heads that differ in noise are compared pixel by pixel for a minute; tests/audit does that.
pytestmark = pytest.mark.usefixtures("no_near_copies")


@pytest.fixture
def write_heads(write_nifti, make_head):
    """Write one head per patient, each in another orientation; the label is where it is bright."""

    def write(root, name_of):
        for patient in PATIENTS:
            codes = ORIENTATIONS[patient % 4]
            path = root / name_of(patient, patient // 2 % 2)
            write_nifti(path, make_head(patient // 2 % 2, seed=patient), codes)
        return root

    return write


@pytest.fixture
def auroc(mritk, toy, fast_protocol, tmp_path):
    """Train once and return the table's header and the mean AUROC."""

    def run(dataset, *arguments, backbone="tiny"):
        ended = mritk(
            *("run", "-p", toy, "-b", backbone, "-d", dataset, "--protocol", fast_protocol),
            *("--seeds", 1, "--device", "cpu", "--json", "-o", tmp_path / "results", *arguments),
        )
        assert ended.code == 0, ended.err
        (table,) = json.loads(ended.out)["leaderboard"]["tables"]
        return table, table["rows"][0]["metrics"]["macro_auroc"]["mean"]

    return run


def bids_name(patient, label):
    return f"sub-{patient:02d}/anat/sub-{patient:02d}_T1w.nii.gz"


@pytest.fixture
def study(write_heads, tmp_path):
    root = write_heads(tmp_path / "study", bids_name)
    rows = [f"sub-{patient:02d}\t{['CN', 'AD'][patient // 2 % 2]}" for patient in PATIENTS]
    (root / "participants.tsv").write_text("\n".join(["participant_id\tdiagnosis", *rows]))
    return root


@pytest.mark.slow
def test_a_folder_of_nifti_with_slices(auroc, write_heads, tmp_path):
    root = write_heads(tmp_path / "heads", lambda p, label: f"class-{label}/sub-{p}_T1w.nii")
    table, score = auroc(f"folder:{root},slices=3")
    assert table["dataset"] == "folder:heads,slices=3"
    assert table["patients"] == 8, "a fifth of them"
    assert score > 0.9


@pytest.mark.slow
def test_bids_with_slices(auroc, study):
    table, score = auroc(f"bids:{study},target=diagnosis,slices=3")
    assert table["dataset"] == "bids:study,slices=3,target=diagnosis"
    assert table["patients"] == 8
    assert score > 0.9


@pytest.mark.slow
def test_bids_as_volumes(auroc, study, tmp_path):
    (tmp_path / "tiny3d.py").write_text(TINY_3D)
    table, score = auroc(
        f"bids:{study},target=diagnosis", "-p", tmp_path / "tiny3d.py", backbone="tiny3d"
    )
    assert table["patients"] == 8
    assert score > 0.8


@pytest.mark.slow
def test_frames_of_functional_scans(auroc, make_head, tmp_path):
    rng = np.random.default_rng(0)
    rows = ["participant_id\tdiagnosis"]
    for patient in PATIENTS:
        label, name = patient // 2 % 2, f"sub-{patient:02d}"
        head = make_head(label, seed=patient)
        series = head[..., None] + rng.integers(0, 20, (*head.shape, 5)).astype(np.int16)
        path = tmp_path / "study" / name / "func" / f"{name}_bold.nii.gz"
        path.parent.mkdir(parents=True)
        # Stored with the axes to superior, posterior and left, as heads are made.
        affine = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        nib.save(nib.Nifti1Image(series, affine.astype(float)), path)
        rows.append(f"{name}\t{['CN', 'AD'][label]}")
    (tmp_path / "study" / "participants.tsv").write_text("\n".join(rows))
    (tmp_path / "tiny3d.py").write_text(TINY_3D)
    dataset = f"bids:{tmp_path / 'study'},target=diagnosis,suffix=bold,frames=2"
    table, score = auroc(dataset, "-p", tmp_path / "tiny3d.py", backbone="tiny3d")
    assert table["dataset"] == "bids:study,frames=2,target=diagnosis,suffix=bold"
    assert (table["patients"], table["test_samples"]) == (8, 16)
    assert score > 0.8


@pytest.mark.slow
def test_a_manifest_of_images_with_patients_and_splits(auroc, tmp_path):
    rng = np.random.default_rng(0)
    lines = ["path;label;patient;split"]
    for i in range(90):
        label = i // 3 % 2
        pixels = rng.integers(0, 80, (32, 32)).astype(np.uint8)
        pixels[16 * label : 16 * label + 16] += 100
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        part = "Testing" if i >= 60 else "Training"
        lines.append(f"{i}.png;{['upper', 'lower'][label]};p{i // 3};{part}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    table, score = auroc(f"manifest:{tmp_path / 'list.csv'}")
    assert table["dataset"] == "manifest:list.csv"
    assert table["patients"] == 10
    assert score > 0.9


@pytest.mark.slow
def test_a_corrupt_volume_is_named_and_can_be_skipped(mritk, toy, fast_protocol, study, tmp_path):
    path = study / bids_name(3, 1)
    path.write_bytes(path.read_bytes()[:200])
    arguments = ("run", "-p", toy, "-b", "tiny", "-d", f"bids:{study},target=diagnosis,slices=2")
    arguments = (*arguments, "--protocol", fast_protocol, "-o", tmp_path / "results", "--seeds", 1)
    ended = mritk(*arguments)
    assert ended.code == 2
    assert "sub-03_T1w.nii.gz#0, sub-03/anat/sub-03_T1w.nii.gz#1 (truncated or" in ended.err
    assert "Traceback" not in ended.err
    assert mritk(*arguments, "--skip-unreadable").code == 0


@pytest.mark.slow
def test_a_kaggle_archive(mritk, toy, fast_protocol, tmp_path):
    """As it is downloaded: one zip with Training and Testing inside."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for number in range(60):
            image = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (32, 32), np.uint8)).save(image, "PNG")
            part, label = ("Training", "Testing")[number % 5 == 0], ("glioma", "none")[number % 2]
            archive.writestr(f"Brain MRI/{part}/{label}/{number:02d}.png", image.getvalue())
    ended = mritk(
        *("run", "-p", toy, "-b", "tiny", "-d", f"folder:{tmp_path / 'archive.zip'}"),
        *("--protocol", fast_protocol, "--seeds", 1, "-o", tmp_path / "results"),
    )
    assert ended.code == 0, ended.err
    assert "official split, 12 test samples" in ended.out


def test_an_archive_that_leads_out_of_its_folder_is_refused(mritk, tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("../../outside.png", b"")
    ended = mritk("audit", f"folder:{tmp_path / 'archive.zip'}")
    assert ended.code == 2
    assert "archive.zip" in ended.err
    assert "outside.png" in ended.err
    assert "Traceback" not in ended.err
