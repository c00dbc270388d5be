"""An audit as text; whoever prints it makes the names in it visible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mritk.audit.audit import Audit, describe
from mritk.text.listed import many

SHOWN_CLUSTERS = 8


def format_audit(audit: Audit) -> str:
    """Return the tables of counts, the findings, and the largest clusters of copies."""
    blocks = [_counts(describe(dataset)) for dataset in audit.datasets]
    if audit.findings:
        blocks.append(_findings(audit))
    if clusters := list(_clusters(audit)):
        blocks.append("\n".join(clusters))
    blocks.append(confirmation(audit))
    return "\n\n".join(blocks)


def findings_text(audit: Audit, *, official: bool) -> list[str]:
    """Return one line for each finding; if there is none, one that says what was checked.

    Where the official parts are not used, what leaks between them does not matter.
    """
    between_parts = () if official else ("copies", "patients")
    told = [finding for finding in audit.findings if finding.kind not in between_parts]
    return [f"{finding.level}: {finding.text}" for finding in told] or [confirmation(audit)]


def confirmation(audit: Audit) -> str:
    """Return one line that says what was checked, and that all is well if it is."""
    indexes = [dataset.index for dataset in audit.datasets]
    total = sum(len(index) for index in indexes)
    read = total - sum(len(index.unreadable) for index in indexes)
    compared = read - sum(int(index.constant.sum()) for index in indexes)
    pairs = compared * (compared - 1) // 2
    checked = f"{read} of {total} samples were read, {pairs:,} pairs compared"
    over = sum(finding.count for finding in audit.findings if finding.kind == "files")
    if over:
        checked += (
            ", 1 file or folder ignored" if over == 1 else f", {over} files or folders ignored"
        )
    if not audit.clean:
        levels = [finding.level for finding in audit.findings]
        found = " and ".join(many(levels.count(level), level) for level in ("leak", "defect"))
        return f"Not clean: {found}. {checked}."
    samples = [dataset.samples for dataset in audit.datasets]
    parts = any(s.splits is not None for s in samples)
    told = all(s.patients is not None for s in samples)
    sentence = ["nothing unreadable"]
    if not audit.copies.pairs:
        sentence.insert(0, "no duplicates")
    elif parts:
        sentence.insert(0, "no duplicates across splits")
    if parts:
        sentence.append("no patient in two splits" if told else "patients unknown")
    else:
        sentence.append("no official split" if told else "no official split, patients unknown")
    return f"Clean: {', '.join(sentence)}. {checked}."


def _counts(data: dict[str, Any]) -> str:
    from tabulate import tabulate

    parts = data["parts"]
    columns = ["part", "samples", "patients"] + ["sites"] * (parts[0]["sites"] is not None)
    rows = [
        ["unknown" if part[name] is None else part[name] for name in columns]
        + list(part["classes"].values())
        for part in parts
    ]
    # A class may be called as a column is.
    classes = [f"{name} (class)" if name in columns else name for name in parts[0]["classes"]]
    facts = ", ".join(f"{mode} {count}" for mode, count in data["modes"].items())
    sizes = list(data["sizes"].items())
    common = ", ".join(f"{size} ({count})" for size, count in sizes[:3])
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    table = tabulate(rows, [*columns, *classes], tablefmt="github")
    return f"{data['name']}: {facts}; {common}{more}\n\n{table}"


def _findings(audit: Audit) -> str:
    from tabulate import tabulate

    rows = [[f.level.upper(), f.kind, f.text] for f in audit.findings]
    return tabulate(rows, ["level", "what", "found"], tablefmt="simple", maxcolwidths=[8, 12, 90])


def _clusters(audit: Audit) -> Iterator[str]:
    """Yield a line for each cluster that matters most: contradicting, of several parts, large."""
    ranked = sorted(audit.copies.members, key=lambda rows: -_weight(audit, rows))
    for rows in ranked[:SHOWN_CLUSTERS]:
        named = [audit.member(int(row)) for row in rows[:4]]
        more = f" = {len(rows) - 4} more" if len(rows) > 4 else ""
        several = len(audit.datasets) > 1
        ids = (f"{m['dataset']} {m['id']}" if several else m["id"] for m in named)
        weakest = min(audit.pairs_of(rows), key=lambda pair: pair.similarity)
        yield f"{' = '.join(ids)}{more}  [{weakest.why}]"
    if len(ranked) > SHOWN_CLUSTERS:
        yield f"… and {len(ranked) - SHOWN_CLUSTERS} more clusters (--json lists all)"


def _weight(audit: Audit, rows: Any) -> int:
    """Return a number that ranks clusters: by contradicting labels, then by parts, then by size."""
    members = [audit.member(int(row)) for row in rows]
    labels = len(audit.contradicting(rows))
    parts = len({(member["dataset"], member.get("split")) for member in members})
    return labels * 100_000 + parts * 1_000 + min(len(rows), 999)
