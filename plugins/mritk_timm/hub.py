"""Find a weight file in the cache of the Hugging Face hub, or fetch it."""

from __future__ import annotations

import re
from pathlib import Path

from mritk import Unavailable, Workspace, sha256_of
from mritk_timm.hub_error import failed_here, first_line

SAFETENSORS = "model.safetensors"

# A machine without a network should learn so at once, not after the client's rounds of retries.
PATIENCE_S = 10.0

SHA256 = re.compile(r"[0-9a-f]{64}")


def locate_on_hub(repository: str, workspace: Workspace, filename: str = SAFETENSORS) -> Path:
    """Return the path of ``filename`` of a hub repository; a cached copy is used as it is.

    Raises:
        Unavailable: The file is not here and the workspace is offline, the hub does not answer or
            does not have it, or the cache cannot be written; or it does not have the SHA-256 that
            the hub states.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, filename)
    if isinstance(cached, str):
        path = Path(cached)
    elif workspace.offline:
        raise _unavailable(repository, filename, "offline mode")
    else:
        path = _fetch(repository, filename)
    _refuse_damaged(path, repository, filename)
    return path


def _fetch(repository: str, filename: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    try:
        get_hf_file_metadata(hf_hub_url(repository, filename), timeout=PATIENCE_S)
        return Path(hf_hub_download(repository, filename))
    except Exception as error:
        # The client changed its HTTP library twice, so its connection errors share no closer class.
        told = failed_here(error, f"{filename} of {repository}")
        raise told or _unavailable(repository, filename, first_line(error)) from error


def _refuse_damaged(path: Path, repository: str, filename: str) -> None:
    # The cache names the file that stands behind the link by the hub's digest of it, which for
    # large files is the SHA-256.
    stated = path.resolve().name
    if not SHA256.fullmatch(stated):
        return
    digest = sha256_of(path)
    if digest != stated:
        raise Unavailable(
            f"{filename} of {repository} has SHA-256 {digest[:16]}…, but the hub states "
            f"{stated[:16]}…; the file is damaged: delete {path.resolve()} and download it again "
            f"with '{_command(repository, filename)}'"
        )


def _unavailable(repository: str, filename: str, reason: str) -> Unavailable:
    from huggingface_hub import constants

    folder = "models--" + repository.replace("/", "--")
    return Unavailable(
        f"no {filename} of {repository} on this machine ({reason}); its SHA-256 is listed at "
        f"https://huggingface.co/{repository}/blob/main/{filename}; run "
        f"'{_command(repository, filename)}' on a connected machine and copy the folder {folder} "
        f"from its cache into {constants.HF_HUB_CACHE}"
    )


def _command(repository: str, filename: str) -> str:
    return f"hf download {repository} {filename}"
