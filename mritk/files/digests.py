"""The digest by which a file is known wherever it lies."""

from __future__ import annotations

from pathlib import Path

from mritk.files.regular_file import open_regular_file


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; read in blocks, because weights are large.

    Raises:
        DataError: It is not a regular file, see :func:`mritk.open_regular_file`.
        OSError: It cannot be read.
    """
    import hashlib  # OpenSSL, which the start of the program does not need

    digest = hashlib.sha256()  # hashlib.file_digest needs Python 3.11
    with open_regular_file(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
