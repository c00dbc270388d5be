"""LVM-Med's files: loaded with proof, equal to the networks they came from, licence shown."""

from __future__ import annotations

import pytest
import torch
import torchvision

from mritk import Unavailable, Workspace
from mritk.errors import WeightsMismatch
from mritk.model.backbone import load_backbone
from mritk.plugins.registry import Registry
from mritk_lvmmed import LICENSE
from mritk_lvmmed.published import LVMMED_VIT, VARIABLE, locate
from tests.outlines import outlines
from tests.undrawn import Undrawn

SIDE = 224


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the user keeps the files."""
    path = tmp_path / "files"
    path.mkdir()
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.fixture
def loaded(registry, workspace):
    def load(name):
        with Undrawn():
            return load_backbone(registry.backbone(name), workspace, seed=0, size=64)

    return load


# -- ResNet-50 -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return torchvision.models.resnet50().eval()


@pytest.mark.slow
@pytest.mark.parametrize("with_classifier", [True, False])
def test_the_resnet_gives_the_features_of_the_network_that_was_saved(
    resnet, loaded, folder, with_classifier
):
    tensors = resnet.state_dict()
    if not with_classifier:
        tensors = {n: t for n, t in tensors.items() if not n.startswith("fc.")}
    torch.save(tensors, folder / "lvmmed_resnet.torch")
    found = loaded("resnet50@lvmmed")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    headless = torch.nn.Sequential(*list(resnet.children())[:-1], torch.nn.Flatten())
    with torch.no_grad():
        torch.testing.assert_close(found.network(images), headless(images), atol=1e-5, rtol=1e-5)
    assert found.report.complete
    assert found.report.matched == found.report.total == 318


@pytest.mark.slow
def test_a_resnet_file_with_a_tensor_too_few_or_too_many_is_refused(resnet, loaded, folder):
    """The published script would go on with ImageNet's tensors and say nothing."""
    whole = outlines(resnet.state_dict())
    for told, broken in {
        "1 missing": {n: t for n, t in whole.items() if n != "layer4.2.conv3.weight"},
        "1 unexpected": whole | {"projector.weight": torch.zeros(3)},
        "0 of 318 .*": {f"module.{n}": t for n, t in whole.items()},
        "1 misshapen": whole | {"conv1.weight": torch.zeros(64, 3, 3, 3)},
    }.items():
        torch.save(broken, folder / "lvmmed_resnet.torch")
        with pytest.raises(WeightsMismatch, match=rf"{told} \(.*\); nothing was loaded"):
            loaded("resnet50@lvmmed")


# -- ViT-B -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    """Another implementation of SAM's encoder, for images of 224 px, with random tables."""
    from transformers import SamVisionConfig, SamVisionModel

    config = SamVisionConfig(use_abs_pos=False, attn_implementation="eager")
    torch.manual_seed(0)
    with Undrawn():
        model = SamVisionModel(config).eval()
    encoder = model.vision_encoder
    encoder.patch_embed.image_size = (SIDE, SIDE)
    with torch.no_grad():
        for name, tensor in encoder.named_parameters():
            tensor.normal_(mean=float("norm" in name and "weight" in name), std=0.05)
    return encoder


def published_names(reference):
    """The reference's tensors under the names of the published code."""
    names = {
        "patch_embed.projection.": "patch_embed.proj.",
        "layers.": "blocks.",
        "layer_norm1": "norm1",
        "layer_norm2": "norm2",
        "neck.conv1": "neck.0",
        "neck.conv2": "neck.2",
        "neck.norm1": "neck.1",
        "neck.norm2": "neck.3",
    }
    tensors = {}
    for name, tensor in reference.state_dict().items():
        called = name
        for theirs, published in names.items() if not name.startswith("neck") else ():
            called = called.replace(theirs, published)
        tensors[called] = tensor
    return tensors


@pytest.fixture(scope="module")
def published(reference):
    tensors = {n: t for n, t in published_names(reference).items() if not n.startswith("neck")}
    neck = {"neck.0.weight": torch.zeros(256, 768, 1, 1), "neck.1.weight": torch.zeros(256)}
    return tensors | neck | {"pos_embed": torch.ones(1, 64, 64, 768)}


def expected_features(reference, images):
    with torch.no_grad():
        patches = reference.patch_embed(images)
        for layer in reference.layers:
            patches = layer(patches)
            patches = patches[0] if isinstance(patches, tuple) else patches
    return patches.mean(dim=(1, 2))


@pytest.mark.slow
def test_the_encoder_gives_the_features_of_another_implementation(
    reference, published, loaded, folder
):
    torch.save(published, folder / "lvmmed_vit.pth")
    found = loaded("vit_b@lvmmed")
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = found.network(images)
    expected = expected_features(reference, images)
    assert expected.std() > 0.01
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-3)
    assert found.num_features == 768


@pytest.mark.slow
def test_sams_own_checkpoint_gives_the_same_encoder(reference, published, loaded, folder):
    whole = {f"image_encoder.{name}": tensor for name, tensor in published.items()}
    whole |= {"prompt_encoder.x": torch.zeros(1), "mask_decoder.y": torch.zeros(1)}
    torch.save(whole, folder / "sam_vit_b_01ec64.pth")
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        features = loaded("vit_b@sam").network(images)
    torch.testing.assert_close(features, expected_features(reference, images), atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_an_encoder_file_that_does_not_cover_the_network_is_refused(published, loaded, folder):
    published = outlines(published)
    for told, broken in {
        "1 missing": {n: t for n, t in published.items() if n != "patch_embed.proj.weight"},
        "1 unexpected": published | {"blocks.12.norm1.weight": torch.zeros(768)},
        " 0 of .*": {f"model.{n}": t for n, t in published.items()},
        "1 misshapen": published | {"blocks.2.attn.rel_pos_h": torch.zeros(27, 64)},
    }.items():
        torch.save(broken, folder / "lvmmed_vit.pth")
        with pytest.raises(WeightsMismatch, match=rf"{told} \(.*\); nothing was loaded"):
            loaded("vit_b@lvmmed")


@pytest.mark.slow
def test_the_encoder_takes_other_sizes(loaded):
    network = loaded("vit_b@scratch").network
    with torch.no_grad():
        for side in (32, 96):
            assert network(torch.zeros(1, 3, side, side)).shape == (1, 768)


# -- files and licence -----------------------------------------------------------------------------


def test_a_missing_file_is_explained_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/somewhere/else")
    with pytest.raises(Unavailable) as error:
        locate(LVMMED_VIT, Workspace(tmp_path))
    text = str(error.value)
    assert "\n" not in text
    for part in (
        "no lvmmed_vit.pth in /somewhere/else or",
        str(tmp_path / "weights" / "lvmmed"),
        "https://github.com/duyhominhnguyen/LVM-Med",
        "no digest is published",
        VARIABLE,
    ):
        assert part in text


def test_the_licence_is_shown_and_its_terms_are_told(mritk):
    from mritk.cards.licence_terms import terms_of

    shown = mritk("show", "resnet50@lvmmed").out
    assert LICENSE in shown
    assert "BraTS2018" in shown
    assert "no commercial use (NC)" in terms_of(LICENSE)
