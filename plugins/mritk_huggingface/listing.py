"""What a repository holds at one commit, as the hub states it, kept for use without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mritk import open_whole


@dataclass(frozen=True)
class StatedFile:
    """A file of a repository.

    Attributes:
        size: Bytes.
        digest: SHA-256 (64 digits) of a file in large-file storage, else git's SHA-1 (40 digits);
            empty if the hub states none.
    """

    size: int
    digest: str

    @property
    def sha256(self) -> str:
        """The SHA-256, or nothing where the hub states another digest."""
        return self.digest if len(self.digest) == 64 else ""


@dataclass(frozen=True)
class Listing:
    """A repository at one commit.

    Attributes:
        commit: The full name of the commit, 40 digits.
        files: Path in the repository to what is stated of it.
        license: As the card states it, or ``not stated``.
        datasets: The data that the card names, for models those seen in training.
    """

    commit: str
    files: Mapping[str, StatedFile]
    license: str
    datasets: tuple[str, ...] = ()

    @classmethod
    def from_hub(cls, info: Any) -> Listing:
        """Return what ``huggingface_hub``'s ``ModelInfo`` or ``DatasetInfo`` says."""
        files = {}
        for sibling in info.siblings or ():
            path = PurePosixPath(sibling.rfilename)
            if path.is_absolute() or ".." in path.parts:
                continue  # no repository has such a file; a hub that says so is not followed
            stated = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
            files[sibling.rfilename] = StatedFile(sibling.size or 0, stated or "")
        card = info.card_data.to_dict() if info.card_data else {}
        return cls(info.sha, files, _license(card), _texts(card.get("datasets")))

    @classmethod
    def read(cls, path: Path) -> Listing | None:
        """Return the listing kept in ``path``; None if there is none that can be read."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            files = {name: StatedFile(**stated) for name, stated in kept["files"].items()}
            return cls(kept["commit"], files, kept["license"], tuple(kept["datasets"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, path: Path) -> None:
        """Keep the listing in ``path``, whole or not at all."""
        with open_whole(path) as stream:
            stream.write(json.dumps(asdict(self)).encode())


def _license(card: Mapping[str, Any]) -> str:
    stated = _texts(card.get("license"))
    if stated == ("other",):
        stated = _texts(card.get("license_name")) or stated
    return ", ".join(stated) or "not stated"


def _texts(value: Any) -> tuple[str, ...]:
    """Return what a card holds under one key, which may be a text or a list of texts."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(str(text) for text in values if text)
