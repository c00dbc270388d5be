"""Independent random seeds, derived by name."""

from __future__ import annotations

import hashlib
import json


def derive(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) that is a function of ``parts`` alone.

    Seeds of different parts are independent, so adding a new consumer of randomness never
    changes the draws of the others.
    """
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
