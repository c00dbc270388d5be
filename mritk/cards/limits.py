"""The limits of a trial, stated from what its file tells."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mritk.audit.verdict import flattered, kept_leaks
from mritk.results.doubts import doubts_of
from mritk.store.trial_file import Predictions, TrialRecord

FEW_PATIENTS = 30
FEW_SAMPLES = 20
SYNTHETIC = re.compile(r"synthetic|simulat", re.IGNORECASE)


def limits_of(record: TrialRecord) -> list[str]:
    """Return what a user of a finished trial must know of its limits, one sentence each."""
    if not record.scored:  # nothing was tested, so there is nothing to doubt
        return list(_of_data(record))
    return [*_of_split(record), *_of_data(record), *_of_training(record)]


def is_synthetic(record: TrialRecord) -> bool:
    """Whether name, sources or description of the dataset say that no scanner made it."""
    told = (record.dataset, *record.provenance.get("dataset_sources", ()))
    text = " ".join([*told, str(record.provenance.get("dataset_summary", ""))])
    return bool(SYNTHETIC.search(text))


def _of_split(record: TrialRecord) -> Iterator[str]:
    audit = record.audit
    if not record.grouped:
        yield (
            "Image-level split: without patient ids, images of one patient may be in training "
            "and test; scores may be optimistic."
        )
    if not audit:
        yield "The data were not audited for duplicates."
    elif not audit["audited"]:
        yield "These data cannot be searched for duplicates."
    if audit and flattered(audit):
        yield f"Leaks were kept {kept_leaks(audit)}"
    if audit and audit.get("pretraining"):
        named = ", ".join(audit["pretraining"])
        yield f"The backbone was pretrained on a source of the test data: {named}."
    if record.skipped:
        yield f"{len(record.skipped)} unreadable samples were skipped."


def _of_data(record: TrialRecord) -> Iterator[str]:
    if is_synthetic(record):
        yield "The data are synthetic: performance on scanner images is unknown."
    if not record.scored:
        return
    test = record.predictions["test"]
    patients = len(set(test.patient) - {""})
    if record.grouped and patients < FEW_PATIENTS:
        yield f"Few patients: the test set has {patients}."
    support = record.task.support(test.target)
    few = [f"{name} ({count})" for name, count in support.items() if count < FEW_SAMPLES]
    if few:
        yield f"Classes with fewer than {FEW_SAMPLES} test samples: {', '.join(few)}."
    yield _of_sites(test)


def _of_sites(test: Predictions) -> str:
    sites = set(test.site) - {""}
    if not sites:
        return "Sites are unknown: performance on other scanners is unknown."
    where = "one site" if len(sites) == 1 else f"{len(sites)} sites"
    return f"Tested on images of {where}; performance on other scanners is unknown."


def _of_training(record: TrialRecord) -> Iterator[str]:
    protocol = record.stored_protocol
    yield from (doubts := doubts_of(record))
    if protocol.selects and not doubts:
        yield (
            f"The checkpoint was selected on {len(record.splits.get('val', ()))} validation "
            "samples, so validation scores are optimistic; the scores above are of the test set."
        )
    yield (
        f"One training run (seed {record.seed}): scores vary between runs; 'mritk leaderboard' "
        "shows the spread over several."
    )
    if record.folds > 1:
        yield f"Fold {record.fold} of {record.folds}: other folds have different test samples."
    if record.splits.get("unused"):
        yield f"{len(record.splits['unused'])} training samples were not used (few-shot protocol)."
    if record.notes.get("deterministic") is False:
        yield (
            f"{record.method} is not deterministic: the same seed gives other scores, so a "
            "comparison needs several runs (--seeds)."
        )
    if str(record.notes.get("precision")).startswith("bfloat16"):
        yield "Scored in bfloat16; scores in float32 differ by rounding."
