"""Find a weight file in torch's own cache (``TORCH_HOME``), or fetch it there."""

from __future__ import annotations

import re
import sys
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from mritk import Unavailable, Workspace

# A machine without a network should learn so at once; torch's own download waits without limit.
PATIENCE_S = 10.0

# torchvision's file names end in the first digits of their SHA-256.
DIGEST = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def locate(url: str, workspace: Workspace) -> Path:
    """Return the path of the weight file that ``url`` names; a cached copy is used as it is.

    A download goes to a temporary file, is checked against the digest in the file name, and is
    then renamed.

    Raises:
        Unavailable: The file is not here and the workspace is offline, or it cannot be fetched
            whole.
    """
    from torch import hub

    path = Path(hub.get_dir(), "checkpoints", _file_name(url))
    if path.is_file():
        return path
    if workspace.offline:
        raise _unavailable(url, path, "offline mode")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urlopen(Request(url, method="HEAD"), timeout=PATIENCE_S):
            pass
        hub.download_url_to_file(url, str(path), digest_in(url) or None, sys.stderr.isatty())
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: the digest is wrong
        raise _unavailable(url, path, str(error) or type(error).__name__) from error
    return path


def digest_in(url: str) -> str:
    """Return the first digits of the SHA-256 that the file name carries; empty if it has none."""
    found = DIGEST.search(_file_name(url))
    return found[1] if found else ""


def _file_name(url: str) -> str:
    return Path(urlparse(url).path).name


def _unavailable(url: str, path: Path, reason: str) -> Unavailable:
    digest = f"SHA-256 {digest_in(url)}…" if digest_in(url) else "digest unknown"
    return Unavailable(
        f"no {path.name} ({digest}) on this machine ({reason}); download {url} on a connected "
        f"machine and copy it to {path}"
    )
