"""Random manifests are read as pandas reads them, or refused with the line or column."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mritk import DataError, canonical_name, is_missing, read_text_table
from mritk.files.workspace import Workspace
from mritk.plugins.registry import Registry
from mritk.study.data_options import DataOptions
from mritk.study.opening import open_datasets
from mritk_folders.manifest import read_manifest
from mritk_folders.options import ManifestOptions

FILES = tuple(
    f"{folder}{number}.png" for folder in ("", "a, b/", 'q"/', "ü;/") for number in (1, 2)
)
LABELS = (
    "glioma",
    "Glioma",
    "no tumor",
    "no_tumor",
    "3",
    "3.0",
    "nan",
    "",
    "a,b",
    'say "x"',
    "ä\n;",
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
QUICK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def open_dataset(name, *given):
    (opened,) = open_datasets((name,), *given)
    return opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the files, which nobody decodes."""
    root = tmp_path_factory.mktemp("manifests")
    for name in FILES:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    return root


@st.composite
def tables(draw):
    """Rows of path, label and patient as somebody wrote them, and how they were written."""
    paths = draw(st.lists(st.sampled_from(FILES), min_size=2, unique=True))
    rows = [[p, draw(st.sampled_from(LABELS)), draw(st.sampled_from("pqr"))] for p in paths]
    return rows, {
        "delimiter": draw(st.sampled_from(",;\t")),
        "quoting": draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))),
        "end": draw(st.sampled_from(("\n", "\r\n"))),
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "index": draw(st.sampled_from((None, "", "Unnamed: 0"))),
        "extra": draw(st.booleans()),
    }


def written(rows, *, delimiter, quoting, end, encoding, index, extra) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    front = [] if index is None else [index]
    writer.writerow([*front, "Path", "label", "PATIENT", *(["age"] if extra else [])])
    for number, row in enumerate(rows):
        writer.writerow([*([number] if front else []), *row, *(["61"] if extra else [])])
    return text.getvalue().encode(encoding)


def oracle(content: bytes, *, delimiter, encoding, **_) -> pd.DataFrame:
    frame = pd.read_csv(
        io.BytesIO(content), sep=delimiter, encoding=encoding, dtype=str, keep_default_na=False
    )
    return frame.rename(columns=str.lower)


@pytest.mark.slow
@QUICK
@given(tables())
def test_a_table_is_read_as_pandas_reads_it(folder, table):
    rows, form = table
    content = written(rows, **form)
    (folder / "t.csv").write_bytes(content)
    if form["encoding"] == "latin-1" and not content.isascii():
        with pytest.raises(DataError, match=r"t\.csv line \d+ is not UTF-8 text"):
            read_text_table(folder / "t.csv")
        return
    found = read_text_table(folder / "t.csv", lower_names=True)
    expected = oracle(content, **form)
    for column in ("path", "label", "patient"):
        assert [row.cells[column] for row in found.rows] == expected[column].str.strip().tolist()


@pytest.mark.slow
@QUICK
@given(tables())
def test_a_manifest_is_read_right_or_refused_with_its_place(folder, table):
    rows, form = table
    labels = [label for _, label, _ in rows]
    content = written(rows, **form)
    (folder / "t.csv").write_bytes(content)
    try:
        samples = read_manifest(folder / "t.csv", ManifestOptions())
    except DataError as error:
        reasons = {
            "is not UTF-8 text": form["encoding"] == "latin-1" and not content.isascii(),
            "has no label": any(is_missing(label) for label in labels),
            "for every sample": len(set(labels)) == 1 or set(labels) <= {"3", "3.0"},
        }
        assert [text for text, holds in reasons.items() if holds and text in str(error)]
        assert "line " in str(error) or "column label" in str(error)
        return
    ids, labels, patients = zip(*sorted(rows), strict=True)
    assert samples.ids == ids
    assert samples.patients == patients
    names = [samples.task.classes[target] for target in samples.targets]
    assert list(map(canonical_name, names)) == list(map(canonical_name, labels))
    assert not any(is_missing(name) for name in names)


@pytest.mark.slow
@QUICK
@given(st.text(alphabet='pathlbe,;\t"\n\r 1.ng\\/x', max_size=80), st.sampled_from((b"", b"\xff")))
def test_any_text_is_a_table_or_refused_in_one_line(folder, text, tail):
    (folder / "t.csv").write_bytes(b"path,label\n" + text.encode() + tail)
    try:
        read_manifest(folder / "t.csv", ManifestOptions())
    except DataError as error:
        assert "t.csv" in str(error) or "samples" in str(error)


@pytest.mark.slow
@settings(QUICK, max_examples=20)
@given(st.lists(st.sampled_from(("No Tumor", "no_tumor", "glioma")), min_size=8, max_size=8))
def test_no_manifest_makes_two_classes_of_two_spellings(folder, labels):
    registry = _registry()
    lines = [
        f'"{name}";"{label}";{k}'
        for k, (name, label) in enumerate(
            zip([n.replace('"', '""') for n in FILES], labels, strict=True)
        )
    ]
    (folder / "t.csv").write_text("\n".join(["path;label;patient", *lines]), encoding="utf-8")
    name, options = f"manifest:{folder / 't.csv'}", DataOptions()
    if {"No Tumor", "no_tumor"} <= set(labels):
        with pytest.raises(DataError, match="--rename 'no_tumor=No Tumor'"):
            open_dataset(name, registry, Workspace(folder), options)
        options = DataOptions(rename={"no_tumor": "No Tumor"})
    if len({canonical_name(label) for label in labels}) == 2:
        samples = open_dataset(name, registry, Workspace(folder), options).samples
        assert len(samples.task.classes) == 2


def _registry() -> Registry:
    import mritk_folders

    registry = Registry()
    registry.register(mritk_folders)
    return registry
