"""From a repository of a model to an architecture with weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from mritk import Architecture, UsageError, Weights, Workspace
from mritk_huggingface.listing import Listing
from mritk_huggingface.options import BackboneOptions
from mritk_huggingface.repository import Repository
from mritk_huggingface.timm_model import TimmModel
from mritk_huggingface.transformers_model import TransformersModel

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
FILES = ("model.safetensors", "pytorch_model.bin")

# Digits of a commit in the name of weights.
SHORT = 12


def backbone_records(
    name: str, options: BackboneOptions, workspace: Workspace
) -> Iterator[Architecture | Weights]:
    """Yield the architecture ``hf:ORG/REPO`` and its weights, which are called by their commit.

    Other commits that are on this machine and have the same configuration are offered as well, so
    that a stored result finds its weights after ``main`` has moved on.

    Raises:
        Unavailable: The repository, or the library for it, cannot be had.
        UsageError: It holds no model that mritk can build.
    """
    repository = Repository("model", name, options.revision)
    listing = repository.listing(workspace)
    model = _model(repository, listing, workspace)
    weights = [_weights(repository, listing, model)]
    for other in repository.kept_listings():
        if other.commit != listing.commit and _same_model(other, listing):
            weights.append(_weights(repository, other, model))
    yield Architecture(
        f"hf:{name}",
        model.build,
        model.input(),
        model.stages,
        default_weights=weights[0].name,
        summary=model.summary,
    )
    yield from weights


def _model(
    repository: Repository, listing: Listing, workspace: Workspace
) -> TimmModel | TransformersModel:
    where = f"hf:{repository.name}"
    config = _json(repository, CONFIG, listing, workspace)
    if "architecture" in config:
        return TimmModel.from_config(config, where)
    if "model_type" in config:
        preprocessor = _json(repository, PREPROCESSOR, listing, workspace)
        return TransformersModel.from_config(config, preprocessor, where)
    raise UsageError(
        f"the {CONFIG} of {where} names neither a timm architecture nor a model type of "
        "transformers; other models of the hub are not supported"
    )


def _weights(
    repository: Repository, listing: Listing, model: TimmModel | TransformersModel
) -> Weights:
    file = _weight_file(repository, listing)
    return Weights(
        f"hf:{repository.name}",
        listing.commit[:SHORT],
        partial(repository.file, file, listing),
        model.input(),
        sha256=listing.files[file].sha256,
        rename=model.tensors,
        license=listing.license,
        pretrained_on=listing.datasets,
        citation=f"{repository.page}/tree/{listing.commit}",
        summary=f"{file} of {repository.name} at commit {listing.commit}; {model.summary}",
    )


def _weight_file(repository: Repository, listing: Listing) -> str:
    for file in FILES:
        if file in listing.files:
            return file
    split = any(f"{file}.index.json" in listing.files for file in FILES)
    raise UsageError(
        f"hf:{repository.name} has {'its weights in several files' if split else 'no weights'}; "
        f"only {' or '.join(FILES)} is supported, because its digest identifies the weights"
    )


def _same_model(one: Listing, other: Listing) -> bool:
    files = (CONFIG, PREPROCESSOR)
    configured = all(one.files.get(name) == other.files.get(name) for name in files)
    return configured and any(file in one.files for file in FILES)


def _json(
    repository: Repository, file: str, listing: Listing, workspace: Workspace
) -> Mapping[str, Any]:
    """Return the content of a JSON file of the repository.

    Raises:
        UsageError: There is no such file, or it is no JSON object.
    """
    if file not in listing.files:
        raise UsageError(
            f"hf:{repository.name} has no {file}, so "
            f"{'its architecture' if file == CONFIG else 'the input of its weights'} is unknown; "
            "use a repository that has one"
        )
    path = repository.file(file, listing, workspace)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} of hf:{repository.name} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} of hf:{repository.name} is not a JSON object")
    return content
