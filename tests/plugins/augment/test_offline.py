"""Deformed copies of training samples, made before training: ``augmented:DATASET,copies=5``."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from mritk import Classification, DataError, Dataset, Samples, Segmentation, UsageError
from mritk.audit.audit import audit
from mritk.data.samples import array_digest
from mritk.plugins.registry import Registry
from mritk.splits.split_rule import SplitRule
from mritk.splits.splits import make_folds
from mritk.store.folder import ResultsFolder
from mritk.trial import OpenDataset
from mritk_augment.offline import change_of, open_with_copies
from mritk_augment.offline_options import Offline
from tests.test_segmentation import PLUGIN

TASK = Segmentation(("background", "tumour"))
SHAPE = (18, 20, 22)


def distance(i):
    """Squared distance from the middle of a tumour, 1 at its edge."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    centre = np.random.default_rng(i).uniform(7, 11, 3)
    return np.square((grid - centre) / [3, 4, 5]).sum(axis=-1)


def label_map(i):
    return (distance(i) < 1).astype(np.uint8)


def read(i):
    """A smooth head, brightest in the tumour, in two channels."""
    ramp = np.linspace(40, 50, SHAPE[2])[None, None] * np.ones(SHAPE)
    one = ramp + 120 * np.exp(-distance(i)) + i
    return np.stack([one, one / 2]).astype(np.uint8)


def tumours(count=12, **columns):
    ids = [f"scan-{i:02d}" for i in range(count)]
    own = {"patients": [f"p{i // 2}" for i in range(count)], "spacing": np.full((count, 3), 2.0)}
    samples = Samples(
        ids, np.empty(0), TASK, read, spatial_dims=3, read_target=label_map, channels=("a", "b"),
        **(own | columns),
    )  # fmt: skip
    return Dataset("tumours", lambda _: samples)


def opened(dataset=None, **options):
    return open_with_copies(dataset or tumours(), Offline(**options), None)


def test_each_sample_has_its_copies_with_its_patient():
    samples = opened(copies=5)
    assert len(samples) == 6 * 12
    assert samples.ids[12:17] == tuple(f"scan-00/copy-{n}" for n in range(1, 6))
    patient = dict(zip(samples.ids, samples.patients, strict=True))
    for name, of in zip(samples.ids, samples.made_from, strict=True):
        assert of == name.partition("/")[0] * ("/" in name)
        assert patient[name] == patient[of or name]


def test_a_label_map_is_deformed_by_the_same_map_as_its_image():
    samples = opened(copies=2, contrast=0)
    for row in range(12, 16):
        parent, number = samples.ids[row].split("/copy-")
        change = change_of(parent, int(number), Offline(copies=2, contrast=0), np.full(3, 2.0))
        of = samples.ids.index(parent)
        matrix, offset = change.voxels(SHAPE)
        inverse = np.linalg.inv(matrix)
        back = [
            affine_transform(array.astype(float), inverse, -inverse @ offset, order=1)
            for array in (samples.read(row)[0], samples.read_target(row))
        ]
        inside = tuple(slice(6, -6) for _ in SHAPE)  # what no shift has moved out
        true = samples.read(of)[0].astype(float)
        undone, left = (
            np.abs(one - true)[inside].mean() for one in (back[0], samples.read(row)[0])
        )
        assert undone < min(10, left / 2)
        both = np.stack([back[1] > 0.5, samples.read_target(of) > 0])
        assert 2 * both.all(axis=0).sum() / both.sum() > 0.85
        # The brightest voxels of the copy are those of its own label map.
        image, labels = samples.read(row)[0], samples.read_target(row) > 0
        assert image[labels].min() > np.median(image[~labels & (image > 0)])
        assert not np.array_equal(samples.read_target(row), samples.read_target(of))


def test_a_lesion_is_deformed_like_a_label_map_and_a_copy_lies_where_its_origin_lies():
    """Nothing but the content of the voxels changes: a copy has the grid of its origin."""

    def affine(i):
        return np.diag([2.0, 2.0, 2.0, 1.0 + i])

    samples = opened(tumours(read_lesion=label_map, affine=affine), copies=2)
    for row in range(len(samples)):
        np.testing.assert_array_equal(samples.read_lesion(row), samples.read_target(row))
        origin = samples.ids.index(samples.made_from[row] or samples.ids[row])
        np.testing.assert_array_equal(samples.affine(row), affine(origin))
    assert not np.array_equal(samples.read_lesion(12), samples.read_lesion(0))
    plain = opened(copies=2)
    assert plain.read_lesion is None
    assert plain.affine is None


