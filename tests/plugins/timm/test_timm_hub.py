"""Weights from the hub: fetched once, checked, used offline, and explained when absent."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save

timm = pytest.importorskip("timm")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

REPOSITORY = "timm/test_resnet.r160_in1k"
FILE = f"{REPOSITORY}/model.safetensors"

LOCATE = """
import sys
from pathlib import Path
from mritk import Unavailable, Workspace
from mritk_timm.hub import locate_on_hub
try:
    print(locate_on_hub("timm/test_resnet.r160_in1k", Workspace(Path("."), offline={offline})))
except Unavailable as error:
    print(error)
    sys.exit(error.exit_code)
"""
ONLINE, OFFLINE = LOCATE.format(offline=False), LOCATE.format(offline=True)

LOAD = """
from pathlib import Path
from mritk import Workspace
from mritk.records import Origin
from mritk.plugins.registry import Registry
from mritk.model.backbone import load_backbone
import mritk_timm
registry = Registry()
registry.register(mritk_timm, Origin("timm"))
backbone = registry.backbone("timm:test_resnet.r160_in1k")
loaded = load_backbone(backbone, Workspace(Path(".")), seed=0)
print(loaded.report.sha256, loaded.report)
"""


@pytest.mark.slow
def test_a_file_is_fetched_and_loaded_with_full_proof(hub, run: Run) -> None:
    state = timm.create_model("test_resnet").state_dict()
    hub.files[FILE] = save(dict(state))

    done = run(LOAD)

    assert done.returncode == 0, done.stderr
    digest, proof = done.stdout.split(maxsplit=1)
    assert digest == hashlib.sha256(hub.files[FILE]).hexdigest()
    assert proof.strip() == f"{len(state) - 2} of {len(state) - 2} tensors matched"


@pytest.mark.slow
def test_a_file_once_fetched_needs_no_network(hub, run: Run) -> None:
    hub.files[FILE] = b"weights"
    path = run(ONLINE).stdout.strip()
    hub.requests.clear()

    assert Path(path).read_bytes() == b"weights"
    assert run(OFFLINE).stdout.strip() == run(ONLINE).stdout.strip() == path
    assert hub.requests == []


@pytest.mark.slow
def test_offline_without_the_file_says_where_to_get_it_and_where_to_put_it(
    hub, run: Run, hugging_face_home: Path
) -> None:
    done = run(OFFLINE)

    assert done.returncode == 4
    assert len(done.stdout.splitlines()) == 1
    for part in (
        "no model.safetensors of timm/test_resnet.r160_in1k",
        "offline mode",
        "https://huggingface.co/timm/test_resnet.r160_in1k/blob/main/model.safetensors",
        "'hf download timm/test_resnet.r160_in1k model.safetensors'",
        "models--timm--test_resnet.r160_in1k",
        str(hugging_face_home / "hub"),
    ):
        assert part in done.stdout
    assert hub.requests == []


@pytest.mark.slow
def test_a_file_that_the_hub_does_not_have_is_unavailable(hub, run: Run) -> None:
    done = run(ONLINE)

    assert done.returncode == 4
    assert "404" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.slow
def test_without_a_network_it_fails_at_once(hub, run: Run) -> None:
    start = time.monotonic()

    done = run(ONLINE, endpoint="http://127.0.0.1:1")

    assert done.returncode == 4
    assert "Connection refused" in done.stdout
    assert time.monotonic() - start < 15


@pytest.mark.slow
def test_a_wrong_body_of_the_right_length_is_damaged(hub, run: Run) -> None:
    hub.files[FILE], hub.sent[FILE] = b"the weights", b"a gateway's"

    for code in (ONLINE, OFFLINE):
        done = run(code)
        assert done.returncode == 4
        assert "the file is damaged: delete" in done.stdout


@pytest.mark.slow
def test_a_download_that_breaks_off_leaves_nothing_behind(hub, run: Run) -> None:
    hub.files[FILE], hub.sent[FILE] = b"the weights", b"the wei"

    done = run(ONLINE)
    assert done.returncode == 4
    assert "the hub failed to send model.safetensors of timm/" in done.stdout
    assert "repeat the command" in done.stdout
    assert "connected machine" not in done.stdout
    assert "offline mode" in run(OFFLINE).stdout


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_told(hub, run: Run, hugging_face_home: Path) -> None:
    hub.files[FILE] = b"the weights"
    hugging_face_home.mkdir()
    (hugging_face_home / "hub").write_text("in the way")

    done = run(ONLINE)

    assert done.returncode == 4
    assert f"cannot write to {hugging_face_home / 'hub'}" in done.stdout
    assert "set HF_HOME to a writable folder" in done.stdout
