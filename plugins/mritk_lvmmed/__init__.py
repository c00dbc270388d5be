"""LVM-Med (Nguyen et al. 2023, arXiv:2306.11925): its weights, and its brain-tumour protocol.

LVM-Med was pretrained on 1.3 million medical images by graph matching. This plugin brings the
weights for ``resnet50``, whose architecture another plugin provides, and the image encoder
``vit_b`` with its own and SAM's weights; nothing is fetched, the user supplies the files. The
protocols ``lvmmed_frozen_1fc`` to ``lvmmed_full_3fc`` are those of its classification of brain
tumours. docs/lvmmed.md says what differs. Yielding the records imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import (
    Architecture,
    InputContract,
    ProtocolFile,
    Weights,
    hookimpl,
    lazy,
    packaged_text,
)
from mritk_lvmmed.layouts import encoder_tensors, resnet_tensors
from mritk_lvmmed.published import LVMMED_RESNET, LVMMED_VIT, SAM_VIT, locate

CONTRACT = InputContract(224)
CITATION = "Nguyen et al. 2023, arXiv:2306.11925"
# Its README and its licence file contradict each other.
LICENSE = "non-commercial: CC BY-NC-ND 2.0 (README) or CC BY-NC-SA 4.0 (License.txt)"
# The collections with brain images among the 55 whose lists it publishes.
SEEN = ("BraTS2018", "ADNI1", "Hippseg2011", "Medical Segmentation Decathlon")
PROTOCOLS = {
    "lvmmed_frozen_1fc": "frozen encoder, linear head",
    "lvmmed_frozen_3fc": "frozen encoder, three layers",
    "lvmmed_full_1fc": "full fine-tuning, linear head",
    "lvmmed_full_3fc": "full fine-tuning, three layers",
}


@hookimpl
def mritk_backbones() -> Iterator[Architecture | Weights]:
    """Yield the encoder, and the weights for it and for ``resnet50``."""
    yield Architecture(
        "vit_b",
        lazy("mritk_lvmmed.encoder:build"),
        CONTRACT,
        summary="SAM's ViT-B/16 image encoder without neck and position embedding, 768 features",
    )
    for architecture, file, rename in (
        ("resnet50", LVMMED_RESNET, resnet_tensors),
        ("vit_b", LVMMED_VIT, encoder_tensors),
    ):
        yield Weights(
            architecture,
            "lvmmed",
            partial(locate, file),
            CONTRACT,
            rename=rename,
            license=LICENSE,
            pretrained_on=SEEN,
            citation=CITATION,
            summary=f"LVM-Med's {file}",
        )
    yield Weights(
        "vit_b",
        "sam",
        partial(locate, SAM_VIT),
        CONTRACT,
        rename=encoder_tensors,
        license="apache-2.0",
        pretrained_on=("SA-1B",),
        citation="Kirillov et al. 2023, arXiv:2304.02643",
        summary="the image encoder of SAM, the initialisation of LVM-Med's ViT-B",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield {frozen, full} × {one, three layers}."""
    for name, told in PROTOCOLS.items():
        yield ProtocolFile(
            name,
            text=partial(protocol_text, name),
            summary=f"brain tumours as in LVM-Med (arXiv:2306.11925): {told}",
        )


def protocol_text(name: str) -> str:
    """Return the TOML text of a protocol: what all four share, and its own head and stage."""
    _, tuning, layers = name.split("_")
    parts = ("shared", *(["three_layers"] if layers == "3fc" else []), tuning)
    return "".join(packaged_text(__package__, "protocols", f"{part}.toml") for part in parts)
