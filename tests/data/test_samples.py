"""``Samples``: a checked table, a way to read it, and a fingerprint of its content."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from mritk import Classification, DataError, Regression, Samples
from mritk.data.samples import array_digest

IDS = ("a/1.png", "a/2.png", "b/1.png", "b/2.png")
# Changes only if what a fingerprint is made of changes.
KNOWN = "8e3b1da0d42987f84bc8aee55ceb6ca47d926b5951f655e52d80599220e23f93"
IMAGES = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)


def table(**changes) -> Samples:
    columns = {
        "ids": IDS,
        "targets": [0, 0, 1, 1],
        "task": Classification(("glioma", "none")),
        "read": lambda i: IMAGES[i],
        "patients": ("p1", "p1", "p2", "p2"),
        "sites": ("x", "x", "y", "y"),
        "sources": ("s", "s", "s", "t"),
        "splits": ("train", "train", "val", "test"),
    }
    return Samples(**{**columns, **changes})


def test_a_table_has_a_length_and_int64_class_indices():
    samples = table()
    assert len(samples) == 4
    assert samples.targets.dtype == np.int64
    assert samples.task.outputs == 2


def test_regression_targets_are_float64_and_have_one_output():
    samples = table(targets=[1, 2, 3, 4], task=Regression("years"))
    assert samples.targets.dtype == np.float64
    assert samples.task.outputs == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("a", "a", "b", "b")}, "sample ids must be unique; duplicates: a, b"),
        ({"targets": [0, 1]}, "column targets has 2 rows for 4 ids"),
        ({"patients": ("p",)}, "column patients has 1 rows for 4 ids"),
        ({"sites": ()}, "column sites has 0 rows"),
        ({"sources": ("s",) * 5}, "column sources has 5 rows"),
        ({"splits": ("train",) * 3}, "column splits has 3 rows"),
        (
            {"splits": ("train", "dev", "val", "test")},
            "split names must be train, val, test; got dev",
        ),
        ({"targets": [0, 1, 2, 0]}, "targets must be indices of the 2 classes"),
        ({"targets": [0, 1, -1, 0]}, "targets must be indices of the 2 classes"),
        ({"targets": [0, 1, None, 0]}, "targets for classification must be numbers"),
        (
            {"task": Regression(), "targets": [0, "old", 1, 2]},
            "targets for regression must be numbers",
        ),
        ({"targets": np.zeros(4, "m8[s]")}, "targets must be numbers, without a unit"),
        ({"task": Regression(), "targets": np.zeros(4, "M8[D]")}, "without a unit"),
        ({"task": Regression(), "targets": np.full(4, "NaT", "m8[D]")}, "without a unit"),
        ({"task": Regression(), "targets": [np.timedelta64(9, "D"), None] * 2}, "without a unit"),
        ({"task": Regression(), "targets": np.full(4, 1 + 2j)}, "targets must be numbers"),
        ({"task": Classification(("one",))}, "at least two classes; found one"),
        ({"task": Classification(())}, "at least two classes; found none"),
        ({"task": Regression(), "targets": [0.0, np.nan, 1, 2]}, "must be finite"),
        ({"task": Regression(), "targets": [0.0, np.inf, 1, 2]}, "must be finite"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        table(**changes)


def test_class_indices_with_a_fraction_are_refused_not_rounded():
    with pytest.raises(DataError):
        table(targets=[0.2, 0.9, 1.7, 0.0])


def test_targets_of_more_than_one_dimension_are_refused():
    with pytest.raises(DataError):
        table(targets=np.eye(4, 2))


def test_a_class_name_that_stands_twice_is_refused():
    with pytest.raises(DataError):
        table(task=Classification(("glioma", "glioma")))


def test_only_picks_rows_of_every_column_in_the_order_asked():
    part = table().only([3, 0])
    assert part.ids == ("b/2.png", "a/1.png")
    assert part.targets.tolist() == [1, 0]
    assert part.patients == ("p2", "p1")
    assert part.sites == ("y", "x")
    assert part.sources == ("t", "s")
    assert part.splits == ("test", "train")
    np.testing.assert_array_equal(part.read(0), IMAGES[3])
    np.testing.assert_array_equal(part.read(1), IMAGES[0])


def test_only_of_only_still_reads_the_right_sample():
    part = table().only([3, 2, 0]).only([2, 1])
    assert part.ids == (IDS[0], IDS[2])
    np.testing.assert_array_equal(part.read(1), IMAGES[2])
    assert part.content(1) == table().content(2)


def test_only_leaves_absent_columns_absent_and_follows_the_digest():
    samples = table(
        patients=None, sites=None, sources=None, splits=None, digest=lambda i: f"digest {i}"
    )
    part = samples.only(np.array([2]))
    assert (part.patients, part.sites, part.sources, part.splits) == (None,) * 4
    assert part.content(0) == "digest 2"


@pytest.mark.parametrize("dtype", [bool, object])
def test_only_takes_a_mask_as_the_rows_where_it_is_true(dtype):
    part = table().only(np.array([False, False, True, True], dtype=dtype))
    assert part.ids == IDS[2:]


@pytest.mark.parametrize("mask", [[True], [True] * 5, np.ones((4, 1), bool)])
def test_a_mask_of_another_length_is_refused(mask):
    with pytest.raises(DataError, match="which of 4 samples to keep"):
        table().only(mask)


@pytest.mark.parametrize(
    "rows", [[0.9, 1.9], [True, None, True, True], ["a/1.png"], [[0, 1]], 2, np.array(["0"])]
)
def test_rows_that_are_no_positions_are_refused_not_rounded(rows):
    with pytest.raises(DataError, match="rows must be positions of samples or one truth value"):
        table().only(rows)


@pytest.mark.parametrize("none", [[], np.array([], dtype=object), np.array([], dtype=int)])
def test_no_rows_are_a_table_without_samples(none):
    assert len(table().only(none)) == 0


def test_content_is_read_only_when_nobody_gives_a_digest():
    samples = table(read=lambda i: pytest.fail("read"), digest=lambda i: f"{i:064x}")
    assert samples.contents == tuple(f"{i:064x}" for i in range(4))


def test_content_tells_shape_and_type_apart_even_if_the_bytes_agree():
    flat = np.zeros(4, np.uint8)
    arrays = [flat, flat.reshape(2, 2), np.zeros(1, np.float32), np.zeros(1, np.int32)]
    samples = table(read=lambda i: arrays[i])
    assert len(set(samples.contents)) == 4


def change_one_byte(i):
    image = IMAGES[i].copy()
    if i == 2:
        image[1, 2] ^= 1
    return image


@pytest.mark.parametrize(
    "changes",
    [
        {"read": change_one_byte},
        {"targets": [0, 1, 1, 1]},
        {"ids": ("a/1.png", "a/2.png", "b/1.png", "b/3.png")},
        {"patients": ("p1", "p1", "p2", "p3")},
        {"patients": None},
        {"sites": ("x", "x", "y", "x")},
        {"sites": None},
        {"sources": ("s", "s", "s", "s")},
        {"splits": ("train", "train", "test", "val")},
        {"splits": None},
        {"task": Classification(("none", "glioma"))},
        {"task": Classification(("glioma", "none", "other"))},
        {"task": Regression("years")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_fingerprint_changes_with(changes):
    assert table(**changes).fingerprint != table().fingerprint


def test_the_fingerprint_tells_one_column_from_another():
    one = table(patients=("u",) * 4, sites=None)
    other = table(patients=None, sites=("u",) * 4)
    assert one.fingerprint != other.fingerprint


def test_the_fingerprint_does_not_change_with_the_order_of_rows():
    assert table().only([2, 0, 3, 1]).fingerprint == table().fingerprint


def test_the_fingerprint_does_not_change_with_where_the_files_are(tmp_path):
    def stored_in(folder):
        for name, image in zip(IDS, IMAGES, strict=True):
            path = folder / name.replace("/", "-")
            folder.mkdir(exist_ok=True)
            np.save(path.with_suffix(".npy"), image)
        return table(
            read=lambda i: np.load((folder / IDS[i].replace("/", "-")).with_suffix(".npy"))
        )

    assert stored_in(tmp_path / "one").fingerprint == stored_in(tmp_path / "two").fingerprint


def test_the_fingerprint_does_not_change_with_the_kind_of_sequence():
    arrays = {
        name: np.array(getattr(table(), name))
        for name in ("ids", "patients", "sites", "sources", "splits")
    }
    assert table(**arrays).fingerprint == table().fingerprint


def test_the_fingerprint_is_a_sha256_and_stays_what_it_is():
    """A release that changes this value makes every stored result incomparable."""
    fingerprint = table().fingerprint
    assert len(fingerprint) == 64
    assert int(fingerprint, 16)
    assert fingerprint == replace(table()).fingerprint == KNOWN


def test_two_unicode_forms_of_one_id_are_refused_and_shown():
    composed, decomposed = "M\u00fcller", "Mu\u0308ller"
    with pytest.raises(DataError, match=r"ids contains .* two Unicode forms, 'M.xfc.*u0308"):
        table(ids=(composed, decomposed, "x", "y"))
    assert table(ids=(composed, "Muller", "x", "y"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"spacing": np.ones((2, 2))}, r"spacing must be \(N, 3\) distances in mm"),
        ({"spacing": [[1, 1, 0], [1, 1, 1]]}, "above 0"),
        ({"spacing": np.ones((3, 3))}, "column spacing has 3 rows for 2 ids"),
        ({"channels": ("t1", "t1")}, "channels must be unique names"),
        ({"channels": "t1"}, "channels must be unique names"),
        ({"channels": ("t1",), "spatial_dims": None}, "set spatial_dims"),
    ],
)
def test_channels_and_spacing_that_later_steps_would_misread_are_refused(columns, message):
    given = {"spatial_dims": 3, **columns}
    with pytest.raises(DataError, match=message):
        Samples(
            ids=["a", "b"],
            targets=np.arange(2),
            task=Classification(("x", "y")),
            read=lambda i: np.zeros((2, 2, 2, 2), np.uint8),
            **given,
        )


def test_a_missing_text_of_pandas_is_no_group_called_nan():
    found = table(covariates={"sex": ["f", float("nan"), "m", np.float32("nan")]}).covariates
    assert found["sex"].tolist() == ["f", "", "m", ""]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"patients": ["p", None, "q", "q"]}, "or None instead of the column"),
        ({"ids": ["a", None, "b", "c"]}, "give each sample an id"),
        ({"covariates": {"age": [34, None, 51, 60]}}, "give NaN where a number is unknown"),
    ],
)
def test_a_missing_value_is_refused_with_what_the_column_takes_instead(changes, remedy):
    with pytest.raises(DataError, match=f"has missing values; .*{remedy}"):
        table(**changes)


@pytest.mark.parametrize(
    "array",
    [np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((4, 4))[::2], np.float32(3), np.empty(0)],
)
def test_the_digest_of_an_array_is_of_its_dtype_shape_and_bytes(array):
    array = np.asarray(array)
    header = f"{array.dtype.str}{array.shape}" if array.shape else f"{array.dtype.str}(1,)"
    expected = hashlib.sha256(header.encode() + array.tobytes()).hexdigest()
    assert array_digest(array) == expected


@pytest.mark.parametrize("name", ["", "a\0b", "caf\udce9"])
def test_a_covariate_whose_name_could_not_be_stored_is_refused(name):
    with pytest.raises(DataError, match="covariate"):
        table(covariates={name: [1.0, 2.0, 3.0, 4.0]})
