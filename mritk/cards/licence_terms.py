"""What the licences of weights and data forbid or demand, as far as their names tell."""

from __future__ import annotations

import re

NOT_STORED = "not stored"
TERMS = (
    (r"(?<![a-z])nc(?![a-z])|non-?\s?commercial", "no commercial use (NC)"),
    (r"(?<![a-z])nd(?![a-z])|no-?\s?deriv", "no derivatives may be shared (ND)"),
    (r"(?<![a-z])[al]?gpl", "derived works must be shared under the same licence (GPL)"),
    (r"(?<![a-z])sa(?![a-z])|share-?\s?alike", "derivatives under the same licence (SA)"),
)
UNKNOWN = re.compile(r"^(not stated|not stored|unknown)\b|^(other)?$", re.IGNORECASE)

# The hub's names of licences (https://huggingface.co/docs/hub/repositories-licenses).
HUB = frozenset(
    [
        "apache-2.0",
        "mit",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-3.0",
        "cc-by-2.0",
        "cc-by-sa-4.0",
        "cc-by-sa-3.0",
        "cc-by-nc-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nc-sa-3.0",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "agpl-3.0",
        "mpl-2.0",
        "unlicense",
        "wtfpl",
        "isc",
    ]
)


def terms_of(license_text: str) -> list[str]:
    """Return what a licence is known to forbid or demand, one phrase each; a hint, not advice."""
    text = license_text.lower()
    if UNKNOWN.match(license_text.strip()):
        return ["no licence stated: ask the publisher before sharing"]
    return [phrase for pattern, phrase in TERMS if re.search(pattern, text)]


def hub_fields(license_text: str) -> dict[str, str]:
    """Return what the front matter of a card on the hub says of a licence."""
    name = hub_license(license_text)
    return {"license": name} | ({"license_name": license_text} if name == "other" else {})


def hub_license(license_text: str) -> str:
    """Return the hub's name of a licence; ``other`` where it has none."""
    name = re.sub(r"[\s_]+", "-", license_text.strip().lower())
    return name if name in HUB else "other"