def test_a_rotation_keeps_its_form_where_voxels_are_no_cubes():
    spacing = np.asarray([4.0, 1.0, 1.0])
    change = change_of("x", 1, Offline(scaling=0, shift=0, mirror=False), spacing)
    turn = np.asarray(change.matrix)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    matrix, _ = change.voxels(SHAPE)
    np.testing.assert_allclose(np.diag(spacing) @ matrix @ np.diag(1 / spacing), turn)


@pytest.mark.slow
def test_copies_are_the_same_whenever_they_are_read_and_differ_from_each_other():
    samples, again = opened(copies=3), opened(copies=5)
    rows = {name: row for row, name in enumerate(again.ids)}
    seen = set()
    for row, name in enumerate(samples.ids):
        digest = array_digest(samples.read(row))
        assert digest == array_digest(again.read(rows[name]))
        seen.add(digest)
    assert len(seen) == len(samples)
    other = opened(copies=3, seed=1)
    assert array_digest(other.read(12)) != array_digest(samples.read(12))


def test_declared_digests_change_with_what_is_drawn():
    def digest(i):
        return f"{i:064x}"

    samples = replace(tumours().open(None), digest=digest)
    dataset = Dataset("told", lambda _: samples)
    first, second = (opened(dataset, copies=1, rotation=angle) for angle in (5.0, 6.0))
    assert first.digest(0) == second.digest(0) == digest(0)
    assert len({first.digest(12), second.digest(12), first.digest(13)}) == 3


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3)], ids=["grey", "RGB"])
def test_images_with_classes_have_copies_too(shape):
    images = np.random.default_rng(0).random((4, *shape)).astype(np.float32)
    samples = Samples(
        list("abcd"), np.asarray([0, 1, 0, 1]), Classification(("x", "y")), lambda i: images[i]
    )
    found = opened(Dataset("images", lambda _: samples), copies=1)
    assert found.targets.tolist() == [0, 1, 0, 1] * 2
    copy = found.read(5)
    assert (copy.shape, copy.dtype) == (shape, np.float32)
    assert 0 <= copy.min() < copy.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [SplitRule(), SplitRule(scheme="kfold", folds=3), SplitRule(train_patients=2)],
    ids=["hold-out", "folds", "few patients"],
)
@pytest.mark.parametrize("patients", [True, False])
def test_no_copy_is_on_another_side_than_its_origin_and_none_is_tested(rule, patients):
    if rule.train_patients and not patients:
        pytest.skip("without patients there are none to count")
    columns = {} if patients else {"patients": None}
    plain, samples = tumours(20, **columns).open(None), opened(tumours(20, **columns), copies=3)
    content = [array_digest(samples.read(row)) for row in range(len(samples))]
    origin = [samples.ids.index(of or name) for of, name in
              zip(samples.made_from, samples.ids, strict=True)]  # fmt: skip
    for fold, alone in zip(make_folds(samples, rule), make_folds(plain, rule), strict=True):
        for part in ("val", "test"):
            # What is tested is the same as without copies, to the byte.
            np.testing.assert_array_equal(getattr(fold, part), getattr(alone, part))
        trained = set(fold.train.tolist())
        held = {content[origin[row]] for row in (*fold.val, *fold.test)}
        assert not held & {content[origin[row]] for row in trained}
        assert {origin[row] for row in trained} == set(alone.train.tolist())
        assert len(trained) == 4 * len(alone.train)
        # Nor do they reach a method that learns from images without targets.
        spare = {origin[row] for row in fold.parts.get("unused", ())}
        assert spare == set(alone.parts.get("unused", np.empty(0, int)).tolist())
        every = np.concatenate(list(fold.parts.values()))
        assert sorted(every.tolist()) == list(range(len(samples)))


def test_official_test_parts_have_no_copies():
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    samples = opened(tumours(splits=parts), copies=2)
    assert len(samples) == 12 + 2 * 6
    assert set(samples.splits[12:]) == {"train"}
    (fold,) = make_folds(samples, SplitRule())
    assert fold.test.tolist() == list(range(8, 12))
    assert len(fold.train) == 18


def test_a_copy_links_its_origin_to_whatever_it_is_a_duplicate_of():
    samples = opened(tumours(patients=None), copies=1)
    clusters = np.arange(len(samples))
    clusters[12] = clusters[3]  # the copy of the first scan is a duplicate of the fourth
    for seed in range(5):
        (fold,) = make_folds(samples, SplitRule(seed=seed), clusters)
        (part,) = [name for name, rows in fold.parts.items() if 0 in rows]
        assert 3 in fold.parts[part]


