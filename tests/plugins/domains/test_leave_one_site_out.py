"""From data with sites to a table: each site is left out once, and rows are compared in pairs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mritk.store.folder import ResultsFolder
from tests.plugins.domains.conftest import EACH, SOURCES, UNSEEN, draw_sites

SITES = {*SOURCES, *UNSEEN}
SEEDS = (0, 1)
PROTOCOL = """
method = "domain_finetune"
image_size = 12
augmentation = "none"

[split]
scheme = "site"

[parameters]
regulariser = "{regulariser}"
batch_size = 24
latent_hidden = 16

[[parameters.stages]]
epochs = 3
learning_rate = 1e-2
"""


@pytest.fixture
def table_of_sites(tmp_path, monkeypatch):
    """A manifest with the columns path, label, patient and site, and two protocols beside it."""
    samples = draw_sites()
    lines = ["path,label,patient,site"]
    for row, (name, site) in enumerate(zip(samples.ids, samples.sites, strict=True)):
        Image.fromarray(samples.read(row)).save(tmp_path / f"{name}.png")
        label = samples.task.classes[samples.targets[row]]
        lines.append(f"{name}.png,{label},p{row // 2},{site}")
    (tmp_path / "sites.csv").write_text("\n".join(lines) + "\n")
    for regulariser in ("erm", "lddg"):
        text = PROTOCOL.format(regulariser=regulariser)
        (tmp_path / f"{regulariser}.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return samples


def require_each_site_left_out_once(records, sites, seeds) -> None:
    """Test samples are those of one site, and training and validation see the others only."""
    left_out = []
    for record in records:
        assert record.status == "finished"
        (unseen,) = set(record.predictions["test"].site)
        assert set(record.predictions["val"].site) <= sites - {unseen}
        assert set(record.provenance["sites"]["train"]) == sites - {unseen}
        assert set(record.notes["source_sites"]) == sites - {unseen}
        assert record.stored_protocol.selection == {"on": "val", "by": "loss"}
        history = [epoch.val_loss for epoch in record.history]
        assert record.notes["selected_epoch"] == int(np.argmin(history)) + 1
        left_out.append((unseen, record.seed, record.stored_protocol.parameters["regulariser"]))
    assert len(left_out) == len(set(left_out)) == len(sites) * len(seeds) * 2


@pytest.mark.slow
@pytest.mark.usefixtures("no_near_copies")
def test_a_table_with_a_column_of_sites(table_of_sites, mritk, tmp_path):
    asked = ["-b", "plain_cnn", "-d", "manifest:sites.csv", "--device", "cpu"]
    asked += ["--protocol", "erm.toml", "--protocol", "lddg.toml", "--seeds", str(len(SEEDS))]
    ended = mritk("run", *asked, "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    records = list(ResultsFolder(tmp_path / "results").trials())
    require_each_site_left_out_once(records, SITES, SEEDS)
    (table,) = json.loads(mritk("leaderboard", tmp_path / "results", "--json").out)["tables"]
    assert {row["protocol"] for row in table["rows"]} == {"erm", "lddg"}
    assert all(row["trials"] == len(SITES) * len(SEEDS) for row in table["rows"])
    (pair,) = table["comparisons"]["balanced_accuracy"]
    assert 0 < pair["p"] <= 1
    assert sum(len(r.predictions["test"].id) for r in records) == 4 * EACH * len(SEEDS) * 2


@pytest.mark.slow
def test_label_maps_of_the_phantoms_scanners(mritk, tmp_path):
    """Dice of each region, with its interval, and rows that are compared in pairs."""
    pytest.importorskip("nilearn", reason="the phantom's anatomy is shipped by nilearn")
    asked = ["-d", "phantom3d,target=mask,size=32,patients=24", "--device", "cpu"]
    asked += ["--protocol", "domains_unet_erm", "--vary", "parameters.regulariser=erm,lddg"]
    # With next to no weight of the background, plain training finds tumours everywhere at once.
    small = ("epochs=1", "width=2", "latent_hidden=4", "batch_size=3", "background_weight=1e-4")
    for setting in ("volume_size=16", *(f"parameters.{setting}" for setting in small)):
        asked += ["--vary", setting]
    ended = mritk("run", *asked, "--seeds", "1", "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    records = ResultsFolder(tmp_path / "results").trials()
    sites = {f"site-{letter}" for letter in "abcd"}
    require_each_site_left_out_once(records, sites, SEEDS[:1])
    call = ("leaderboard", tmp_path / "results", "--json")
    for metric in ("dice", "dice[WT]", "dice[TC]", "dice[ET]"):
        (table,) = json.loads(mritk(*call, "--metric", metric).out)["tables"]
        rows = {"lddg" if "lddg" in row["protocol"] else "erm": row for row in table["rows"]}
        dice = rows["erm"]["metrics"][metric]
        assert 0 < dice["interval"]["low"] < dice["mean"] < dice["interval"]["high"] < 1
        (pair,) = table["comparisons"][metric]
        assert 0 <= pair["p"] <= 1
