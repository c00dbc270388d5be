"""Whether the pixels of a file can be decoded here, and what to install if not."""

from __future__ import annotations

from functools import cache

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGExtended12Bit

EXTRA = "python -m pip install 'mritk-bench[dicom]'"

# The one decoder that pydicom lets near JPEG of 12 bits is under the GPL, so no extra brings it.
TWELVE_BITS = "python -m pip install pylibjpeg pylibjpeg-libjpeg (GPL-3.0)"


@cache
def missing_decoder(syntax: str, bits_stored: int) -> str:
    """Return what is missing to decode pixels, and what to type; empty if nothing is.

    Args:
        syntax: TransferSyntaxUID; empty: not stated.
        bits_stored: Bits per pixel.
    """
    uid = UID(syntax)
    if not syntax or not uid.is_transfer_syntax or not uid.is_compressed:
        return ""
    stored = f"its pixels are compressed as {uid.name}"
    try:
        decoder = get_decoder(uid)
    except NotImplementedError:
        return (
            f"{stored}, which pydicom cannot decode; convert the file (dcmconv, or gdcmconv --raw)"
        )
    if uid == JPEGExtended12Bit and bits_stored > 8:
        found = "pylibjpeg" in decoder.available_plugins
        return "" if found else f"{stored}, with {bits_stored} bits; {TWELVE_BITS}"
    return "" if decoder.is_available else f"{stored}; {EXTRA}"
