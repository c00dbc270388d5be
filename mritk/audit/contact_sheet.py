"""The pairs of an audit as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mritk.audit.audit import Audit
from mritk.audit.copies import Pair
from mritk.audit.text import confirmation

# A page of more pairs is not read, and each costs two decoded images.
SHOWN_PAIRS = 200
SIDE = 240

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem;
       color: #1c2024; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .3rem .8rem .3rem 0;
       vertical-align: top; }
.leak { color: #a40e26; font-weight: 600; } .defect { color: #8a4600; font-weight: 600; }
.note { color: #57606a; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(352px, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #d0d7de; border-radius: 6px; padding: .7rem; }
figure.crossing { border-color: #a40e26; } .images { display: flex; gap: .5rem; }
.images div { flex: 1; min-width: 0; font-size: .8rem; overflow-wrap: anywhere; }
img { width: 160px; height: 160px; object-fit: contain; background: #000; display: block; }
figcaption { margin-top: .4rem; font-size: .85rem; }
"""


def contact_sheet(audit: Audit) -> str:
    """Return the page: findings, then pairs, those across parts, labels or datasets first."""
    pairs = sorted(audit.copies.pairs, key=lambda pair: (-_crossings(audit, pair), pair.similarity))
    shown = pairs[:SHOWN_PAIRS]
    names = ", ".join(html.escape(dataset.name) for dataset in audit.datasets)
    rows = "\n".join(
        f'<tr><td class="{f.level}">{f.level}</td><td>{f.kind}</td>'
        f"<td>{html.escape(f.text)}</td></tr>"
        for f in audit.findings
    )
    heading = f"{len(shown)} of {len(pairs)} pairs" if len(shown) < len(pairs) else "Pairs"
    figures = "\n".join(_figure(audit, pair) for pair in shown)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit of {names}</title><style>{STYLE}</style></head><body>
<h1>Audit of {names}</h1>
<p>{html.escape(confirmation(audit))}</p>
<table>{rows}</table>
<h2>{heading}</h2>
<p class="note">Pairs across parts, labels or datasets come first and have a red frame; then those
with the weakest evidence. A cluster of n copies is connected by n &minus; 1 pairs.</p>
<div class="pairs">
{figures}
</div></body></html>
"""


def _crossings(audit: Audit, pair: Pair) -> int:
    one, other = audit.member(pair.one), audit.member(pair.other)
    return sum(one.get(key) != other.get(key) for key in ("target", "split", "dataset"))


def _figure(audit: Audit, pair: Pair) -> str:
    sides = "".join(_side(audit, row) for row in (pair.one, pair.other))
    kind = {"bytes": "identical bytes", "pixels": "identical pixels"}.get(
        pair.kind, f"similarity {pair.similarity:.4f}"
    )
    text = html.escape(f"{kind}. {pair.change}" if pair.change else kind)
    crossing = ' class="crossing"' if _crossings(audit, pair) else ""
    return (
        f'<figure{crossing}><div class="images">{sides}</div>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _side(audit: Audit, row: int) -> str:
    dataset, own = audit.place(row)
    member = audit.member(row)
    facts = [str(member[key]) for key in ("split", "target", "patient") if member.get(key)]
    lines: Sequence[str] = [member["id"], " · ".join(facts)]
    if len(audit.datasets) > 1:
        lines = [dataset.name, *lines]
    text = "<br>".join(html.escape(line) for line in lines)
    try:
        array = dataset.samples.read(own)
    except Exception as error:  # it could be read a moment ago
        return f"<div>{text}<br>{html.escape(str(error))}</div>"
    picture = _as_jpeg(array, dataset.samples.spatial_dims)
    return f'<div><img alt="" src="data:image/jpeg;base64,{picture}">{text}</div>'


def _as_jpeg(array: np.ndarray, spatial_dims: int | None) -> str:
    if spatial_dims == 3:
        array = array[len(array) // 2]
    if array.dtype != np.uint8:
        array = (np.clip(array, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(array))
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=85)
    return base64.b64encode(content.getvalue()).decode()