@pytest.mark.slow
def test_the_audit_knows_them(workspace):
    noise = np.random.default_rng(0).integers(0, 255, (12, 2, *SHAPE)).astype(np.uint8)
    plain = replace(tumours().open(None), read=lambda i: noise[i])
    nothing = {"rotation": 0.0, "scaling": 0.0, "shift": 0.0, "mirror": False, "contrast": 0.0}
    samples = opened(Dataset("tumours", lambda _: plain), copies=1, **nothing)
    assert array_digest(samples.read(12)) == array_digest(samples.read(0))
    found = audit([("tumours", samples, (), ())], workspace)
    assert found.clean
    (made,) = [finding for finding in found.findings if finding.kind == "made"]
    assert made.text.startswith("12 samples made from 12 others")
    assert "clusters" not in {finding.kind for finding in found.findings}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"patients": ["p", "q"]}, "b is made from a, but their patients differ: q and p"),
        ({"splits": ["test", "train"]}, "their splits differ"),
        ({"made_from": ["b", "a"]}, "which is itself made"),
    ],
)
def test_a_sample_made_from_another_cannot_be_of_another_patient(column, message):
    columns = {"made_from": ["", "a"], **column}
    with pytest.raises(DataError, match=message):
        Samples(["a", "b"], np.asarray([0, 1]), Classification(("x", "y")), read, **columns)


class TestNames:
    registry = Registry.load(environ={})

    def test_options_are_told_apart(self):
        found = self.registry.dataset("augmented:phantom3d,target=mask,copies=2,size=32")
        assert found.name == "augmented:phantom3d,target=mask,size=32,copies=2"
        assert found.inner.name == "phantom3d,target=mask,size=32"
        assert found.license == found.inner.license
        options = self.registry.dataset_options("augmented:phantom3d,target=mask")
        assert {"copies", "target"} <= set(options)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("augmented:phantom3d,target=mask,copys=2", r"'copys'; did you mean copies\? .* size"),
            ("augmented:phantom,copys=2", r"'copys'; did you mean copies\? .* copies, .*, rename"),
            ("augmented:phantom3d,target=mask,copies=0", "write a number from 1 to 100"),
            ("augmented:phantom3d,target=mask,rotation=400", "write a number from 0 to 180"),
            ("augmented:nothing", "unknown dataset 'nothing'"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line(self, name, message):
        with pytest.raises(UsageError, match=message):
            self.registry.dataset(name)

    def test_copies_of_copies_are_refused(self, workspace):
        inner = Dataset("twice", lambda _: opened(copies=1))
        with pytest.raises(UsageError, match="has copies already"):
            open_with_copies(inner, Offline(), workspace)


@pytest.mark.slow
def test_what_is_tested_has_the_fingerprint_of_the_plain_data():
    dataset = tumours()
    samples = opened(dataset, copies=2)
    made = replace(dataset, name="augmented:tumours,copies=2", inner=dataset)
    found = OpenDataset(made, samples, ()).made_from
    plain = dataset.open(None).fingerprint
    assert found == {"dataset": "tumours", "fingerprint": plain, "by": "augmented,copies=2"}
    assert samples.fingerprint != plain


@pytest.mark.slow
def test_both_variants_stand_in_one_table_with_a_paired_interval(mritk, tmp_path):
    plugin = tmp_path / "balls.py"
    plugin.write_text(PLUGIN)
    results = tmp_path / "results"
    asked = ("-p", plugin, "--protocol", "between", "--seeds", "1", "-o", results)
    for name in ("balls", "augmented:balls,copies=2"):
        ended = mritk("run", "-d", name, *asked)
        assert ended.code == 0, ended.err
    tested = {tuple(sorted(r.predictions["test"].id)) for r in ResultsFolder(results).trials()}
    assert len(tested) == 1
    assert not any("copy" in name for name in tested.pop())
    (table,) = json.loads(mritk("leaderboard", results, "--json").out)["tables"]
    assert {row["augmentation"] for row in table["rows"]} == {"none", "augmented,copies=2"}
    (pair,) = table["comparisons"]["dice"]
    assert {"low", "high"} <= set(pair["interval"])
    assert not any("different training samples" in note for note in table["notes"])
    assert mritk("doctor", results).code == 0
