"""The model card of a backbone, in Markdown: what the plugins tell of it."""

from __future__ import annotations

import shlex
from typing import Any

from mritk.backbone import Backbone
from mritk.cards.licence_terms import hub_fields, terms_of
from mritk.images.grid import size_text
from mritk.images.input_contract import InputContract
from mritk.store.kept_model import NOTICE
from mritk.text.markdown import code_block, escape, front_matter, table


def backbone_card(backbone: Backbone) -> str:
    """Return the model card of a backbone, without building its network."""
    weights = backbone.weights
    lines = front_matter(_front(backbone))
    lines += ["", f"# {escape(backbone.name)}", "", f"**{NOTICE}**", ""]
    lines += [
        "A backbone that maps images to features; it has no classes until it is trained.",
        *("", "## Architecture", "", *_architecture(backbone)),
        *("", "## Weights", "", *_weights(backbone)),
        *("", "## Input", "", *_input(backbone)),
    ]
    if weights is not None:
        terms = terms_of(weights.license)
        lines += ["", "## Licence", "", f"Weights: {escape(weights.license)}.", ""]
        lines += [f"- {escape(term)}" for term in terms] or [
            "No restriction is known from its name; the licence text is authoritative."
        ]
    lines += ["", "## Use", "", *code_block(f"mritk run -b {_shown(backbone.name)} -d folder:PATH")]
    return "\n".join(lines) + "\n"


def _front(backbone: Backbone) -> dict[str, Any]:
    front: dict[str, Any] = {"library_name": "mritk"}
    if backbone.weights is not None:
        front |= hub_fields(backbone.weights.license)
    front["tags"] = ["mritk", "feature-extraction", "medical-imaging", "research-only"]
    return front


def _architecture(backbone: Backbone) -> list[str]:
    architecture = backbone.architecture
    within = [
        ("made around", f"{inner.architecture.name} of {inner.architecture.origin}")
        for inner in backbone.chain[1:]
    ]
    dims = {2: "images", 3: "volumes"}.get(architecture.spatial_dims or 0, "other data")
    return table(
        ("", ""),
        [
            ("name", architecture.name),
            ("what it is", architecture.summary or "not stated"),
            ("takes", dims),
            ("provided by", architecture.origin),
            *within,
        ],
    )


def _weights(backbone: Backbone) -> list[str]:
    weights = backbone.weights
    if weights is None:
        return ["None: random initialisation."]
    return table(
        ("", ""),
        [
            ("name", weights.name),
            ("what they are", weights.summary or "not stated"),
            ("pretrained on", ", ".join(weights.pretrained_on) or "not stated"),
            ("citation", weights.citation or "not stated"),
            ("SHA-256", weights.sha256 or "not stated by the publisher"),
            ("provided by", weights.origin),
        ],
    )


def _input(backbone: Backbone) -> list[str]:
    contract = backbone.input
    return table(
        ("", ""),
        [
            ("side", size_text(contract.size)),
            ("channels", f"{contract.channels}, {contract.channel_order}"),
            ("range before normalisation", "[0, 1]"),
            ("mean", ", ".join(f"{value:g}" for value in contract.mean)),
            ("std", ", ".join(f"{value:g}" for value in contract.std)),
            ("resized", _resized(contract.interpolation)),
            *_further(contract),
        ],
    )


def _further(contract: InputContract) -> list[tuple[str, str]]:
    """Return what few contracts state."""
    told = []
    if contract.fit == "crop_or_pad":
        told.append(("fit", "cropped or padded, proportions kept"))
    if contract.spacing is not None:
        told.append(("resampled to", f"{contract.spacing} mm"))
    if contract.intensity == "zscore":
        told.append(("intensities", "z-score of pixels other than 0, per channel and sample"))
    if contract.fixed:
        told.append(("other sides", "not taken"))
    if contract.minimum is not None:
        told.append(("smallest side", str(contract.minimum)))
    return told


def _resized(interpolation: str) -> str:
    return interpolation if interpolation == "nearest" else f"{interpolation}, antialiased"


def _shown(name: str) -> str:
    # One line, whatever a name holds.
    return shlex.quote(" ".join(name.split()))
