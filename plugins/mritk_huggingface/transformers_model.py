"""An image encoder of the library transformers, described by a repository's ``config.json``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mritk import InputContract, StateDict, UsageError, one_line
from mritk_huggingface.absent import require
from mritk_huggingface.blocks import numbered_blocks
from mritk_huggingface.pooled_encoder import PooledEncoder
from mritk_huggingface.preprocessor import contract_of

# Name of the encoder in the network that pools its features.
ENCODER = "encoder."


@dataclass(frozen=True)
class TransformersModel:
    """An image encoder as a repository describes it.

    Attributes:
        config: Content of ``config.json``.
        preprocessor: Content of ``preprocessor_config.json``.
    """

    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any]
    stages = staticmethod(numbered_blocks)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], preprocessor: Mapping[str, Any], where: str
    ) -> TransformersModel:
        """Return the encoder that ``config`` names.

        Raises:
            Unavailable: The library transformers is not installed.
            UsageError: It has no such model, or the model does not take images.
        """
        require("transformers", where)
        import transformers
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        kind = config["model_type"]
        if kind not in CONFIG_MAPPING:
            raise UsageError(
                f"{where} is of model type {kind!r}, which transformers "
                f"{transformers.__version__} does not have; code of the repository is never "
                "executed; try a newer version: python -m pip install -U transformers"
            )
        model = cls(config, preprocessor)
        try:
            published = model._published()
        except Exception as error:  # each configuration of the library checks itself in its own way
            raise UsageError(
                f"the config.json of {where} cannot be used: {one_line(error)}"
            ) from error
        if published is None or published.main_input_name != "pixel_values":
            raise UsageError(
                f"{where} is of model type {kind!r}, which is not an image encoder; use a model "
                "that takes only images, such as vit, dinov2, convnextv2, resnet, swin or beit"
            )
        return model

    @property
    def summary(self) -> str:
        """What it is, for listings."""
        return (
            f"transformers' {self.config['model_type']}; features: pooler_output, else the class "
            f"token, else the mean over tokens"
        )

    def build(self) -> nn.Module:
        """Return the encoder without head: (N, C, H, W) becomes features (N, D)."""
        published = self._published()
        return PooledEncoder(_encoder(published(self._settings())))

    def input(self) -> InputContract:
        """See :func:`mritk_huggingface.preprocessor.contract_of`."""
        return contract_of(self.preprocessor, self.config)

    def tensors(self, found: StateDict) -> StateDict:
        """Return the tensors of the encoder out of those of the published model.

        The library itself reads them, because it renames and splits tensors of older files. The
        published model's own head is what it has outside of its base model; it is dropped, and so
        are tensors outside the prefix of the base model in a file that uses the prefix. All else is
        kept under its name in the file, or left missing, and refused on loading.
        """
        published = _strict(self._published())
        with _silence():
            model, notes = published.from_pretrained(
                None,
                config=self._settings(),
                state_dict=dict(found),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        encoder, prefix = _encoder(model), f"{model.base_model_prefix}."
        # Where the prefix names a part of the encoder, tensors outside of it belong to it too.
        whole = encoder is model.base_model
        prefixed = whole and any(name.startswith(prefix) for name in found)
        scope = "" if encoder is model else prefix
        own = {f"{scope}{name}": name for name in encoder.state_dict()}
        tensors = model.state_dict()
        kept = {
            f"{ENCODER}{name}": tensors[full]
            for full, name in own.items()
            if full not in notes["missing_keys"]
        }
        for name, shape, *_ in notes["mismatched_keys"]:
            if name in own:
                kept[f"{ENCODER}{own[name]}"] = torch.empty(shape, device="meta")
        for name in notes["unexpected_keys"]:
            if name.startswith(prefix) or not prefixed:
                kept[name] = torch.empty(0)
        return kept

    def _settings(self) -> Any:
        """Return the library's configuration, without references to code of the repository."""
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        plain = {key: value for key, value in self.config.items() if key != "auto_map"}
        settings = CONFIG_MAPPING[plain["model_type"]].from_dict(plain)
        if hasattr(settings, "mask_ratio"):  # also where the file leaves out the library's default
            settings.mask_ratio = 0.0  # masked autoencoders would hide most of each image
        return settings

    def _published(self) -> Any:
        """Return the library's class whose tensors the file holds; None if there is none."""
        import transformers

        for name in self.config.get("architectures") or ():
            found = getattr(transformers, str(name), None)
            if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
                return found
        from transformers.models.auto.modeling_auto import MODEL_MAPPING

        return MODEL_MAPPING.get(type(self._settings()), None)


def _encoder(model: Any) -> Any:
    """Return what takes the images: the base model, or the model where that is a part of it.

    What DINOv3 and Sapiens2 call their base model takes the embedded patches.
    """
    takes = inspect.signature(model.base_model.forward).parameters
    return model.base_model if "pixel_values" in takes else model


def _strict(published: Any) -> Any:
    """Return the class without its list of tensors that may be missing unnoticed.

    Each instance collects such a list from its parts, so it is made to stay empty there. The list
    of tensors that may be left over stays: files hold tables that the networks now compute.
    """
    empty = property(lambda model: set(), lambda model, value: None)
    # The library translates older files for its own modules and classes only.
    names = {"_keys_to_ignore_on_load_missing": empty, "__module__": published.__module__}
    return type(published.__name__, (published,), names)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the library's progress bar and report off the screen: mritk gives its own report."""
    from transformers.utils import logging

    before, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(50)  # critical
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if shown:
            logging.enable_progress_bar()
