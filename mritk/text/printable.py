"""Text for an output that lacks characters: plain ASCII of the same meaning, or the escape."""

from __future__ import annotations

import codecs
from contextvars import ContextVar

# Signs of tables. Others may be of names, in which an escape is the clearer.
PLAIN = {
    "·": ".", "–": "-", "−": "-", "×": "x", "±": "+-", "²": "2", "κ": "kappa", "χ": "chi",
    "↑": "^", "↓": "v", "▲": "^", "▼": "v", "✗": "x", "≤": "<=", "≥": ">=",
    "†": "+", "‡": "++", "◊": "<>",
}  # fmt: skip
# How a codec is told to write so.
ERRORS = "mritk.plain_or_escaped"
# That of the output for which tables are laid out.
encoding: ContextVar[str] = ContextVar("encoding", default="utf-8")


def _plain_or_escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(escaped), error.end


codecs.register_error(ERRORS, _plain_or_escaped)


def printable(text: str) -> str:
    """Return what the output shows of a text.

    >>> token = encoding.set("ascii")
    >>> printable("κ ↑ of é")
    'kappa ^ of \\\\xe9'
    >>> encoding.reset(token)
    """
    return text.encode(encoding.get(), ERRORS).decode(encoding.get())
