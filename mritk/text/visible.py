"""Text from names, files and plugins, safe to be shown on a terminal."""

from __future__ import annotations

import re

# Control characters but for tabs and ends of lines; marks that turn the direction of writing;
# ends of lines that only some programs take for such; lone surrogates, which stand for bytes of
# file names that are not UTF-8 and cannot be encoded.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff]|\r(?!\n)"
)


def visible(text: str) -> str:
    """Return the text with everything that a terminal would obey written as ``\\u001b``.

    A name that holds escape sequences could otherwise recolour or overwrite what stands on the
    screen, or set the clipboard of whoever looks.
    """
    return INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
