"""Say what to do when the client of the Hugging Face hub fails though the hub was reached."""

from __future__ import annotations

from errno import EDQUOT, ENOSPC

from mritk import Unavailable

FULL = (ENOSPC, EDQUOT)

# The client changed its HTTP library twice, so errors of one kind share their name at most.
BROKEN_OFF = ("ChunkedEncodingError", "ReadError", "ReadTimeout", "RemoteProtocolError")


def failed_here(error: Exception, what: str) -> Unavailable | None:
    """Return what to say if the cache cannot be written, or the hub was reached but failed.

    Args:
        error: What the client raised.
        what: What was asked for.
    """
    if isinstance(error, OSError) and (error.filename is not None or error.errno in FULL):
        return cannot_write(error)
    if any(_passes(each) for each in (error, error.__cause__)):
        return Unavailable(
            f"the hub failed to send {what} ({first_line(error.__cause__ or error)}); wait a "
            "moment and repeat the command"
        )
    return None


def cannot_write(error: OSError) -> Unavailable:
    """Return what to say if Hugging Face's cache cannot be written."""
    from huggingface_hub import constants

    return Unavailable(
        f"cannot write to {constants.HF_HUB_CACHE}: {error.strerror or error}; set HF_HOME to a "
        "writable folder"
    )


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; an error without words by its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(" .:")


def _passes(error: BaseException | None) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None) or 0
    return status in (408, 429) or status >= 500 or type(error).__name__ in BROKEN_OFF
