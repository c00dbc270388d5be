"""The worlds in which :mod:`benchmarks.evidence.calibration` counts."""

from __future__ import annotations

from benchmarks.evidence.simulated import World
from benchmarks.evidence.trained_folds import Cohort

ONE_RUN = "1 run"
DRAWN = {
    "100 patients × 5 images, 3 runs": World(),
    ONE_RUN: World(runs=1),
    "5 runs that differ more": World(runs=5, of_run=0.15),
    "2 runs that differ more": World(runs=2, of_run=0.15),
    "3 runs with a liking for classes": World(of_run_and_class=0.3),
    "40 patients × 10 images": World(patients=40, images=10),
    "300 patients × 1 image": World(patients=300, images=1),
    "8 backbones": World(backbones=8),
    "unequal numbers of images": World(images=8, unequal=True),
    "the same, larger patients harder": World(images=8, unequal=True, harder=0.4),
    "60 patients, larger ones harder": World(patients=60, images=8, unequal=True, harder=0.4),
    "recall 0.95": World(mean=2.65),
    "recall 0.95, 1 image": World(images=1, mean=2.65),
    "recall 0.97, 1 image, 1 run": World(images=1, mean=3.03, runs=1),
    "50 patients, 80/20, 1 image": World(patients=50, classes=2, largest=0.8, images=1),
    "the same, recall 0.9": World(patients=50, classes=2, largest=0.8, images=1, mean=2.06),
    "the same, 100 patients": World(patients=100, classes=2, largest=0.8, images=1, mean=2.06),
    "10 patients, 80/20": World(patients=10, classes=2, largest=0.8),
    "8 patients of 2 classes": World(patients=8, classes=2),
    "12 patients of 3 classes": World(patients=12, classes=3),
    "16 patients of 2 classes": World(patients=16, classes=2),
    "16 patients of 4 classes": World(patients=16, classes=4),
    "an unstable row of 4": World(backbones=4, of_run=0.1, unstable=3.0),
    "an unstable row of 6": World(backbones=6, of_run=0.1, unstable=3.0),
    "an unstable row of 8": World(backbones=8, of_run=0.1, unstable=3.0),
    "an unstable row of 4, 6 runs": World(backbones=4, runs=6, of_run=0.1, unstable=3.0),
    "200 patients, 5 draws of training samples × 3 seeds": World(
        patients=200, images=3, draws=5, of_draw=0.3
    ),
    "60 patients, 3 draws × 3 seeds": World(patients=60, images=3, draws=3, of_draw=0.3),
}
TRAINED = {
    "24 patients, 3 classes, 5 folds, 2 seeds": Cohort(24, 3, 5, 2),
    "40 patients, 4 classes, 10 folds": Cohort(40, 4, 10),
    "48 patients, 4 classes, 5 folds": Cohort(48, 4, 5),
    "the same, neighbours": Cohort(48, 4, 5, nearest="neighbour"),
    "the same, 3 times": Cohort(48, 4, 5, 1, 3),
    "60 patients, 3 classes, 5 folds": Cohort(60, 3, 5),
    "the same, 3 seeds": Cohort(60, 3, 5, 3),
    "the same, recall 0.8, neighbours": Cohort(60, 3, 5, nearest="neighbour", apart=2.5),
    "60 patients, 3 classes, 10 folds": Cohort(60, 3, 10),
    "44 patients, 3 classes, one of 4 patients, 5 folds": Cohort(44, 3, 5, rare=4),
    "the same, 2 seeds": Cohort(44, 3, 5, 2, rare=4),
    "100 patients, 4 classes, 10 folds": Cohort(100, 4, 10),
    "100 patients, 4 classes, 5 folds, 2 times, neighbours": Cohort(
        100, 4, 5, 1, 2, "neighbour", 2.5
    ),
    "60 patients, 3 classes, 5 folds, 2 seeds, 3 times": Cohort(60, 3, 5, 2, 3),
    "60 patients, 3 classes, 5 folds, recall 0.95": Cohort(60, 3, 5, apart=3.0),
    "100 patients, 4 classes, 5 folds, recall 0.95": Cohort(100, 4, 5, apart=3.5),
    "48 patients, 4 classes, 20 % drawn 10 times": Cohort(48, 4, 5, 1, 10, drawn=True),
    "80 patients, 4 classes, 20 % drawn 10 times": Cohort(80, 4, 5, 1, 10, drawn=True),
    "100 patients, 4 classes, 20 % drawn 3 times": Cohort(100, 4, 5, 1, 3, drawn=True),
    "60 patients, 3 classes, 20 % drawn 5 times, 2 seeds": Cohort(60, 3, 5, 2, 5, drawn=True),
}
# Coverage is of the row that differs from the others.
UNSTABLE = tuple(name for name in DRAWN if name.startswith("an unstable row"))
# Where 300 tables gave 97 % or more, or less than 93.5 %: too close to tell on which side they are.
BORDERLINE = (
    "recall 0.95, 1 image",
    "recall 0.97, 1 image, 1 run",
    "the same, recall 0.9",
    "24 patients, 3 classes, 5 folds, 2 seeds",
    "40 patients, 4 classes, 10 folds",
    "48 patients, 4 classes, 5 folds",
    "the same, neighbours",
    "the same, 3 times",
    "the same, recall 0.8, neighbours",
    "60 patients, 3 classes, 10 folds",
    "100 patients, 4 classes, 20 % drawn 3 times",
    "60 patients, 3 classes, 20 % drawn 5 times, 2 seeds",
    "100 patients, 4 classes, 5 folds, recall 0.95",
    "60 patients, 3 draws × 3 seeds",
)
# Where a bootstrap of images stands beside.
BESIDE = ("100 patients × 5 images, 3 runs", "40 patients × 10 images")
OTHERS = ("100 patients × 5 images, 3 runs", "recall 0.95, 1 image", "16 patients of 4 classes")
OTHER_METRICS = ("macro_auroc", "mcc", "macro_f1", "accuracy", "log_loss", "brier", "ece")
