"""Many small trial files within seconds, as mritk's own writer would have written them.

A trial file is written once for each row and then copied: in each copy another id and another seed
stand in the same places, and both seals are made anew. Its scores are those of its row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from unittest import mock

from mritk.store import content as stored_content
from mritk.store.folder import ResultsFolder
from mritk.store.places import trial_place
from mritk.store.raw_seal import CLOSED, LENGTH, LENGTH_STATED, OPEN_MARK, seal_bytes
from mritk.store.record import TrialRecord

# What is found again in the bytes of the file: an id as long as any, and no likely seed.
ID, SEED = "c0ffee" + 14 * "0", 0x5EED_C0FFEE_5EED


def write_copies(folder: ResultsFolder, record: TrialRecord, ids: Mapping[int, str]) -> None:
    """Write a finished trial once for each seed, under the id that is given for it."""
    content, digest, stream = _written(folder, replace(record, id=ID, seed=SEED))
    for seed, id_ in ids.items():
        changes = {ID.encode(): id_.encode(), _bytes(SEED): _bytes(seed)}
        changes[digest.encode()] = hashlib.sha256(_changed(stream, changes)).hexdigest().encode()
        path = trial_place(folder.path, id_)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(seal_bytes(_changed(content, changes)))


def _written(folder: ResultsFolder, record: TrialRecord) -> tuple[bytes, str, bytes]:
    """Return the bytes of the file without their seal, its digest, and all that this is of."""
    streams: list[bytearray] = []

    class Recorder:
        def __init__(self) -> None:
            self._stream = bytearray()
            streams.append(self._stream)

        def update(self, content: bytes) -> None:
            self._stream.extend(content)

        def hexdigest(self) -> str:
            return hashlib.sha256(self._stream).hexdigest()

    with mock.patch.object(stored_content, "hashlib", mock.Mock(sha256=Recorder)):
        path = folder.write(record)
    content = bytearray(path.read_bytes()[:-LENGTH])
    path.unlink()
    content[LENGTH_STATED] = len(content).to_bytes(8, "little")
    assert content[OPEN_MARK] == CLOSED
    stream = bytes(streams[-1])
    return bytes(content), hashlib.sha256(stream).hexdigest(), stream


def _bytes(seed: int) -> bytes:
    return seed.to_bytes(8, "little")


def _changed(content: bytes, changes: dict[bytes, bytes]) -> bytes:
    for before, after in changes.items():
        content = content.replace(before, after)
    return content
