"""One function per finding: from trials to a table in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from tabulate import tabulate

from benchmarks.findings.numbers import difference, in_points, means
from benchmarks.findings.trials import Part, Trials, scored
from mritk.errors import Unavailable

PUBLIC, PHANTOM = "folder:brain-tumor-3264", "phantom"
PRETRAINED, SCRATCH = "efficientnet_lite0@imagenet", "efficientnet_lite0@scratch"
KEPT, DROPPED = "quick[copies=keep]", "quick[copies=drop]"
FOLDS = "phantom_folds"
PARTS: Mapping[Part, str] = {
    "all": "all",
    "copied": "with a copy in training as given",
    "clean": "without one",
}
CELLS = {
    "replica": "replica_short[copies=keep, validation=test]",
    "selected on a validation part": "replica_short[copies=keep, validation=drawn]",
    "copies dropped": "replica_short[copies=drop, validation=test]",
    "both": "replica_short[copies=drop, validation=drawn]",
    "corrected": "corrected_short",
}
SHOTS, SIZES = (5, 10, 15, 20, 40, 80), (32, 64, 96, 128, 160, 224)


def leak(trials: Trials) -> str:
    """What copies of test images in training buy, by part of the test images."""
    rows = []
    for backbone, part in product((PRETRAINED, SCRATCH), PARTS):
        kept, dropped = (
            scored(trials.of(PUBLIC, name, backbone), part=part) for name in (KEPT, DROPPED)
        )
        rows.append(
            {
                "backbone": backbone,
                "test images": f"{PARTS[part]} ({len(kept[0].target)})",
                "copies kept": means({"kept": kept})["kept"],
                "copies dropped": means({"dropped": dropped})["dropped"],
                "bought": in_points(difference(kept, dropped)),
            }
        )
    return _table(rows)


def pretraining(trials: Trials) -> str:
    """What ImageNet's weights are worth on each set."""
    rows = []
    settings: Sequence[tuple[str, str, str, Part]] = (
        ("phantom, patients apart", PHANTOM, FOLDS, "all"),
        ("public set, copies kept", PUBLIC, KEPT, "all"),
        ("public set, copies dropped", PUBLIC, DROPPED, "all"),
        ("public set, images without a copy", PUBLIC, DROPPED, "clean"),
    )
    for label, dataset, protocol, part in settings:
        pretrained, scratch = (
            scored(trials.of(dataset, protocol, backbone), part=part)
            for backbone in (PRETRAINED, SCRATCH)
        )
        rows.append(
            {
                "data": label,
                "@imagenet": means({"": pretrained})[""],
                "@scratch": means({"": scratch})[""],
                "difference": in_points(difference(pretrained, scratch)),
            }
        )
    return _table(rows)


def flaws(trials: Trials) -> str:
    """What each flaw of the published protocol is worth."""
    found = {label: scored(trials.of(PUBLIC, name, PRETRAINED)) for label, name in CELLS.items()}
    estimates = means(found)
    return _table(
        [
            {
                "protocol": label,
                "balanced accuracy": estimates[label],
                "replica minus this": "–"
                if label == "replica"
                else in_points(difference(found["replica"], rows)),
            }
            for label, rows in found.items()
        ]
    )


def intervals(trials: Trials) -> str:
    """How wide intervals are if images are resampled, or what belongs together."""
    rows = []
    for label, dataset, protocol, backbone in (
        ("phantom, patients", PHANTOM, FOLDS, PRETRAINED),
        ("phantom, patients", PHANTOM, FOLDS, SCRATCH),
        ("public set, groups of copies", PUBLIC, DROPPED, PRETRAINED),
        ("public set, groups of copies", PUBLIC, DROPPED, SCRATCH),
    ):
        chosen = [t for t in trials.of(dataset, protocol, backbone) if t.seed == 0]
        by_image = means({"": scored(chosen, unit="image")})[""]
        by_group = means({"": scored(chosen)})[""]
        rows.append(
            {
                "data, what is resampled": label,
                "backbone": backbone,
                "images resampled": by_image,
                "what belongs together resampled": by_group,
                "ratio of widths": f"{by_group.interval.width / by_image.interval.width:.2f}",
            }
        )
    return _table(rows)


def shots(trials: Trials) -> str:
    """The score of a linear probe on k images per class."""
    protocols = {k: f"linear_probe[repeats=10, shots={k}]" for k in SHOTS}
    return _curve_table(trials, "images per class", protocols)


def resolution(trials: Trials) -> str:
    """The score of a linear probe on images of each side."""
    protocols = {side: f"linear_probe[image_size={side}]" for side in SIZES}
    return _curve_table(trials, "side (px)", protocols)


def _curve_table(trials: Trials, heading: str, protocols: Mapping[int, str]) -> str:
    if not any(protocol in protocols.values() for _, protocol, _ in trials.found):
        raise Unavailable(f"no finished trial under {', '.join(protocols.values())}")
    rows = []
    for value, protocol in protocols.items():
        row: dict[str, object] = {heading: value}
        for dataset, backbone in product((PUBLIC, PHANTOM), (PRETRAINED, SCRATCH)):
            where = "public set" if dataset == PUBLIC else "phantom"
            column = f"{where}, @{backbone.partition('@')[2]}"
            there = (dataset, protocol, backbone) in trials.found
            row[column] = (
                means({"": scored(trials.of(dataset, protocol, backbone))})[""] if there else "–"
            )
        rows.append(row)
    return _table(rows)


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    texts = [{key: str(value) for key, value in row.items()} for row in rows]
    return tabulate(texts, headers="keys", tablefmt="github", disable_numparse=True)


SECTIONS: Mapping[str, Callable[[Trials], str]] = {
    "leak": leak,
    "flaws": flaws,
    "pretraining": pretraining,
    "intervals": intervals,
    "shots": shots,
    "resolution": resolution,
}
