"""A repository of the Hugging Face hub, and the part of it that is on this machine.

Files lie in Hugging Face's own cache, where its other tools find them. Beside them, in the folder
``mritk``, stand listings: which commit a revision meant when it was first asked for, and size and
digest of every file as the hub stated them. So a result stays bound to its commit, an interrupted
download is noticed without a network, and copying one folder moves all of it to another machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from mritk import Unavailable, UsageError, Workspace, sha256_of
from mritk_huggingface.absent import absent, refused
from mritk_huggingface.listing import Listing, StatedFile
from mritk_timm.hub_error import cannot_write

NAME = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)

# Other files with these endings are no data.
TEXT_SUFFIXES = (".csv", ".jsonl", ".md")

# A machine without a network should learn so soon.
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Repository:
    """A repository.

    Attributes:
        kind: What the hub calls its type.
        name: ``ORG/REPO``.
        revision: Branch, tag or commit that is wanted; empty: ``main``.
    """

    kind: Literal["model", "dataset"]
    name: str
    revision: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no name of a repository."""
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"hf:{self.name} is not a repository; use hf:ORG/REPO, as in its URL "
                "https://huggingface.co/ORG/REPO"
            )

    @property
    def written(self) -> str:
        """How it is written on the command line."""
        return f"hf:{self.name}" + (f",revision={self.revision}" if self.revision else "")

    @property
    def page(self) -> str:
        """The address for people."""
        return "https://huggingface.co/" + ("datasets/" * (self.kind == "dataset")) + self.name

    @property
    def folder(self) -> Path:
        """Its folder in Hugging Face's cache."""
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.name.replace('/', '--')}"

    def listing(self, workspace: Workspace) -> Listing:
        """Return what the repository holds at its revision; a listing once kept is used as it is.

        Raises:
            Unavailable: It is not kept and the hub cannot be asked, or refuses.
        """
        from huggingface_hub import HfApi

        revision = self.revision or "main"
        if (kept := Listing.read(self._listing_path(revision))) is not None:
            return kept
        if workspace.offline:
            raise absent(self, "offline mode")
        try:
            info = HfApi().repo_info(
                self.name,
                repo_type=self.kind,
                revision=revision,
                files_metadata=True,
                timeout=PATIENCE_S,
            )
            listing = Listing.from_hub(info)
        except Exception as error:
            # The client changed its HTTP library twice: its connection errors share no class.
            raise refused(self, error) from error
        self._keep(listing, (revision, listing.commit))
        return listing

    def kept_listings(self) -> Iterator[Listing]:
        """Yield the listings of all commits that were asked for on this machine."""
        for path in sorted(self._listing_path("main").parent.glob("*.json")):
            listing = Listing.read(path)
            if listing is not None and path.stem == listing.commit:
                yield listing

    def file(self, name: str, listing: Listing, workspace: Workspace) -> Path:
        """Return the path of the file ``name`` at the commit of ``listing``, fetched if need be.

        Raises:
            Unavailable: It is not here and cannot be fetched; or it is not what the hub states.
        """
        from huggingface_hub import hf_hub_download

        path = self.snapshot(listing) / name
        if not path.is_file():
            if workspace.offline:
                raise absent(self, f"offline mode, no {name}")
            try:
                hf_hub_download(self.name, name, repo_type=self.kind, revision=listing.commit)
            except Exception as error:
                raise refused(self, error) from error
        self._refuse_damaged(path, listing.files[name])
        return path

    def files(self, names: Iterable[str], listing: Listing, workspace: Workspace) -> Path:
        """Return the folder that holds all files ``names``, fetched if need be.

        Raises:
            Unavailable: Some are not here and cannot be fetched, or are not what the hub states.
        """
        from huggingface_hub import snapshot_download

        folder, names = self.snapshot(listing), list(names)
        missing = [name for name in names if not (folder / name).is_file()]
        if missing and workspace.offline:
            raise absent(self, f"offline mode, {len(missing)} of {len(names)} files are missing")
        if missing:
            try:
                snapshot_download(
                    self.name,
                    repo_type=self.kind,
                    revision=listing.commit,
                    allow_patterns=sorted({_pattern(name) for name in missing}),
                )
            except Exception as error:
                raise refused(self, error) from error
        for name in names:
            self._refuse_damaged(folder / name, listing.files[name])
        return folder

    def snapshot(self, listing: Listing) -> Path:
        """Return the folder of the files at the commit of ``listing``, which may not exist."""
        return self.folder / "snapshots" / listing.commit

    def _keep(self, listing: Listing, revisions: Iterable[str]) -> None:
        try:
            for revision in revisions:
                listing.write(self._listing_path(revision))
        except OSError as error:
            raise cannot_write(error) from error

    def _listing_path(self, revision: str) -> Path:
        return self.folder / "mritk" / f"{quote(revision, safe='')}.json"

    def _refuse_damaged(self, path: Path, stated: StatedFile) -> None:
        if not path.is_file():
            raise absent(self, f"no {path.name}")
        if path.stat().st_size == stated.size and _digest(path, stated) == stated.digest:
            return
        raise Unavailable(
            f"{path.name} of the {self.kind} {self.name} does not match the hub ({stated.size} "
            f"bytes, digest {stated.digest[:16]}…); the file is damaged: delete {path.resolve()} "
            "and repeat the command"
        )


def _pattern(name: str) -> str:
    """Return a pattern for a file; images are so many that each kind of them shares one."""
    path = Path(name)
    return escape(name) if path.suffix in TEXT_SUFFIXES else f"*{path.suffix}"


def _digest(path: Path, stated: StatedFile) -> str:
    """Return the digest of a file, of the kind that is stated of it."""
    if not stated.digest:
        return ""
    if stated.sha256:
        return sha256_of(path)
    # git hashes small files behind a header; https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
