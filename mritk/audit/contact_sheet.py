"""The clusters of copies of an audit as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image

from mritk.audit.audit import Audit
from mritk.audit.text import confirmation
from mritk.images.channels import one_channel
from mritk.machine.in_threads import in_threads
from mritk.text.visible import visible

SIDE = 120
QUALITY = 75
# Rows of a page; only the first page of a section is open.
PAGE = 50
# Pictures of one cluster, and of all: about 4 KB each. Beyond that, samples are named.
IN_A_ROW = 6
PICTURES = 3000

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem;
       color: #1c2024; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }
td:last-child { overflow-wrap: anywhere; }
.leak { color: #a40e26; font-weight: 600; } .defect { color: #8a4600; font-weight: 600; }
.note { color: #57606a; } nav { margin-top: 1rem; } nav a { margin-right: 1.2rem; }
a, summary { color: #0550ae; } summary { cursor: pointer; padding: .4rem 0; }
article { border-top: 1px solid #d0d7de; padding: .6rem 0; break-inside: avoid; }
article p { margin: 0 0 .4rem; font-size: .85rem; }
.samples { display: flex; flex-wrap: wrap; gap: .6rem; }
figure { margin: 0; width: 180px; font-size: .8rem; overflow-wrap: anywhere; }
img { width: 120px; height: 120px; object-fit: contain; background: #000; display: block; }
article ul { columns: 3; font-size: .8rem; margin: .3rem 0; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, eq=False)
class _Section:
    title: str
    anchor: str
    clusters: list[np.ndarray]


def contact_sheet(audit: Audit) -> str:
    """Return the page: findings, then every cluster of copies, one row each.

    Images under several labels come first, then clusters across parts or datasets, then the
    others; within each, the weakest evidence. Pages but the first of a section are folded.
    """
    names = ", ".join(_escaped(dataset.name) for dataset in audit.datasets)
    findings = "\n".join(
        f'<tr><td class="{f.level}">{f.level}</td><td>{f.kind}</td><td>{_escaped(f.text)}</td></tr>'
        for f in audit.findings
    )
    sections = [section for section in _sections(audit) if section.clusters]
    links = "".join(f'<a href="#{s.anchor}">{s.title} ({len(s.clusters)})</a>' for s in sections)
    pictures = _pictures(audit, [rows for section in sections for rows in section.clusters])
    body = "\n".join(_section(audit, section, pictures) for section in sections)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit of {names}</title><style>{STYLE}</style></head><body>
<h1>Audit of {names}</h1>
<p>{_escaped(confirmation(audit))}</p>
<table>{findings}</table>
<nav>{links}</nav>
{body}
</body></html>
"""


def _escaped(text: object) -> str:
    return html.escape(visible(str(text)))


def _sections(audit: Audit) -> list[_Section]:
    """Return the clusters by what is wrong with them, each once."""
    conflicting, crossing, within = [], [], []
    weakest_first = sorted(
        audit.copies.members,
        key=lambda rows: (min(p.similarity for p in audit.pairs_of(rows)), int(rows[0])),
    )
    for rows in weakest_first:
        members = [audit.member(int(row)) for row in rows]
        if audit.contradicting(rows):
            conflicting.append(rows)
        elif len({(member["dataset"], member.get("split")) for member in members}) > 1:
            crossing.append(rows)
        else:
            within.append(rows)
    return [
        _Section("Images with conflicting labels", "labels", conflicting),
        _Section("Duplicates across splits or datasets", "across", crossing),
        _Section("Duplicates within one split", "within", within),
    ]


def _section(audit: Audit, section: _Section, pictures: dict[int, str]) -> str:
    parts = [f'<h2 id="{section.anchor}">{section.title}</h2>']
    for start in range(0, len(section.clusters), PAGE):
        page = section.clusters[start : start + PAGE]
        rows = "\n".join(_cluster(audit, cluster, pictures) for cluster in page)
        summary = f"{start + 1} to {start + len(page)} of {len(section.clusters)}"
        is_open = "" if start else " open"
        parts.append(f"<details{is_open}><summary>{summary}</summary>\n{rows}</details>")
    return "\n".join(parts)


def _cluster(audit: Audit, rows: np.ndarray, pictures: dict[int, str]) -> str:
    """Return one row: why these are copies, a picture of some, the names of the others."""
    ordered = _each_kind_first(audit, rows)
    figures = "".join(_figure(audit, row, pictures[row]) for row in ordered if row in pictures)
    others = "".join(f"<li>{_caption(audit, row)}</li>" for row in ordered if row not in pictures)
    return (
        f'<article><p class="note">{_escaped(_why(audit, rows))}</p>'
        f'<div class="samples">{figures}</div>'
        f"{f'<ul>{others}</ul>' if others else ''}</article>"
    )


def _each_kind_first(audit: Audit, rows: np.ndarray) -> list[int]:
    """Return the rows such that each label and part comes once before any comes again."""
    seen: dict[tuple[str, str, str], int] = {}

    def turn(row: int) -> tuple[int, int]:
        member = audit.member(row)
        kind = (str(member["target"]), str(member.get("split")), member["dataset"])
        seen[kind] = seen.get(kind, 0) + 1
        return seen[kind], row

    return [row for _, row in sorted(turn(row) for row in rows.tolist())]


def _why(audit: Audit, rows: np.ndarray) -> str:
    pairs = audit.pairs_of(rows)
    weakest = min(pairs, key=lambda pair: (pair.similarity, pair.kind != "near"))
    return f"{len(rows)} samples; {'weakest pair: ' if len(pairs) > 1 else ''}{weakest.why}"


def _figure(audit: Audit, row: int, picture: str) -> str:
    image = f'<img alt="" src="data:image/jpeg;base64,{picture}">' if picture else ""
    return f"<figure>{image}<figcaption>{_caption(audit, row)}</figcaption></figure>"


def _caption(audit: Audit, row: int) -> str:
    member = audit.member(row)
    known = (member.get(key) for key in ("split", "target", "patient"))
    facts = [str(value) for value in known if value not in (None, "")]  # a target may be 0.0
    lines = [member["dataset"]] * (len(audit.datasets) > 1) + [member["id"]]
    return "<br>".join([f"<strong>{_escaped(' · '.join(facts))}</strong>", *map(_escaped, lines)])


def _pictures(audit: Audit, clusters: list[np.ndarray]) -> dict[int, str]:
    """Return pictures as base64 JPEG; an empty text for what cannot be read any more."""
    rows = (row for each in clusters for row in _each_kind_first(audit, each)[:IN_A_ROW])
    wanted = list(islice(rows, PICTURES))

    def picture(k: int) -> str:
        dataset, own = audit.place(wanted[k])
        samples = dataset.samples
        return _as_jpeg(one_channel(samples.read(own), samples.channels), samples.spatial_dims)

    made = in_threads(picture, len(wanted))
    return {
        row: found if isinstance(found, str) else ""
        for row, found in zip(wanted, made, strict=True)
    }


def _as_jpeg(array: np.ndarray, spatial_dims: int | None) -> str:
    if spatial_dims == 3:
        array = array[len(array) // 2]
    if array.dtype != np.uint8:
        array = (np.clip(array, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(array))
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.convert("RGB" if array.ndim == 3 else "L").save(content, "JPEG", quality=QUALITY)
    return base64.b64encode(content.getvalue()).decode()
