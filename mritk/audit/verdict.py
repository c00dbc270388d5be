"""What a trial file keeps of the audit, and the line that a leaderboard makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mritk.audit.audit import Audit
from mritk.data.fold import Fold, fold_digest
from mritk.data.samples import Samples
from mritk.data.split_rule import SplitRule


def verdict(
    audit: Audit | None, samples: Samples, fold: Fold, rule: SplitRule, seen: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the verdict on one fold as JSON-able data.

    Args:
        audit: The audit of the dataset; None if its data do not lie on a grid.
        samples: The samples that were divided.
        fold: The division.
        rule: How it was made.
        seen: Collections that both the backbone's pretraining and the dataset declare.
    """
    clusters = [] if audit is None else audit.copies.members
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
        "split": fold_digest(samples, fold),
        "pretraining": sorted(seen),
    }


def flattered(found: Mapping[str, Any]) -> bool:
    """Whether copies of test samples were kept in training."""
    return bool(found) and found["copies"] == "keep" and found["clean"] < found["test"]


def verdict_line(found: Mapping[str, Any]) -> str:
    """Return one sentence or two about the copies in a trial's data."""
    if not found:
        return "Audit: none; the trials were stored by an mritk that did not audit."
    split = f"Split {found['split'][:8]}."
    leaking, total = found["test"] - found["clean"], found["test"]
    if not found["audited"]:
        return f"Audit: not possible for these data. {split}"
    if flattered(found):
        return (
            f"† Copies were kept (copies = keep): {leaking} of {total} test samples have a copy or "
            f"another image of their patient in training, which flatters the score. {split}"
        )
    if leaking:
        return (
            f"Audit: {leaking} of {total} test samples have a copy, or another image of their "
            f"patient, in the official training part; {found['dropped']} samples were dropped from "
            f"training and validation for that. 'clean' is the score on the other "
            f"{found['clean']}. {split}"
        )
    if found["clusters"]:
        kept = "" if found["copies"] == "drop" else ", though copies = keep did not ask for that"
        return (
            f"Audit: {found['samples_in_clusters']} samples form {found['clusters']} clusters of "
            f"copies, none of which stands on both sides of the split{kept}. {split}"
        )
    return f"Audit: no copies among the samples. {split}"
