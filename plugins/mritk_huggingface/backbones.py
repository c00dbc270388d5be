"""Backbones ``hf:ORG/REPO``: the network of timm or transformers that config.json describes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mritk import Architecture, Unavailable, Weights, Workspace
from mritk_huggingface import timm_model, transformers_model
from mritk_huggingface.hub import (
    find_file,
    license_of,
    read_card,
    require_repository,
    unavailable,
)

# Safetensors first: reading them cannot run code.
FILES = ("model.safetensors", "pytorch_model.bin")
COMMIT_DIGITS = 8


@dataclass(frozen=True)
class At:
    """Which state of a repository: a branch, a tag or a commit."""

    revision: str = "main"


def resolve_backbone(
    member: str, options: At, workspace: Workspace
) -> Iterator[Architecture | Weights]:
    """Yield the architecture ``hf:ORG/REPO``, and its weights, called by their commit.

    Raises:
        LookupError: That is no name of a repository.
        Unavailable: It cannot be had, or needs a network that mritk does not run.
    """
    repository = require_repository(member)
    path = find_file(repository, "config.json", options.revision, workspace)
    if path is None:
        raise unavailable(repository, "model", "it has no config.json, so no known network")
    config = _read_json(path, repository)
    commit = path.parent.name
    kind = timm_model if "architecture" in config else transformers_model
    kind.require_known(config, repository)
    contract = kind.contract(config, _preprocessing(repository, commit, workspace))
    card = read_card(repository, commit, workspace)
    name = f"hf:{repository}"
    yield Architecture(
        name,
        partial(kind.build, config),
        contract,
        default_weights=commit[:COMMIT_DIGITS],
        summary=f"{kind.describe(config)} of {repository}",
    )
    yield Weights(
        name,
        commit[:COMMIT_DIGITS],
        partial(locate, repository, commit),
        contract,
        rename=partial(kind.rename, config),
        license=license_of(card),
        pretrained_on=_collections(card),
        citation=f"https://huggingface.co/{repository}/tree/{commit}",
        summary=f"{repository} at commit {commit[:COMMIT_DIGITS]}",
    )


def locate(repository: str, commit: str, workspace: Workspace) -> Path:
    """Return the path of the weight file at a commit."""
    for name in FILES:
        if (path := find_file(repository, name, commit, workspace)) is not None:
            return path
    raise unavailable(repository, "model", f"it has neither {' nor '.join(FILES)}")


def _preprocessing(repository: str, commit: str, workspace: Workspace) -> Mapping[str, Any]:
    try:
        path = find_file(repository, "preprocessor_config.json", commit, workspace)
    except Unavailable:
        return {}
    return _read_json(path, repository) if path else {}


def _read_json(path: Path, repository: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise unavailable(repository, "model", f"{path.name} is no JSON ({error})") from error
    return content if isinstance(content, dict) else {}


def _collections(card: Mapping[str, Any]) -> tuple[str, ...]:
    named = card.get("datasets") or ()
    return (named,) if isinstance(named, str) else tuple(str(name) for name in named)
