"""Which spellings are one name, and which texts name nothing: one rule for all readers of data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

# What BIDS, pandas, spreadsheets and statistics programs write for a missing value, in lower case.
MISSING = frozenset(
    {"", "n/a", "na", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "#value!", "#ref!"}
)

# 3, 03 and 3.0 are one number; 1.10 may be the tenth patient of the first site, and stays.
WHOLE = re.compile(r"([+-]?\d{1,100})(?:\.0*)?", re.ASCII)

# Full-width characters; hyphens, dashes and the minus sign that word processors put for "-".
ASCII = {
    **{ord(char) + 0xFEE0: char for char in map(chr, range(0x21, 0x7F))},
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
}


def is_missing(text: str) -> bool:
    """Return whether ``text`` is a missing value: empty, ``n/a``, ``NaN``, ``NULL``, ….

    Case is ignored, except for ``None``: Python's missing value, while
    ``none`` is a common name for the class of healthy brains.

    >>> is_missing(" NaN "), is_missing("None"), is_missing("none"), is_missing("normal")
    (True, True, False, False)
    """
    bare = text.strip()
    return bare == "None" or bare.lower() in MISSING


def canonical_name(name: str) -> str:
    """Return the canonical name of a class, patient or site, used for comparison.

    Case, spaces, hyphens, underscores, dots between letters (R writes ``no.tumor``), the form of a
    whole number (``3``, ``03``, ``3.0``) and the Unicode form are ignored: NFC and NFD, full-width
    letters, dashes for hyphens, and characters without a width, which web pages and spreadsheets
    leave behind. A separator between digits is significant (``1-2`` is not ``12``), and so is a
    trailing hyphen (``IDH-`` is not ``IDH``).

    >>> canonical_name("No_Tumor") == canonical_name("no tumor")
    True
    >>> canonical_name("3.0") == canonical_name("3"), canonical_name("-1") == canonical_name("1")
    (True, False)
    """
    text = _plain(_plain(name).casefold())
    if number := WHOLE.fullmatch(text):
        return str(int(number[1]))
    text = re.sub(r"(?<=\d)[\s_-]+(?=\d)", "\0", text)
    text = re.sub(r"[\s_]|-(?!$)", "", text)
    return re.sub(r"(?<=[^\W\d])\.+(?=[^\W\d])", "", text)


def _plain(name: str) -> str:
    """Return a name without what has no width, and with ASCII for full-width and for dashes."""
    seen = "".join(char for char in name if unicodedata.category(char) != "Cf")
    return composed(seen.translate(ASCII)).strip()


def composed(name: str) -> str:
    """Return a name in the Unicode form NFC: é is one character, not e and an accent."""
    return unicodedata.normalize("NFC", name)


def first_alike(names: Iterable[str], form: Callable[[str], str]) -> tuple[str, str] | None:
    """Return the first name that has the form of an earlier, other one, behind that; else None.

    >>> first_alike(["a", "No Tumor", "no_tumor"], canonical_name)
    ('No Tumor', 'no_tumor')
    """
    first: dict[str, str] = {}
    pairs = ((first.setdefault(form(name), name), name) for name in names)
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Return for each name the first of ``names`` that is the same by :func:`canonical_name`.

    >>> one_spelling(["No Tumor", "glioma", "no_tumor"])
    {'No Tumor': 'No Tumor', 'glioma': 'glioma', 'no_tumor': 'No Tumor'}
    """
    first: dict[str, str] = {}
    return {name: first.setdefault(canonical_name(name), name) for name in dict.fromkeys(names)}


def spelling_variants(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of two or more names that differ in spelling only."""
    groups: dict[str, list[str]] = {}
    for name, first in one_spelling(names).items():
        groups.setdefault(first, []).append(name)
    return [group for group in groups.values() if len(group) > 1]
