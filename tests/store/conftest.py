"""A folder in which everything agrees with everything."""

from __future__ import annotations

import hashlib
import json

import pytest

from mritk.store.folder import ResultsFolder

PROTOCOL = '{"image_size":32}'


@pytest.fixture
def sound(make_record):
    """Make a trial in which everything agrees with everything."""

    def make(*arguments, **columns):
        split = {"train": ["s8", "s9"], "val": ["v0", "v1"], "test": ["s0", "s1", "s2", "s3"]}
        content = json.dumps({name: sorted(ids) for name, ids in split.items()}, sort_keys=True)
        record = make_record(
            *arguments,
            protocol_json=PROTOCOL,
            fingerprint=hashlib.sha256(PROTOCOL.encode()).hexdigest(),
            splits=split,
            audit={
                "split": hashlib.sha256(content.encode()).hexdigest(),
                "copies": "drop",
                "clean": 4,
                "test": 4,
                "dropped": 0,
                "clusters": 0,
                "shared_with_validation": 0,
                "audited": True,
                "pretraining": [],
            },
            **columns,
        )
        if "val" in record.predictions:
            record.predictions["val"].id = ["v0", "v1"]
        return record

    return make


@pytest.fixture
def folder(tmp_path, sound):
    """A folder of two sound trials and a failed one."""
    folder = ResultsFolder(tmp_path / "results")
    folder.write(sound(id="aaaa", seed=0))
    folder.write(sound(id="bbbb", seed=1))
    folder.write(sound(id="cccc", seed=2, status="failed"))
    folder.rebuild_view()
    return folder


def states(mritk, folder, *options):
    """What the doctor says, by file."""
    ended = mritk("doctor", folder.path, "--json", *options)
    found = json.loads(ended.out)["found"]
    return ended.code, {(row["file"], row["state"]) for row in found}
