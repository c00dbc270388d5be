"""RadImageNet's weights for DenseNet-121, ResNet-50 and Inception-v3, with proven loading.

RadImageNet (Mei et al. 2022) was trained on 1.35 million CT, MR and ultrasound images. This
plugin brings the weights only; the architectures come from whichever plugin provides
``densenet121``, ``resnet50`` and ``inception_v3`` with the tensor names of timm and torchvision.
Importing it and yielding its records imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Alias, Weights, hookimpl
from mritk_radimagenet.contracts import CONTRACTS
from mritk_radimagenet.files import FILES, locate
from mritk_radimagenet.layouts import RENAME

# The repository states a licence for its code (MIT) only, and gives the images on request.
LICENSE = "not stated for the weights (code: MIT; images on request)"

CITATION = "Mei et al. 2022, doi:10.1148/ryai.210315"


@hookimpl
def mritk_backbones() -> Iterator[Weights | Alias]:
    """Yield for each architecture one file under each documented input contract, and an alias."""
    for architecture, file in FILES.items():
        for name, (contract, source) in CONTRACTS.items():
            yield Weights(
                architecture,
                name,
                partial(locate, file),
                contract,
                rename=RENAME[architecture],
                license=LICENSE,
                pretrained_on=("RadImageNet",),
                citation=CITATION,
                summary=f"RadImageNet's {file}, pixels as in {source}",
            )
        yield Alias(
            f"radimagenet_{architecture}",
            f"{architecture}@radimagenet",
            summary=f"{architecture} pretrained on RadImageNet",
        )
