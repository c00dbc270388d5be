"""Weights are fetched once into torch's cache, checked, used offline, and explained when absent."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from mritk import Unavailable, Workspace
from mritk.backbone import Backbone
from mritk.model.backbone import load_backbone
from mritk.records import Architecture, Weights
from mritk_torchvision.download import digest_in, locate
from mritk_torchvision.family import members, resolve

models = pytest.importorskip("torchvision.models")


@pytest.fixture
def online(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def offline(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, offline=True)


def publish(site, content: bytes, stem: str = "net") -> str:
    """Put a file on the site under its digest and return its address."""
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    site.files[name] = content
    return f"{site.address}/{name}"


def test_a_file_is_fetched_and_loaded_with_full_proof(site, online: Workspace) -> None:
    content = io.BytesIO()
    torch.save(models.mobilenet_v3_small().state_dict(), content)
    url = publish(site, content.getvalue())
    architecture, weights, *_ = resolve("mobilenet_v3_small")
    assert isinstance(architecture, Architecture)
    assert isinstance(weights, Weights)
    weights = replace(weights, locate=partial(locate, url), sha256=digest_in(url))

    loaded = load_backbone(Backbone(architecture, weights), online, seed=0, size=64)

    assert loaded.report is not None
    assert loaded.report.complete
    assert loaded.report.sha256.startswith(digest_in(url))


def test_a_file_once_fetched_needs_no_network(
    site, online: Workspace, offline: Workspace, tmp_path: Path
) -> None:
    url = publish(site, b"weights")
    path = locate(url, online)
    site.requests.clear()

    assert path == tmp_path / "torch" / "hub" / "checkpoints" / path.name
    assert locate(url, offline) == locate(url, online) == path
    assert site.requests == []


def test_offline_without_the_file_says_where_to_get_it_and_where_to_put_it(
    site, offline: Workspace, tmp_path: Path
) -> None:
    url = publish(site, b"weights")

    with pytest.raises(Unavailable) as error:
        locate(url, offline)

    assert error.value.exit_code == 4
    text = str(error.value)
    assert "\n" not in text
    for part in ("offline mode", url, f"SHA-256 {digest_in(url)}", str(tmp_path / "torch")):
        assert part in text
    assert site.requests == []


@pytest.mark.parametrize(
    ("body", "told", "left"),
    [
        (b"the wrong one", r"has SHA-256 \w+, expected \w+, and was deleted", set()),
        (b"the right", "the same command resumes from there", {".part"}),
    ],
    ids=["other", "truncated"],
)
def test_a_wrong_body_is_never_taken_for_the_file(
    body: bytes, told: str, left: set[str], site, online: Workspace, tmp_path: Path
) -> None:
    url = publish(site, b"the right one")
    site.sent[url.rpartition("/")[2]] = body

    with pytest.raises(Unavailable, match=told):
        locate(url, online)

    files = [path for path in (tmp_path / "torch").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} - {".lock"} == left


def test_every_published_file_carries_its_digest() -> None:
    for member in members():
        for published in models.get_model_weights(member):
            assert digest_in(published.url), published


def test_a_file_that_is_not_on_the_site_is_unavailable(site, online: Workspace) -> None:
    with pytest.raises(Unavailable, match="404"):
        locate(f"{site.address}/net-00000000.pth", online)


def test_without_a_network_it_fails_at_once(site, online: Workspace) -> None:
    start = time.monotonic()

    with pytest.raises(Unavailable, match="Connection refused"):
        locate("http://127.0.0.1:1/net-00000000.pth", online)

    assert time.monotonic() - start < 5


def test_the_digest_is_read_from_the_end_of_the_file_name() -> None:
    site = "https://download.pytorch.org/models"

    assert digest_in(f"{site}/resnet18-f37072fd.pth") == "f37072fd"
    assert digest_in(f"{site}/mnasnet0.5_top1_67.823-3ffadce67e.pth") == "3ffadce67e"
    assert digest_in(f"{site}/net.pth") == ""
