"""A program of another environment is trained, scored, stored and ranked like any method."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest

from mritk.method import Method
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.testing import check_method
from mritk_external.contract import fit_external
from mritk_external.recipe import ExternalRecipe
from tests.conftest import TOY_PLUGIN
from tests.plugins.external.conftest import NEAREST_MEAN, stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="uses programs for POSIX shells"),
]


def installed():
    return sorted((one.metadata["Name"], one.version) for one in distributions())


def test_a_program_is_trained_scored_and_stored_with_its_lock(run, mritk, tmp_path):
    before = installed()
    ended = run("--seeds", 2)
    assert ended.code == 0, ended.err
    assert installed() == before  # nothing of the program comes into this environment
    records = list(ResultsFolder(tmp_path / "results").trials())
    assert len(records) == 2
    for record in records:
        test = record.predictions["test"]
        assert (test.score.argmax(axis=1) == test.target).mean() > 0.9
        assert np.exp(test.score).sum(axis=1) == pytest.approx(1, abs=1e-3)
        assert [epoch.epoch for epoch in record.history] == [1, 2, 3]
        assert record.history[1].train_loss == 0.5
        assert record.history[0].extra == {"cases": len(record.splits["train"])}
        assert record.notes["entrant"] == "nearest_mean"
        lock = record.provenance["external"]["nearest_mean"]
        assert lock["environment"]["packages"]["numpy"] == np.__version__
        assert lock["files"] == {
            "nearest_mean.py": hashlib.sha256(NEAREST_MEAN.encode()).hexdigest()
        }
    assert not list((tmp_path / "results").glob("checkpoints/*"))
    table = mritk("leaderboard", tmp_path / "results")
    assert table.code == 0
    assert "external" in table.out


# Notes the digests of all files that it is told of, or that lie in a folder it may use.
SPY = """
import hashlib
def spy(*folders):
    found = sorted(
        hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders for path in Path(folder).rglob("*") if path.is_file()
    )
    return found, sorted(case["id"] for case in job["cases"])
def pixels_of(case):
    return hashlib.sha256(Path(case["files"]["image"]).read_bytes()).hexdigest()
