"""Say in one line why something of the hub cannot be had, and what to type next."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from mritk import Unavailable
from mritk_timm.hub_error import failed_here, first_line

if TYPE_CHECKING:
    from mritk_huggingface.repository import Repository


def refused(repository: Repository, error: Exception) -> Unavailable:
    """Return the error to raise when the hub, or the way to it, answered with ``error``."""
    from huggingface_hub import errors

    where = f"{repository.kind} {repository.name}"
    if isinstance(error, errors.GatedRepoError):
        return Unavailable(
            f"the {where} is gated; accept its conditions at {repository.page}, then run 'hf auth "
            "login' and repeat the command"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return Unavailable(
            f"the hub has no public {where}; check the name at {repository.page}, or, if it is "
            "private, run 'hf auth login' and repeat the command"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return Unavailable(
            f"the {where} has no revision {repository.revision!r}; its branches, tags and commits "
            f"are listed at {repository.page}/tree/main"
        )
    response = getattr(error, "response", None)
    if getattr(response, "status_code", None) in (401, 403):
        return Unavailable(
            f"the hub denies access to the {where}; run 'hf auth login' with an account that can "
            f"read {repository.page}, and repeat the command"
        )
    return failed_here(error, f"the {where}") or absent(repository, first_line(error))


def absent(repository: Repository, reason: str) -> Unavailable:
    """Return the error to raise when ``repository`` is not on this machine and not to be fetched.

    Args:
        repository: What was asked for.
        reason: Why it cannot be fetched, or what of it is missing.
    """
    option = "--backbone" if repository.kind == "model" else "--dataset"
    return Unavailable(
        f"the {repository.kind} {repository.name} is not (completely) on this machine ({reason}); "
        f"run 'mritk fetch {option} {repository.written}' on a connected machine and copy the "
        f"folder {repository.folder.name} of its Hugging Face cache into "
        f"{repository.folder.parent}"
    )


def require(library: str, what: str) -> None:
    """Do nothing if ``library`` is installed.

    Args:
        library: Name of the Python package.
        what: What needs it.

    Raises:
        Unavailable: It is not installed.
    """
    if find_spec(library) is None:
        raise Unavailable(
            f"{what} needs the package {library}, which is not installed; run python -m pip "
            "install 'mritk-bench[huggingface]'"
        )
