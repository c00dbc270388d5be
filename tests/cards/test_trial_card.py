"""The model card of a trial: facts from its file, limits named, names shown as text."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from mritk import (
    Classification,
    InputContract,
    Regression,
    Segmentation,
    Unlabelled,
    UsageError,
)
from mritk.cards.limits import limits_of
from mritk.cards.trial_card import trial_card
from mritk.protocol.stored import StoredProtocol
from mritk.protocol.words import protocol_words
from mritk.results.leaderboard import build_leaderboard

EVIL = 'a|b <script>alert("x")</script> `c` [d](http://e) *f*\n# g\n---\n![h](i)'


def section(card: str, heading: str) -> str:
    return re.search(rf"## {heading}\n\n(.*?)(?:\n\n## |\Z)", card, re.DOTALL)[1]


def front_of(card: str) -> dict:
    _, front, _ = card.split("---\n", 2)
    return yaml.safe_load(front)


def audit(**changes):
    """A verdict on the four test samples of ``make_record``."""
    verdict = {
        "audited": True,
        "findings": [],
        "clusters": 0,
        "samples_in_clusters": 0,
        "copies": "drop",
        "dropped": 0,
        "unused": 0,
        "test": 4,
        "clean": 4,
        "shared_with_validation": 0,
        "split": "0" * 64,
        "pretraining": [],
    }
    return {**verdict, **changes}


# -- the card ----------------------------------------------------------------------------------


def test_every_section_is_there_and_the_notice_comes_first(make_record):
    card = trial_card(make_record())
    headings = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert headings == [
        *("Model details", "Intended use", "Training and evaluation data", "Protocol", "Metrics"),
        *("Per class", "Calibration", "Limits", "Licences", "Cost", "Provenance"),
    ]
    assert card.index("**For research use only; not for clinical use.**") < card.index("## ")


def test_the_scores_are_those_of_the_stored_predictions(make_record):
    card = trial_card(make_record((0, 0, 1, 0)))
    assert "| accuracy ↑ | 0.750 |" in section(card, "Metrics")
    assert section(card, "Per class").splitlines()[2:] == [
        "| a | 2 | 1.000 | 0.500 |",
        "| b | 2 | 0.500 | 1.000 |",
    ]


def test_intervals_are_those_of_the_leaderboard(make_record):
    record = make_record((0, 1, 1, 0))
    rows = 40
    target = np.arange(rows) // 2 % 2
    record.predictions["test"] = replace(
        record.predictions["test"],
        **{name: [f"{name}{i // 2}" for i in range(rows)] for name in ("patient", "site")},
        id=[f"s{i}" for i in range(rows)],
        source=[""] * rows,
        target=target,
        score=np.eye(2, dtype=np.float32)[np.where(np.arange(rows) % 5, target, 1 - target)],
        unit=[],
    )
    (table,) = build_leaderboard([record]).tables
    cell = table.rows[0].cells["accuracy"]
    low, high = cell.interval.low, cell.interval.high
    assert low < cell.mean < high
    assert f"| accuracy ↑ | {cell.mean:.3f} | {low:.3f} to {high:.3f} |" in trial_card(record)


def test_where_there_is_no_interval_the_card_says_why(make_record):
    assert "| none: a class has only one patient" in trial_card(make_record())


def test_an_undefined_score_says_why(make_record):
    record = make_record((0, 0, 0, 0))
    card = trial_card(record)
    assert "| MCC ↑ | undefined: all targets or all predictions are of one class |" in card
    assert "matthews_correlation" not in front_of(card)["metrics"]


def test_the_hub_can_read_the_front_matter(make_record):
    told = {"licenses": {"weights": "CC BY-NC 4.0", "dataset": "CC BY 4.0"}}
    front = front_of(trial_card(make_record((0, 0, 1, 0), provenance=told)))
    assert front["license"] == "cc-by-nc-4.0"
    assert front["library_name"] == "mritk"
    assert {"mri", "brain", "research-only"} <= set(front["tags"])
    (model,) = front["model-index"]
    (result,) = model["results"]
    scores = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert scores["accuracy"] == 0.75
    assert result["dataset"]["split"] == "test"


def test_a_licence_without_a_name_on_the_hub_is_named_beside_it(make_record):
    front = front_of(trial_card(make_record(provenance={"licenses": {"weights": "Our terms"}})))
    assert (front["license"], front["license_name"]) == ("other", "Our terms")
    scratch = {"licenses": {"weights": "none: trained from scratch"}}
    assert "license" not in front_of(trial_card(make_record(provenance=scratch)))


def test_the_library_of_the_hub_reads_it(make_record):
    from huggingface_hub import ModelCard

    card = ModelCard(trial_card(make_record()))
    assert card.data.library_name == "mritk"
    assert {result.metric_type for result in card.data.eval_results} >= {"accuracy", "f1"}


def test_the_hub_is_told_every_score_of_a_segmentation(make_record):
    from huggingface_hub import ModelCard

    regions = {"whole": ("rim", "core"), "core": ("core",)}
    record = make_record(task=Segmentation(("background", "rim", "core"), regions))
    for part in record.predictions.values():
        part.cases, part.target = record.task.columns, np.zeros(len(part.id))
        part.score = np.tile([0.5, 0.25, 2.0, np.nan], (len(part.id), 1))
    front = front_of(trial_card(record))
    assert front["pipeline_tag"] == "image-segmentation"
    assert front["metrics"] == ["dice", "hd95"]
    found = ModelCard(trial_card(record)).data.eval_results
    assert {result.task_type for result in found} == {"image-segmentation"}
    told = [(one.metric_type, one.metric_name, one.metric_value) for one in found]
    assert told == [
        ("dice", "Dice", 0.375),
        ("dice", "Dice whole", 0.5),
        ("dice", "Dice core", 0.25),
        ("hd95", "HD95 (mm) whole", 2.0),
    ]


def test_a_name_from_a_plugin_is_text_everywhere(make_record):
    record = make_record(
        backbone=EVIL,
        dataset=EVIL,
        task=Classification((EVIL, "b")),
        protocol=EVIL,
        audit=audit(findings=[{"level": "leak", "kind": "x", "text": EVIL}], pretraining=[EVIL]),
        provenance={"licenses": {"weights": EVIL, "dataset": EVIL}, "plugins": {"dataset": EVIL}},
    )
    card = trial_card(record)
    body = card.split("---\n", 2)[2]
    assert "<script>" not in body
    assert not re.search(r"(?<!\\)!\[|(?<!\\)\]\(", body)
    assert not re.search(r"^# g", body, re.MULTILINE), "no line begins inside a name"
    for line in body.splitlines():
        if line.startswith("| a\\|b"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, "a table keeps its four columns"
    front = front_of(card)
    assert front["license_name"] == EVIL
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == EVIL


def test_an_older_file_lacks_licences_and_the_card_says_so(make_record):
    card = trial_card(make_record())
    assert "| weights | not stored | no licence stated" in section(card, "Licences")
    assert "| input | not stored |" in card
    assert "| train | 2 | not stored |" in section(card, "Training and evaluation data")


def test_patients_of_each_part(make_record):
    card = trial_card(make_record(provenance={"patients": {"train": 1, "val": 1, "test": 2}}))
    rows = section(card, "Training and evaluation data").splitlines()
    assert [row for row in rows if row.startswith("| t")] == [
        "| train | 2 | 1 |",
        "| test | 4 | 2 |",
    ]
    assert "Split by patient" in card
    assert "Split at image level (no patient ids)" in trial_card(make_record(patients=False))


def test_the_share_of_each_site_in_each_part(make_record):
    sites = {"train": {"away": 1, "home": 3}, "val": {"home": 1}, "test": {"away": 5, "home": 1}}
    told = section(
        trial_card(make_record(provenance={"sites": sites})), "Training and evaluation data"
    )
    assert "Sites: train away 25%, home 75%; val home 100%; test away 83%, home 17%." in told
    assert "Sites:" not in trial_card(make_record())


def test_a_regression_has_no_classes(make_record):
    record = make_record(task=Regression("years"))
    for part in record.predictions.values():
        part.target, part.score = part.target * 10.0, part.score[:, 1] * 10
    card = trial_card(record)
    assert "## Per class" not in card
    assert "| MAE ↓ | 0.000 |" in card
    assert front_of(card)["metrics"] == ["mae", "rmse", "r_squared"]
    assert "It predicts a value (years) for images like those of bands" in card


def test_a_trial_without_scores_has_no_limits_of_scores(make_record):
    assert limits_of(make_record(task=Unlabelled(), predictions={}, patients=False)) == []


def test_a_segmentation_of_volumes_is_called_so(make_record):
    record = make_record(
        task=Segmentation(("background", "rim")),
        protocol_json='{"image_size":224,"volume_size":32}',
        provenance={
            "input_contract": {**InputContract().as_dict(), "channels": 3, "spatial_dims": 3}
        },
    )
    for part in record.predictions.values():
        part.cases, part.target = record.task.columns, np.zeros(len(part.id))
    card = trial_card(record)
    assert "| outputs | label maps of rim |" in card
    assert "It predicts label maps of rim for volumes like those of bands" in card
    assert "volumes of 32 × 32 × 32 voxels" in section(card, "Protocol")
    assert "224" not in section(card, "Protocol")


def test_volumes_of_a_method_without_a_backbone_are_called_so(make_record):
    record = make_record(
        backbone="none", protocol_json='{"image_size":224}', provenance={"spatial_dims": 3}
    )
    card = trial_card(record)
    assert "It classifies volumes like those of bands" in card
    assert "volumes of their own size;" in section(card, "Protocol")
    assert "224" not in section(card, "Protocol")


def test_a_failed_trial_has_no_card(make_record):
    with pytest.raises(UsageError, match="is failed, so there is no model to describe"):
        trial_card(make_record(status="failed"))


def test_what_a_resumed_or_shared_trial_cost_is_not_the_whole(make_record):
    cost = {"seconds_fit": 3.0, "energy_joules": 4200.0}
    card = trial_card(make_record(cost=cost))
    assert "| GPU board energy (kJ) | 4.2 |" in card
    assert "resumed" not in card
    card = trial_card(make_record(cost={**cost, "energy_shared": 1.0, "resumed_after_epochs": 7.0}))
    assert "those after epoch 7" in card
    assert "the energy includes theirs" in card
    lanes = {"energy_shared": 1.0, "trials_at_once": 3.0}
    card = trial_card(make_record(cost={**cost, **lanes}))
    assert "Up to 3 trials shared the GPU; the energy is the part of this one." in card
    assert "the energy includes theirs" not in card


# -- the protocol ---------------------------------------------------------------------------------


def test_a_protocol_in_words():
    stage = {"epochs": 1, "train_last": 0, "optimizer": "adamw", "learning_rate": 0.001}
    protocol = {
        "method": "finetune",
        "image_size": 224,
        "precision": "auto",
        "normalise_again": ["one", "other"],
        "split": {"scheme": "kfold", "folds": 5, "copies": "keep", "shots": 10},
        "selection": {"on": "val", "by": "loss"},
        "parameters": {
            "batch_size": 32,
            "mixup": 0.2,
            "stages": [stage, {**stage, "tune": "lora", "restart_selection": True}],
        },
    }
    text = " ".join(protocol_words(StoredProtocol(protocol), "kfold"))
    for told in (
        "Method finetune; images of 224 × 224 px",
        "each of 5 folds is the test set once; duplicates may be in different splits; 10 training",
        "the best loss on the validation set",
        "Stage 1: the head only, 1 epoch at most, adamw, learning rate 0.001",
        "with low-rank updates (LoRA)",
        "weight decay 0; checkpoints of earlier stages are discarded.",
        "Pixels are normalised twice for one, other.",
        "Batch size 32.",
        "Other parameters: mixup = 0.2.",
    ):
        assert told in text
    assert protocol_words(StoredProtocol(), "own"), "what is not known does not stop it"
    own = {"parameters": {"stages": 3, "penalties": "none"}}  # of a method by somebody else
    assert protocol_words(StoredProtocol(own), "own")[-1] == (
        "Other parameters: penalties = none, stages = 3."
    )
    probe = {"parameters": {"penalties": [0.1, 1.0]}}
    assert protocol_words(StoredProtocol(probe), "own")[-1] == "L2 penalty selected from 0.1, 1."
    sized = StoredProtocol({"image_size": 224, "volume_size": 32})
    (of_both, *_), (of_images, *_) = (
        protocol_words(sized, "own", volumes=v) for v in (None, False)
    )
    assert "images of 224 × 224 px, or volumes of 32 × 32 × 32 voxels;" in of_both
    assert "images of 224 × 224 px;" in of_images
    one_size = StoredProtocol({"image_size": 224})
    (with_backbone, *_), (own, *_), (unknown, *_) = (
        protocol_words(one_size, "own", volumes=v, own_model=o)
        for v, o in ((True, False), (True, True), (None, True))
    )
    assert "unknown; volumes of the native size of the backbone;" in with_backbone
    assert "unknown; volumes of their own size;" in own, "no image was 224 pixels wide"
    assert "images of 224 × 224 px, or volumes of their own size;" in unknown


def test_the_protocol_of_a_card_is_that_of_the_file(make_record):
    record = make_record()
    assert json.loads(record.protocol_json)["parameters"]["batch_size"] == 16
    assert "Batch size 16" in section(trial_card(record), "Protocol")
