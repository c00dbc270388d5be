"""How much of the data comes from outside: from another institution than the home one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

logger = logging.getLogger("mritk")


def outside_shares(parts: Mapping[str, Sequence[str] | None], home: str = "") -> dict[str, Any]:
    """Return the home site, and per part the share of samples from other sites.

    Samples of no known site count for nothing.

    Args:
        parts: The sites of the samples of each part, ``train`` among them; empty or None: not
            known.
        home: The home site; empty: the most frequent one of ``train``, the first by name of
            equally frequent ones.

    Returns:
        ``{"home_site": …, "outside": {"train": 0.37, …}}``; empty where sites are not known.
    """
    named = {name: [site for site in sites or () if site] for name, sites in parts.items()}
    known = {name: sites for name, sites in named.items() if sites}
    if "train" not in known:
        return {}
    counts = Counter(known["train"])
    home = home or min(counts, key=lambda site: (-counts[site], site))
    shares = {
        name: sum(site != home for site in sites) / len(sites) for name, sites in known.items()
    }
    return {"home_site": home, "outside": shares}


def warn_of_home(home: str, *parts: Sequence[str] | None) -> None:
    """Warn if no sample of the parts is from ``home``; of a split by site, that is true of a fold.

    Args:
        home: The home site; empty: none was chosen.
        parts: The sites of the samples of each part; None: not known.
    """
    known = sorted({site for sites in parts for site in sites or ()} - {""})
    if home and known and home not in known:
        logger.warning(
            "no training or validation sample is from home_site %r, so the notes call all of them "
            "outside; if that is not as meant, set it to one of %s",
            home,
            ", ".join(known),
        )
