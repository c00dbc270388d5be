"""Names that say nothing, for those that say too much."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def pseudonyms(names: Iterable[str], form: str) -> dict[str, str]:
    """Return a pseudonym for each different name, numbered from 1 in the order of their SHA-256.

    The order depends on the names alone, not on files, and tells nothing that the alphabet would.
    The digests themselves are not used: whoever guesses a name could check the guess.

    >>> pseudonyms(["Mary", "John", "Mary"], "patient-{:04d}")
    {'John': 'patient-0001', 'Mary': 'patient-0002'}
    """
    ordered = sorted(set(names), key=_sha256)
    return {name: form.format(number) for number, name in enumerate(ordered, 1)}


def _sha256(name: str) -> bytes:
    # Names of folders that are not UTF-8 hold surrogates in place of such bytes.
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()
