"""One function per finding: from trials to a table in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from tabulate import tabulate

from benchmarks.findings.numbers import difference, in_points, means
from benchmarks.findings.trials import Part, Trials, scored, support, withheld
from mritk.errors import Unavailable
from mritk.results.clean_support import ALL, LEAST_UNITS
from mritk.store.trial_file import TrialRecord
from mritk.tasks.classification import Classification

PUBLIC, PHANTOM = "folder:brain-tumor-3264", "phantom"
PRETRAINED, SCRATCH = "efficientnet_lite0@imagenet", "efficientnet_lite0@scratch"
KEPT, DROPPED = "quick[copies=keep]", "quick[copies=drop]"
FOLDS = "phantom_folds"
PARTS: Mapping[Part, str] = {
    "all": "all",
    "copied": "with a copy in training as given",
    "clean": "without one",
}
COPIED_OR_NOT: Sequence[Part] = ("copied", "clean")
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
        kept, dropped = (trials.of(PUBLIC, name, backbone) for name in (KEPT, DROPPED))
        rows.append(
            {
                "backbone": backbone,
                "test images": f"{PARTS[part]} ({support(kept[0], part).counts[ALL][0]})",
                **_bought(kept, dropped, part, withheld(kept[0], part)),
            }
        )
    return _table(rows)


def leak_classes(trials: Trials) -> str:
    """The same class by class: what copies buy for the images of a class that have none."""
    rows = []
    for backbone in (PRETRAINED, SCRATCH):
        kept, dropped = (trials.of(PUBLIC, name, backbone) for name in (KEPT, DROPPED))
        assert isinstance(kept[0].task, Classification)
        for (label, name), part in product(enumerate(kept[0].task.classes), COPIED_OR_NOT):
            samples, units = support(kept[0], part).counts.get(label, (0, 0))
            short = "" if units >= LEAST_UNITS else f"{units} of {LEAST_UNITS} groups"
            rows.append(
                {
                    "backbone": backbone,
                    "class": name,
                    "test images": f"{PARTS[part]} ({samples}, {units} groups)",
                    **_bought(kept, dropped, part, short, label),
                }
            )
    return _table(rows)


def _bought(
    kept: Sequence[TrialRecord],
    dropped: Sequence[TrialRecord],
    part: Part,
    short: str,
    label: int | None = None,
) -> Mapping[str, object]:
    """Return scores with and without copies, and their difference; or why there are too few."""
    if short:
        return dict.fromkeys(("copies kept", "copies dropped", "bought"), f"– ({short})")
    with_copies, without = (scored(found, part=part, label=label) for found in (kept, dropped))
    return {
        "copies kept": means({"": with_copies})[""],
        "copies dropped": means({"": without})[""],
        "bought": in_points(difference(with_copies, without)),
    }


def pretraining(trials: Trials) -> str:
    """What ImageNet's weights are worth on each set."""
    rows, columns = [], ("@imagenet", "@scratch", "difference")
    settings: Sequence[tuple[str, str, str, Part]] = (
        ("phantom, patients apart", PHANTOM, FOLDS, "all"),
        ("public set, copies kept", PUBLIC, KEPT, "all"),
        ("public set, copies dropped", PUBLIC, DROPPED, "all"),
        ("public set, images without a copy", PUBLIC, DROPPED, "clean"),
    )
    for label, dataset, protocol, part in settings:
        found = [trials.of(dataset, protocol, backbone) for backbone in (PRETRAINED, SCRATCH)]
        cells: tuple[object, ...]
        if short := withheld(found[0][0], part):
            cells = (f"– ({short})",) * len(columns)
        else:
            pretrained, scratch = (scored(of_backbone, part=part) for of_backbone in found)
            gap = in_points(difference(pretrained, scratch))
            cells = means({"": pretrained})[""], means({"": scratch})[""], gap
        rows.append({"data": label, **dict(zip(columns, cells, strict=True))})
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
    "leak_classes": leak_classes,
    "flaws": flaws,
    "pretraining": pretraining,
    "intervals": intervals,
    "shots": shots,
    "resolution": resolution,
}
