"""Keep glibc from giving large blocks of memory back to the system after each use, until told to.

Training allocates and frees the same large blocks in every step. By default glibc maps each of them
anew, and the kernel must clear every page again. Keeping them, EfficientNet-Lite0 trains at 224 px
and batch 32 with 28 instead of 15 images/s (2 cores of an AMD EPYC, torch 2.15, two interleaved
repetitions, 2026-11-22); at 96 px there is no difference.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# Parameters of mallopt(3), from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 1 << 30
LARGEST_INT = (1 << 31) - 1


def keep_large_blocks() -> bool:
    """Ask the allocator to keep blocks of up to 1 GiB; return whether it listened.

    It holds for the whole process, changes no number, and costs resident memory. Elsewhere than
    on Linux with glibc nothing happens.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    kept = mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) == 1
    return kept and mallopt(M_TRIM_THRESHOLD, LARGEST_INT) == 1


def return_free_blocks() -> bool:
    """Give what is free back to the system, between trainings; return whether any was.

    Else networks of several sizes, one after the other, leave gaps that none of them fits in: a
    process grows with its trials. Two GiB take half a second to return and to get anew.
    """
    malloc_trim = _of_glibc("malloc_trim")
    return malloc_trim is not None and malloc_trim(0) == 1


def _of_glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):  # another C library
        return None
