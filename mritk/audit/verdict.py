"""What a trial file keeps of the audit, and the line that a leaderboard makes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mritk.audit.audit import Audit
from mritk.data.samples import Samples
from mritk.splits.fold import Fold, fold_digest
from mritk.splits.split_rule import SplitRule
from mritk.splits.units import units
from mritk.text.listed import many

SHARED = "a duplicate, or another image of the same patient,"


def verdict(
    audit: Audit | None,
    samples: Samples,
    fold: Fold,
    rule: SplitRule,
    *,
    copies: np.ndarray | None,
    seen: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the verdict on one fold as JSON-able data.

    Args:
        audit: The audit of the dataset; None if its data do not lie on a grid.
        copies: (N,) clusters of copies among the samples; None where nothing is known.
        seen: Collections that both the backbone's pretraining and the dataset declare.
    """
    clusters = [] if audit is None else audit.copies.members
    unit = units(samples, copies)
    return {
        "audited": audit is not None,
        "findings": [] if audit is None else [vars(finding) for finding in audit.findings],
        "clusters": len(clusters),
        "samples_in_clusters": sum(len(rows) for rows in clusters),
        "copies": rule.copies,
        "dropped": len(fold.dropped),
        "unused": len(fold.unused),
        "test": len(fold.test),
        "clean": int(fold.clean.sum()),
        "shared_with_validation": int(np.isin(unit[fold.val], unit[fold.train]).sum()),
        "split": fold_digest(samples, fold),
        "pretraining": sorted(seen),
    }


def flattered(found: Mapping[str, Any]) -> bool:
    """Whether copies of test or validation samples were kept in training."""
    if not found or found["copies"] != "keep":
        return False
    return bool(found["clean"] < found["test"] or found["shared_with_validation"])


def over_folds(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the verdict on several folds: counts are added up, unless each fold has the same."""
    if len(verdicts) == 1 or not all(verdicts):
        return dict(verdicts[0]) if all(verdicts) else {}
    names = ("dropped", "test", "clean", "shared_with_validation")
    counts = [{name: found[name] for name in names} for found in verdicts]
    equal = all(of_fold == counts[0] for of_fold in counts)
    digests = "".join(sorted(found["split"] for found in verdicts))
    return {
        **verdicts[0],
        **(counts[0] if equal else {n: sum(of_fold[n] for of_fold in counts) for n in names}),
        "split": hashlib.sha256(digests.encode()).hexdigest(),
        "folds": f"in each of {len(verdicts)} folds" if equal else f"over {len(verdicts)} folds",
    }


def kept_leaks(found: Mapping[str, Any]) -> str:
    """Return how many samples leak in data that are :func:`flattered`."""
    folds = _folds(found)
    validation = found["shared_with_validation"]
    also = f", and {many(validation, 'validation sample')} in training" if validation else ""
    return (
        f"(copies = keep): {_leaking(found, folds)} in training or validation{also}; scores are "
        "optimistic."
    )


def _folds(found: Mapping[str, Any]) -> str:
    return f" {found['folds']}" if "folds" in found else ""


def _leaking(found: Mapping[str, Any], folds: str) -> str:
    leaking = found["test"] - found["clean"]
    have = "has" if leaking == 1 else "have"
    return f"{leaking} of {found['test']} test samples{folds} {have} {SHARED}"


def _why(found: Mapping[str, Any]) -> str:
    """Return why samples were dropped; how many of them were made from others is not stored."""
    if not any(finding["kind"] == "made" for finding in found["findings"]):
        return ", so that no duplicate or patient is shared between splits"
    others = ", or share a duplicate or patient with them" if found["copies"] == "drop" else ""
    return f", because they were made from test or validation samples{others}"


def verdict_line(found: Mapping[str, Any], sign: str = "") -> str:
    """Return :func:`verdict_text` with the digest of the split, as one line."""
    return f"Audit: {verdict_text(found, sign)}" + (
        f" Split {found['split'][:8]}." if found else ""
    )


def verdict_text(found: Mapping[str, Any], sign: str = "") -> str:
    """Return what a reader must know of the copies in a table's data.

    Args:
        found: The verdict, of one fold or :func:`over_folds`.
        sign: What marks the numbers that leaks flatter.
    """
    if not found:
        return "none; the trials were stored by a version of mritk without audit."
    folds = _folds(found)
    nothing = f"{'No duplicate' if found['dropped'] else 'Nothing'} was dropped"
    told = []
    if flattered(found):
        told.append(f"{sign} {nothing} {kept_leaks(found)}".lstrip())
    elif found["copies"] == "keep":
        told.append(f"{nothing} (copies = keep); no duplicate or patient is shared between splits.")
    elif found["test"] > found["clean"]:
        told.append(
            f"{_leaking(found, folds)} in the original training or validation set; 'clean' is the "
            "score on the others."
        )
    if found["dropped"]:
        dropped = "1 sample was" if found["dropped"] == 1 else f"{found['dropped']} samples were"
        told.append(f"{dropped} dropped from training and validation{folds}{_why(found)}.")
    if not found["audited"]:
        told.append("These data cannot be searched for duplicates.")
    elif found["clusters"] and not told:
        clusters = many(found["clusters"], "cluster")
        told.append(
            f"{found['samples_in_clusters']} samples form {clusters} of duplicates, none shared "
            "between splits."
        )
    elif not found["clusters"]:
        told.append("No duplicates among the samples.")
    return " ".join(told)
