"""Replace the part of a text file between two marker comments."""

from __future__ import annotations

from pathlib import Path

from mritk.errors import UsageError
from mritk.files.atomic import open_whole

BEGIN = "<!-- mritk leaderboard -->"
END = "<!-- end of mritk leaderboard -->"


def update(path: Path, text: str) -> bool:
    """Put ``text`` between the markers in the file; return whether that changed it.

    Everything else in the file stays as it is, byte for byte; the text gets the ends of lines of
    the file (LF or CRLF). A symbolic link stays one: what it leads to is rewritten.

    Raises:
        UsageError: The file does not exist, is not UTF-8, or does not hold each marker once, in
            order; the text holds a marker, so that the file could never be updated again.
    """
    for marker in (BEGIN, END):
        if marker in text:
            raise UsageError(
                f"a name in the table contains '{marker}', the marker used in {path}; rename it, "
                "or use --format github, which escapes names"
            )
    before = _read(path)
    begin, end = before.find(BEGIN), before.find(END)
    if before.count(BEGIN) != 1 or before.count(END) != 1 or end < begin:
        raise UsageError(
            f"{path} must contain the line '{BEGIN}' once, and below it '{END}' once; the table "
            "is written between them"
        )
    between = f"\n\n{text}\n\n"
    if "\r\n" in before:
        between = between.replace("\n", "\r\n")
    after = f"{before[: begin + len(BEGIN)]}{between}{before[end:]}"
    if after == before:
        return False
    _write(path, after)
    return True


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); save "
            "it as UTF-8 and try again"
        ) from error


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays one
    try:
        with open_whole(target) as stream:
            stream.write(text.encode())
            Path(stream.name).chmod(target.stat().st_mode)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
