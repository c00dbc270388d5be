"""Files of repositories on the Hugging Face Hub, from its cache or fetched, with their digests."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from mritk import Unavailable, Workspace, sha256_of

SHA256, GIT_SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
# A machine without a network should learn so at once, not after the client's rounds of retries.
PATIENCE_S = 10.0
PREFIX = {"model": "", "dataset": "datasets/"}
OPTION = {"model": "--backbone", "dataset": "--dataset"}


def require_repository(name: str) -> str:
    """Return the name of a repository.

    Raises:
        LookupError: It is not written ``ORG/REPO``.
    """
    if not REPOSITORY.fullmatch(name):
        raise LookupError(f"{name!r} is no repository; write ORG/REPO")
    return name


def find_file(
    repository: str, name: str, revision: str, workspace: Workspace, kind: str = "model"
) -> Path | None:
    """Return the path of a file in the hub's cache, fetched if need be; None: there is none.

    A cached copy is used as it is. The name of its folder is the commit.

    Raises:
        Unavailable: The repository cannot be had, or the file is damaged.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    cached = try_to_load_from_cache(repository, name, revision=revision, repo_type=kind)
    if isinstance(cached, str):
        return verified(Path(cached), repository, kind)
    if cached is not None:
        return None  # the cache knows that this commit has no such file
    if workspace.offline:
        raise unavailable(repository, kind, f"{name} is not on this machine, and it is offline")
    try:
        found = hf_hub_download(
            repository, name, revision=revision, repo_type=kind, etag_timeout=PATIENCE_S
        )
    except LocalEntryNotFoundError as error:
        raise unavailable(repository, kind, _reason(error.__cause__ or error)) from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # the client changed its HTTP library twice
        raise unavailable(repository, kind, _reason(error)) from error
    return verified(Path(found), repository, kind)


def find_snapshot(
    repository: str, revision: str, patterns: list[str], workspace: Workspace
) -> Path:
    """Return the folder with all files of a dataset that match ``patterns``.

    Raises:
        Unavailable: They cannot be had, or one is damaged.
    """
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=patterns,
            etag_timeout=PATIENCE_S,
            local_files_only=workspace.offline,
        )
    except Exception as error:
        raise unavailable(repository, "dataset", _reason(error)) from error
    folder = Path(found)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            verified(path, repository, "dataset")
    return folder


def verified(path: Path, repository: str, kind: str) -> Path:
    """Return ``path`` if its content has the digest that the hub states.

    The cache calls the file behind a link by that digest: the SHA-256 of large files, git's SHA-1
    of small ones.

    Raises:
        Unavailable: It has not.
    """
    stated = path.resolve().name
    if SHA256.fullmatch(stated):
        digest = sha256_of(path)
    elif GIT_SHA1.fullmatch(stated):
        content = path.read_bytes()
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    else:
        return path
    if digest == stated:
        return path
    raise unavailable(
        repository,
        kind,
        f"{path.name} is damaged: its digest is {digest[:12]}…, the hub states {stated[:12]}…; "
        f"delete {path.resolve()}",
    )


def read_card(
    repository: str, revision: str, workspace: Workspace, kind: str = "model"
) -> dict[str, Any]:
    """Return the front matter of the README; empty where there is none, or it cannot be had."""
    from huggingface_hub import RepoCard

    try:
        path = find_file(repository, "README.md", revision, workspace, kind)
        text = path.read_text(encoding="utf-8") if path else ""
        return dict(RepoCard(text, ignore_metadata_errors=True).data.to_dict())
    except Exception:
        return {}  # a card is prose of somebody; nothing depends on it but what tables show


def license_of(card: dict[str, Any]) -> str:
    """Return the licence that a card states."""
    return str(card.get("license_name") or card.get("license") or "not stated")


def unavailable(repository: str, kind: str, reason: str) -> Unavailable:
    """Return the error that says how to get a repository."""
    from huggingface_hub import constants

    folder = f"{kind}s--{repository.replace('/', '--')}"
    return Unavailable(
        f"hf:{repository} cannot be used: {reason.rstrip(' .')}; on a connected machine, 'mritk "
        f"fetch {OPTION[kind]} hf:{repository}' gets it (for a gated repository after 'hf auth "
        f"login'), and its folder {folder} goes into {constants.HF_HUB_CACHE}"
    )


def _reason(error: BaseException) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    known = {
        GatedRepoError: "its owner gives it only to those who asked for it on its page",
        RepositoryNotFoundError: "there is no such repository, or it is private",
        RevisionNotFoundError: "it has no such revision",
        LocalEntryNotFoundError: "it is not on this machine, or not whole, and it is offline",
    }
    for kind, text in known.items():
        if isinstance(error, kind):
            return text
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
