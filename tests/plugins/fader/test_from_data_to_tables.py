"""With and without an adversary, and with test images: the class and the site, in tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mritk.store.folder import ResultsFolder

PLUGIN = """
from dataclasses import replace

from mritk import Dataset, hookimpl
from tests.plugins.fader.conftest import COUNT, draw_shapes

PARTS = ["train"] * 120 + ["val"] * 20 + ["test"] * (COUNT - 140)


@hookimpl
def mritk_datasets():
    yield Dataset("shapes", lambda workspace: replace(draw_shapes(), splits=PARTS), summary="two")
"""
PROTOCOL = """
method = "fader"
image_size = 16
augmentation = "none"

[split]
scheme = "official"
unlabelled = "{unlabelled}"

[parameters]
epochs = {epochs}
width = 8
levels = 2
batch_size = 24
dropout = 0.2
learning_rate = 2e-3
adversary_rate = 2e-3
adversary_weight = {weight}
"""
RECIPES = {"plain": ("train", 40, 0.0), "faded": ("train", 40, 0.2), "all": ("all", 1, 0.2)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with a trial of each recipe, embeddings kept."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("fader")
    (folder / "shapes.py").write_text(PLUGIN)
    asked = ["run", "-p", str(folder / "shapes.py"), "-d", "shapes", "--seeds", "1"]
    for name, (unlabelled, epochs, weight) in RECIPES.items():
        text = PROTOCOL.format(unlabelled=unlabelled, epochs=epochs, weight=weight)
        (folder / f"{name}.toml").write_text(text)
        asked += ["--protocol", str(folder / f"{name}.toml")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mritk.audit.copies._near", lambda *arguments: iter(()))
        asked += ["--keep-embeddings", "--device", "cpu", "-o", str(folder / "results")]
        assert main(asked) == 0
    return folder / "results"


@pytest.mark.slow
def test_the_cores_probe_tells_the_site_less_well_with_the_class_beside_it(results, mritk):
    tables = {}
    for question in ((), ("--probe", "site")):
        call = ("leaderboard", results, "--json", "--given-these-models", *question)
        (table,) = json.loads(mritk(*call).out)["tables"]
        rows = {
            row["protocol"]: row["metrics"]["balanced_accuracy"]["mean"] for row in table["rows"]
        }
        assert set(rows) == set(RECIPES), "one table, whatever the autoencoder has seen"
        tables["site" if question else "class"] = rows, table["comparisons"]["balanced_accuracy"]
    (scores, _), (sites, pairs) = tables["class"], tables["site"]
    assert sites["plain"] - sites["faded"] > 0.15
    compared = {(p["first"].split(", ")[-1], p["second"].split(", ")[-1]): p["p"] for p in pairs}
    assert compared.get(("plain", "faded"), compared.get(("faded", "plain"))) < 0.05
    assert scores["faded"] > 0.75


@pytest.mark.slow
def test_rows_that_saw_test_images_are_marked_in_every_cell(results, mritk):
    records = {record.protocol: record for record in ResultsFolder(results).trials()}
    assert records["all"].notes["autoencoder_samples"] == 240
    assert records["faded"].notes["autoencoder_samples"] == 120
    for record in records.values():
        assert np.asarray(record.predictions["test"].embedding).shape == (100, 16)
    for question in ((), ("--probe", "site")):
        ended = mritk("leaderboard", results, *question)
        lines = {n: next(x for x in ended.out.splitlines() if f"| {n} " in x) for n in RECIPES}
        assert "◊" in lines["all"]
        assert "◊" not in lines["plain"] + lines["faded"]
        assert "Trained on the images of the test set too, without their labels." in ended.out
