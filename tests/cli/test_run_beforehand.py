"""``mritk run`` before it trains: what it refuses, checks and tells."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import mritk
from mritk.cli.plan_text import tell_data
from mritk.store.folder import ResultsFolder


@pytest.mark.slow
def test_a_metric_that_no_state_can_have_on_the_validation_part_is_refused_before_training(
    mritk, toy, fast_protocol, tmp_path
):
    """R² has no value where all ages are equal; patients are single images."""
    parts = '["test" if i < 30 else "train" if i % 3 else "val" for i in range(90)]'
    text = toy.read_text().replace(
        "        patients=", f"        splits={parts},\n        patients="
    )
    text = text.replace("Classification(CLASSES)", "Regression('years')")
    text = text.replace("import Architecture, Classification", "import Architecture, Regression")
    text = text.replace("targets=targets", "targets=targets.astype(float)")
    toy.write_text(text.replace("-{i // 3:02d}", "-{i:02d}"))
    protocol = tmp_path / "chosen.toml"
    refused = (
        "chosen selects the checkpoint by r2, which is undefined on the validation set of bands"
    )
    for by, on, code in (("r2", "val", 2), ("r2", "last", 0), ("mae", "val", 0)):
        protocol.write_text(f"{fast_protocol.read_text()}\n[selection]\nby = '{by}'\non = '{on}'")
        ended = mritk("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", protocol, "-n")
        assert ended.code == code, ended.err
        assert (refused in ended.err) == bool(code)


@pytest.mark.slow
def test_the_pixels_that_a_protocol_asks_for_reach_the_trial(run_toy, fast_protocol, tmp_path):
    """Normalised as ImageNet's, then by the network's own 0.5 as if of 0 to 255; and resized."""
    keys = 'normalisation = "imagenet"\nnormalise_again = ["tiny"]\nresize = "nearest"\n'
    (tmp_path / "forced.toml").write_text(keys + fast_protocol.read_text())
    assert run_toy("--seeds", 1, "--protocol", tmp_path / "forced.toml").code == 0
    contracts = {
        trial.protocol: trial.provenance["input_contract"]
        for trial in ResultsFolder(tmp_path / "results").trials()
    }
    fast, forced = contracts["fast"], contracts["forced"]
    assert (fast["interpolation"], forced["interpolation"]) == ("bilinear", "nearest")
    assert fast["mean"] == fast["std"] == [0.5] * 3
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert forced["mean"] == pytest.approx(
        [m + 255 * s * 0.5 for m, s in zip(mean, std, strict=True)]
    )
    assert forced["std"] == pytest.approx([255 * s * 0.5 for s in std])


def test_an_architecture_to_normalise_twice_that_nobody_provides_is_refused(
    run_toy, fast_protocol, tmp_path
):
    slip = f'normalise_again = ["tinny"]\n{fast_protocol.read_text()}'
    (tmp_path / "slip.toml").write_text(slip)
    ended = run_toy("-n", "--protocol", tmp_path / "slip.toml")
    assert ended.code == 2
    assert "unknown backbone 'tinny" in ended.err


def test_check_says_what_is_missing_and_trains_nothing(run_toy, tmp_path):
    ended = run_toy("--check")
    assert ended.code == 0
    assert "90 samples of 30 patients" in ended.out
    assert not (tmp_path / "results").exists()
    ended = run_toy("--check", "-d", "folder:not-there", "--json")
    assert ended.code == 4
    rows = {row["name"]: row for row in json.loads(ended.out)}
    assert rows["folder:not-there"]["state"] == "unavailable"
    assert "no folder not-there" in rows["folder:not-there"]["reason"]
    assert rows["tiny"]["state"] == "ready"


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (
            mritk.Classification(("a", "b")),
            "; class proportions differ from the total by at most 0 points (fold 0)",
        ),
        (
            mritk.Regression("years"),
            "; proportions of targets up to any value differ from the total by at most 0 points "
            "(fold 0)",
        ),
        (mritk.Segmentation(("background", "core")), ""),
        (mritk.Unlabelled(), ""),
    ],
    ids=["classes", "numbers", "label maps", "nothing"],
)
def test_how_folds_differ_from_the_total_is_told_in_words_of_the_target(task, told, capsys):
    samples = mritk.Samples(
        [f"s{i}" for i in range(8)],
        np.zeros(8, np.int64),
        task,
        lambda i: np.zeros((2, 2), np.uint8),
        read_target=(lambda i: np.eye(2, dtype=np.uint8)) if task.has_target_maps else None,
    )
    parts = np.split(np.arange(8), 4)
    folds = [SimpleNamespace(test=p, train=p, parts={"test": p}) for p in parts]
    dataset = SimpleNamespace(samples=samples, folds=folds, record=SimpleNamespace(name="some"))
    protocol = SimpleNamespace(name="fast", parameters=None)
    trial = SimpleNamespace(dataset=dataset, scheme="kfold", protocol=protocol)
    tell_data(SimpleNamespace(audits={}, trials=[trial]))
    assert f"all folds: test sets of 2 to 2 samples{told}\n" in capsys.readouterr().err


def test_a_benchmark_file_tells_how_to_get_what_is_not_there(mritk, tmp_path):
    benchmark = tmp_path / "study.toml"
    benchmark.write_text(
        'datasets = ["folder:mine+folder:theirs"]\n'
        "[data.instructions]\n"
        '"folder:theirs" = "get it from https://example.org"\n'
    )
    asked = mritk("run", benchmark, "--check", "--json")
    assert asked.code == 4
    reasons = {row["name"]: row.get("reason", "") for row in json.loads(asked.out)}
    assert reasons["folder:theirs"].startswith("no folder theirs; ")
    assert reasons["folder:theirs"].endswith("; get it from https://example.org")
    assert "example.org" not in reasons["folder:mine"]

    begun = mritk("run", benchmark, "-d", "folder:theirs", "-o", tmp_path / "results")
    assert begun.code == 4
    assert "no folder theirs; " in begun.err
    assert "get it from https://example.org" in begun.err


def test_a_dry_run_decodes_nothing_to_the_disk(run_toy, own_home):
    """A slip such as ``image_size = 20000`` would fill it."""
    assert run_toy("--dry-run").code == 0
    assert list((own_home / "decoded").iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_images_that_do_not_fit_on_the_disk_are_refused_in_one_line(
    run_toy, own_home, fast_protocol, options, monkeypatch
):
    text = fast_protocol.read_text()
    fast_protocol.write_text(text.replace("image_size = 32", "image_size = 16384"))
    nearly_full = SimpleNamespace(free=10**9)
    monkeypatch.setattr("mritk.images.decoded_size.shutil.disk_usage", lambda _: nearly_full)
    ended = run_toy("--seeds", 1, *options)
    assert ended.code == 2
    assert "not enough space for 24.2 GB of decoded images (16384 px)" in ended.err
    assert "Traceback" not in ended.err
    assert list((own_home / "decoded").iterdir()) == []
