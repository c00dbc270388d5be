"""Domain generalisation over sites: LDDG (Li et al. 2020, arXiv:2009.12829) and its rivals.

The method ``domain_finetune`` is staged fine-tuning with batches that hold equally many samples of
each site, and a regulariser: none, LDDG's rank and divergence, CORAL, mixup between sites, IRM or
GroupDRO. The protocols leave one site out, and select on the sources. docs/lddg.md says what
differs from the paper.
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


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``domain_finetune``."""
    yield Method(
        "domain_finetune",
        fit=lazy("mritk_domains.domain_finetune:fit_domains"),
        parameters=lazy("mritk_domains.recipe:DomainRecipe"),
        tasks=("classification",),
        summary="fine-tuning for unseen sites: erm, lddg, coral, mixup, irm, groupdro",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield ``domains_erm``, ``domains_lddg`` and so on: one recipe, one regulariser each."""
    for name, told in PROTOCOLS.items():
        summary = f"leave one site out: {told}"
        yield ProtocolFile(f"domains_{name}", partial(protocol_text, name), summary=summary)


def protocol_text(name: str) -> str:
    """Return the TOML text of the protocol of a regulariser."""
    regulariser, _, published = name.partition("_")
    own = f'[parameters]\nregulariser = "{regulariser}"\n'
    if published:
        own += f'reparameterisation = "{published}"\n'
    shared = packaged_text(__package__, "protocols", "domains.toml")
    return shared.replace("[parameters]\n", own)
