"""Replace the part of a text file between two marker comments."""

from __future__ import annotations

from pathlib import Path

from mritk.errors import UsageError
from mritk.whole_file import open_whole

BEGIN = "<!-- mritk leaderboard -->"
END = "<!-- end of mritk leaderboard -->"


def update(path: Path, text: str) -> bool:
    """Put ``text`` between the markers in the file; return whether that changed it.

    Raises:
        UsageError: The file does not exist, or does not hold each marker once, in order.
    """
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    begin, end = before.find(BEGIN), before.find(END)
    if before.count(BEGIN) != 1 or before.count(END) != 1 or end < begin:
        raise UsageError(
            f"{path} must hold the line '{BEGIN}' once, and below it '{END}' once; the table "
            f"goes between them"
        )
    after = f"{before[: begin + len(BEGIN)]}\n\n{text}\n\n{before[end:]}"
    if after == before:
        return False
    try:
        with open_whole(path) as stream:
            stream.write(after.encode())
            Path(stream.name).chmod(path.stat().st_mode)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    return True
