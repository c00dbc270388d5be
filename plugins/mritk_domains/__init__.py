"""Domain generalisation over sites: LDDG (Li et al. 2020, arXiv:2009.12829) and its rivals.

The method ``domain_finetune`` is staged fine-tuning with batches that hold equally many samples of
each site, and a regulariser: none, LDDG's rank and divergence, CORAL, mixup between sites, IRM or
GroupDRO. ``domain_unet`` predicts label maps, plainly or with LDDG. The protocols leave one site
out, and select on the sources. docs/lddg.md says what differs from the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Method, ProtocolFile, hookimpl, lazy, packaged_text

PROTOCOLS = {
    "erm": "plain training on balanced batches (DeepAll)",
    "lddg": "rank and divergence of the latent values (after arXiv:2009.12829)",
    "lddg_published": "the same, latent values drawn as in the authors' code",
    "coral": "equal means and covariances of the sites",
    "mixup": "images of different sites are mixed",
    "irm": "invariant risk minimisation",
    "groupdro": "the site of the largest loss weighs most",
}
UNETS = ("erm", "lddg", "lddg_published")


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``domain_finetune`` for classes and ``domain_unet`` for label maps."""
    yield Method(
        "domain_finetune",
        fit=lazy("mritk_domains.domain_finetune:fit_domains"),
        parameters=lazy("mritk_domains.recipe:DomainRecipe"),
        tasks=("classification",),
        summary="fine-tuning for unseen sites: erm, lddg, coral, mixup, irm, groupdro",
    )
    yield Method(
        "domain_unet",
        fit=lazy("mritk_domains.domain_unet:fit_unet"),
        parameters=lazy("mritk_domains.unet_recipe:UNetRecipe"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("segmentation",),
        summary="a U-Net for unseen sites: erm, lddg",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield ``domains_erm``, ``domains_lddg`` and so on: one recipe, one regulariser each."""
    for name, told in PROTOCOLS.items():
        summary, text = f"leave one site out: {told}", partial(protocol_text, name, "domains")
        yield ProtocolFile(f"domains_{name}", text, summary=summary)
    for name in UNETS:
        summary, text = f"label maps, {PROTOCOLS[name]}", partial(protocol_text, name, "unet")
        yield ProtocolFile(f"domains_unet_{name}", text, summary=summary)


def protocol_text(name: str, recipe: str) -> str:
    """Return the TOML text of the protocol of a regulariser: ``recipe`` and what is its own."""
    regulariser, _, published = name.partition("_")
    own = f'[parameters]\nregulariser = "{regulariser}"\n'
    if published:
        own += f'reparameterisation = "{published}"\n'
    shared = packaged_text(__package__, "protocols", f"{recipe}.toml")
    return shared.replace("[parameters]\n", own)