seen = spy(Path(job["output"]).parent, job["model"], Path.cwd())
Path("SEEN").with_name(f"seen-{step}-{len(list(Path('SEEN').parent.glob('seen-*')))}").write_text(
    json.dumps({"step": step, "files": seen[0], "ids": seen[1], "targets": [
        case.get("target") for case in job["cases"]], "keys": sorted(job["cases"][0]),
        "in order": [pixels_of(case) for case in job["cases"]]})
)
"""


def test_no_test_sample_is_within_reach_during_training(run, program, tmp_path):
    text = NEAREST_MEAN.replace(
        "\n\ndef pixels", SPY.replace("SEEN", f"{tmp_path}/x") + "\n\ndef pixels"
    )
    program.write_text(text)
    assert run().code == 0
    record = stored(tmp_path / "results")
    seen = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("seen-*"))]
    (train,) = (one for one in seen if one["step"] == "train")
    assert train["ids"] == sorted(record.splits["train"] + record.splits["val"])
    assert set(train["targets"]) == {"top", "middle", "bottom"}
    # Every file of training is of a sample of training or validation, by its bytes.
    namespace: dict = {}
    exec(TOY_PLUGIN, namespace)
    samples = namespace["open_bands"](None)
    images = {}
    for row, name in enumerate(samples.ids):
        images[digest_of_png(samples.read(row), tmp_path)] = name
    found = [images[one] for one in train["files"] if one in images]
    assert sorted(found) == train["ids"]
    assert not set(found) & set(record.splits["test"])
    asked = [one for one in seen if one["step"] == "predict"]
    for one, part in zip(asked, ("val", "test"), strict=True):
        files = [images[digest] for digest in one["files"] if digest in images]
        assert sorted(files) == sorted(record.splits[part])
        # Neither ids nor their order tell what is to be predicted.
        assert one["ids"] == [f"case{number:05d}" for number in range(len(files))]
        assert [images[digest] for digest in one["in order"]] != sorted(files)
        assert set(one["targets"]) == {None}
        assert one["keys"] == ["files", "id", "name", "part", "shape", "spacing"]


def digest_of_png(image, folder):
    from PIL import Image

    path = folder / "one.png"
    Image.fromarray(image).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


FAILURES = {
    "crash": (
        ('if step == "train":', 'if step == "train":\n    raise ValueError("no such class")'),
        "nearest_mean ended with exit code 1 after",
        "ValueError: no such class",
    ),
    "hang": (
        ('if step == "train":', 'import time; print("began", flush=True); time.sleep(60)\nif 1:'),
        "nearest_mean gave no sign of life for 2.4 s and was ended: began",
        "its log: ",
    ),
    "too few": (
        ('(output / "predictions', 'found.popitem(); (output / "predictions'),
        "nearest_mean predicted ",
        " cases; missing: image-",
    ),
    "too many": (
        ('(output / "predictions', 'found["another"] = [0, 0, 1]; (output / "predictions'),
        " cases, but was asked ",
        "; unknown: another",
    ),
    "nothing": (
        (
            '(output / "predictions',
            '0 and (output / "predictions',
        ),
        "nearest_mean wrote no predictions.json",
        "",
    ),
    "another number of classes": (
        ("(weights / weights.sum()).tolist()", "[0.5, 0.5]"),
        "probabilities must be 3 finite numbers; got [0.5, 0.5]",
        "nearest_mean, case image-",
    ),
    "a case twice": (
        (
            'json.dumps({"probabilities": found})',
            'json.dumps({"probabilities": found}).replace("}}", \', "x": 1, "x": 2}}\')',
        ),
        "predictions.json cannot be read: a key comes twice",
        "nearest_mean",
    ),
    "more than single precision holds": (
        ("(weights / weights.sum()).tolist()", "[1e39, 0, 0]"),
        "probabilities must be 3 finite numbers; got [1e+39, 0, 0]",
        "nearest_mean, case image-",
    ),
    "no probabilities": (
        ("(weights / weights.sum()).tolist()", "[1, 1, 1]"),
        "probabilities must not be negative and add up to 1; got [1, 1, 1]",
        "nearest_mean, case image-",
    ),
}


@pytest.mark.parametrize(
    "line", ['{"epoch": 1e999}', '{"epoch": 0}', "[" * 100_000, '{"epoch": 1, "train_loss": []}']
)
def test_a_strange_line_of_the_log_is_no_epoch(line):
    from mritk.external import epoch_of

    assert epoch_of(f"mritk: {line}") is None


@pytest.mark.parametrize("case", FAILURES)
def test_what_goes_wrong_is_one_line_and_a_stored_failure(run, program, tmp_path, case):
    (old, new), first, second = FAILURES[case]
    assert NEAREST_MEAN.count(old) == 1
    program.write_text(NEAREST_MEAN.replace(old, new))
    ended = run(more="silent_minutes = 0.04\n" if case == "hang" else "")
    assert ended.code == 3
    told = [line for line in ended.err.splitlines() if first in line]
    assert told, ended.err
    assert second in told[-1]
    record = stored(tmp_path / "results")
    assert record.status == "failed"
    assert record.failure.type == "ProgramFailed"
    assert first in record.failure.message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('environment = "/nowhere/env"\n', "there is no Python at /nowhere/env; create one with"),
        ('digest = "0123"\n', "nearest_mean is not what the protocol wants: its lock has digest"),
        (
            'version = "sha256:0123456789ab"\n',
            "nearest_mean is not the version sha256:0123456789ab",
        ),
    ],
    ids=["missing", "wrong", "another version"],
)
def test_a_missing_or_wrong_environment_is_one_line_and_a_stored_failure(
    run, tmp_path, more, message
):
    ended = run(more=more)
    assert ended.code in (3, 4)
    assert message in ended.err
    assert message in stored(tmp_path / "results").failure.message


def test_it_keeps_the_promises_of_methods(program):
    method = Method("external", fit_external, ExternalRecipe, **FIELDS)
    own = ExternalRecipe(
        "nearest_mean", program=("python", str(program)), settings={"sharpness": 50.0}
    )
    check_method(method, own)


FIELDS = {"uses_backbone": False, "uses_augmentation": False, "tasks": ("classification",)}


def test_a_run_may_take_a_day_unless_the_protocol_says_otherwise():
    own = ExternalRecipe("own", program=("python", "own.py"))
    assert (own.hours, own.silent_minutes) == (24, 0)


def test_where_a_program_is_does_not_change_a_fingerprint(protocol, tmp_path):
    from mritk.study.benchmark import find_protocol

    registry = Registry.load(environ={})
    first = find_protocol(str(protocol()), registry)
    text = Path(protocol()).read_text()
    moved = tmp_path / "moved.toml"
    moved.write_text(text.replace("nearest_mean.py", "other.py") + 'environment = "/opt/env"\n')
    assert find_protocol(str(moved), registry).fingerprint == first.fingerprint
    for more in ('version = "2"\n', f'digest = "{64 * "0"}"\n'):
        moved.write_text(text + more)
        assert find_protocol(str(moved), registry).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("name = 3\n", "name"),
        ('name = "x"\nprogram = ["x"]\nhour = 3\n', "unknown key 'hour'"),
        ('name = "x"\nprogram = ["x"]\nhours = -1\n', "hours must be 0, for any time, or more"),
        ('name = "x"\n', "program must be the words of a command"),
        ('name = "x"\nenvironment = "/opt/env"\n', "program must be the words of a command"),
        ('name = "x"\nprogram = ["x"]\nversion = "sha256:1"\n', "version must be sha256: and 12"),
        (
            'name = "x"\nprogram = ["x"]\nenvironment = "conda:own"\n',
            "environment 'conda:own' names none; write here, python:PATH",
        ),
        ('name = "a b"\nprogram = ["x"]\n', "name must consist of letters, digits"),
    ],
)
def test_a_protocol_with_a_mistake_is_refused(mritk, tmp_path, more, message):
    path = tmp_path / "own.toml"
    path.write_text(f'method = "external"\n[parameters]\n{more}')
    ended = mritk("run", "-d", "phantom", "--protocol", path, "-n", "-o", tmp_path / "r")
    assert ended.code == 2
    assert message in ended.err
    assert str(path) in ended.err
