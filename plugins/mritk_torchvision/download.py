"""Find a weight file in torch's own cache (``TORCH_HOME``), or fetch it there."""

from __future__ import annotations

import re
from pathlib import Path

from mritk import Workspace, fetch_file

# torchvision's file names end in the first digits of their SHA-256.
DIGEST = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def locate(url: str, workspace: Workspace) -> Path:
    """Return the path of the weight file that ``url`` names, proven by the digest in its name.

    Raises:
        Unavailable: The file is not here and the workspace is offline; it cannot be fetched whole;
            or it is damaged.
    """
    from torch import hub

    path = Path(hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    return fetch_file(url, path, sha256=digest_in(url), workspace=workspace)


def digest_in(url: str) -> str:
    """Return the first digits of the SHA-256 that the file name carries; empty if it has none."""
    found = DIGEST.search(url)
    return found[1] if found else ""
