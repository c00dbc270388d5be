"""Repositories written by transformers: ``model_type`` in ``config.json`` names the network."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mritk import InputContract, MritkError, Unavailable
from mritk_huggingface.contract import make_contract
from mritk_huggingface.hub import unavailable

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]
    Config = Mapping[str, Any]

INSTALL = "python -m pip install 'mritk-bench[huggingface]'"
# PIL's numbers of filters, as preprocessor_config.json has them.
RESAMPLE = {2: "bilinear", 3: "bicubic"}
PREFIX, POOLING = "model.", "pooler."


def require_known(config: Config, repository: str) -> None:
    """Refuse a network that transformers does not have, or that is no encoder of images."""
    try:
        from transformers import CONFIG_MAPPING
    except ImportError as error:
        raise Unavailable(
            f"hf:{repository} needs transformers, which is not installed; type {INSTALL}"
        ) from error
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise unavailable(
            repository,
            "model",
            f"transformers has no network {kind!r}; code that a repository brings is never run",
        )
    if "text_config" in config or "vocab_size" in config:
        raise unavailable(repository, "model", f"{kind} reads text; only image encoders will do")


def describe(config: Config) -> str:
    """Return what the network is."""
    return f"transformers' {config['model_type']}"


def build(config: Config) -> torch.nn.Module:
    """Return the encoder: (N, C, H, W) becomes features (N, D)."""
    from mritk_huggingface.encoder import Encoder

    return Encoder(_empty(config))


def contract(config: Config, preprocessing: Mapping[str, Any]) -> InputContract:
    """Return the input contract of ``preprocessor_config.json``; sizes also of the network's."""
    size = preprocessing.get("crop_size") or preprocessing.get("size") or config.get("image_size")
    normalised = preprocessing.get("do_normalize", True)
    channels = int(config.get("num_channels", 3))
    half = [0.5] * channels
    return make_contract(
        size,
        preprocessing.get("image_mean", half) if normalised else [0.0] * channels,
        preprocessing.get("image_std", half) if normalised else [1.0] * channels,
        RESAMPLE.get(preprocessing.get("resample", 3), "bicubic"),
        channels,
    )


def rename(config: Config, found: StateDict) -> StateDict:
    """Return the encoder's tensors under the names of the transformers that is installed.

    transformers renames tensors from version to version and translates old files while it loads
    them, so it is asked to. What it had to fill at random is left out, and what it did not use is
    handed on under its own name, for the proof of loading to refuse; but for heads, which stand
    outside the encoder, and the pooling layer, which is not part of the backbone.
    """
    network = _empty(config)
    try:
        with _quiet():
            loaded, facts = type(network).from_pretrained(
                None, config=network.config, state_dict=dict(found), output_loading_info=True
            )
    except Exception as error:
        reason = " ".join(str(error).split())
        raise MritkError(
            f"transformers cannot load the file as {config['model_type']}: {reason}"
        ) from error
    own, missing = network.state_dict(), set(facts["missing_keys"])
    state = {
        f"{PREFIX}{name}": tensor
        for name, tensor in loaded.state_dict().items()
        if name not in missing and (name in own or not name.startswith(POOLING))
    }
    base = f"{network.base_model_prefix}."
    nested = any(name.startswith(base) for name in found)
    for name in facts["unexpected_keys"]:
        inner = name.removeprefix(base)
        outside = nested and not name.startswith(base)
        if not outside and not inner.startswith(POOLING) and name in found:
            state[name] = found[name]
    return state


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' own report of loading off the screen: mritk's proof says more."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def _empty(config: Config) -> Any:
    """Return the bare network with random values."""
    from transformers import AutoConfig, AutoModel

    described = {name: value for name, value in config.items() if name != "auto_map"}
    kind = described.pop("model_type")
    known = AutoConfig.for_model(kind, **described)
    network = AutoModel._model_mapping[type(known)]
    if "add_pooling_layer" in inspect.signature(network.__init__).parameters:
        return network(known, add_pooling_layer=False)
    return network(known)
