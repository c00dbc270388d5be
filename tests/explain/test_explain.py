"""``mritk explain``: a network trained to see a cube looks at it, and an untrained one does not."""

from __future__ import annotations

import json

import h5py
import nibabel
import numpy as np
import pytest

from mritk.store.explanations import explanations_path, read_explanations
from mritk.study import opening
from tests.explain.conftest import train

pytestmark = pytest.mark.slow

USUAL = ("grad_cam", "guided_backpropagation", "integrated_gradients", "saliency")
CONTROL = ", random weights"


@pytest.fixture(scope="module")
def told(tmp_path_factory, planted):
    """What ``mritk explain --json`` says of both trials on 20 cases, asked once."""
    from mritk.cli.main import main

    found = {}

    def of(dataset, capsys):
        if dataset not in found:
            (trial,) = (planted / dataset / "trials").glob("*.h5")
            command = ["explain", trial.stem, "--results", planted / dataset, "--cases", "20"]
            command += ["-p", planted / "planted.py", "--json", "--covariate", "head_volume"]
            capsys.readouterr()
            code = main([str(word) for word in command])
            assert code == 0, capsys.readouterr().err
            found[dataset] = json.loads(capsys.readouterr().out)
        return found[dataset]

    return of


@pytest.fixture(params=["planted2", "planted3"], ids=["images", "volumes"])
def dataset(request):
    return request.param


@pytest.fixture
def answer(told, here, dataset, capsys):
    return told(dataset, capsys)


def value(answer, row, metric):
    return answer["rows"][row][metric]["value"]


def test_every_usual_explainer_finds_the_cube_far_more_often_than_random_places(answer):
    for explainer in USUAL:
        assert value(answer, explainer, "dice") > 5 * value(answer, "random places", "dice")
        assert value(answer, explainer, "iou") > 5 * value(answer, "random places", "iou")
        assert value(answer, explainer, "pointing") > value(answer, "random places", "pointing")


def difference(answer, explainer, control, metric):
    (found,) = (
        one
        for one in answer["differences"]
        if (one["explainer"], one["control"], one["metric"]) == (explainer, control, metric)
    )
    return found


def test_a_trained_network_looks_into_the_cube_more_often_than_chance_with_an_interval(answer):
    for explainer in USUAL:
        found = difference(answer, explainer, "random places", "dice")
        assert found["interval"]["low"] > 0
        assert found["p"] < 0.001


def test_an_untrained_network_does_not(answer):
    """Grad-CAM shows what the network computes; the others show bright places of the image too."""
    rows = answer["rows"]
    without = rows["grad_cam" + CONTROL]["dice"]["value"]
    assert without <= rows["random places"]["dice"]["interval"]["high"]
    assert without < 0.2 * value(answer, "grad_cam", "dice")
    assert answer["depends_on_training"]["grad_cam"] is True


def test_on_volumes_the_overlap_of_every_explainer_collapses_with_random_weights(
    told, here, capsys
):
    answer = told("planted3", capsys)
    for explainer in USUAL:
        trained = value(answer, explainer, "dice")
        assert value(answer, explainer + CONTROL, "dice") < 0.2 * trained


def test_the_check_with_random_weights_is_made_without_being_asked_for(answer):
    assert {name + CONTROL for name in USUAL} < {*answer["rows"]}
    for explainer in USUAL:
        assert -1 <= answer["similarity"][explainer]["value"] <= 1


def test_the_decision_rests_on_what_the_map_marks_not_on_random_places(answer):
    for explainer in ("grad_cam", "guided_backpropagation"):
        assert value(answer, explainer, "kept") == 1.0
        assert value(answer, explainer, "removed") < value(answer, "random places", "removed")
        assert value(answer, explainer, "deletion") < value(answer, "random places", "deletion")
        assert value(answer, explainer, "insertion") > value(answer, "random places", "insertion")
    assert value(answer, "random places", "kept") < 0.7


SHORT = """
from functools import partial

from mritk import Explainer, hookimpl
from mritk_saliency.perturbation import meaningful_perturbation


@hookimpl
def mritk_explainers():
    few = partial(meaningful_perturbation, steps=60)
    yield Explainer("perturbation", few, is_default=False)
"""


def test_meaningful_perturbation_finds_it_too_and_is_used_if_named(explain, dataset, tmp_path):
    (tmp_path / "short.py").write_text(SHORT)
    more = ("-p", tmp_path / "short.py", "--cases", "8", "--json")
    answer = json.loads(explain(dataset, *more, "-e", "perturbation").out)
    rows = {"perturbation", "perturbation" + CONTROL, "random places"}
    assert {*answer["rows"]} == rows
    assert value(answer, "perturbation", "pointing") == 1.0
    assert value(answer, "perturbation" + CONTROL, "pointing") < 0.5


def test_head_volume_stands_beside_the_network(answer):
    (found,) = answer["covariates"]
    assert found["name"] == "head_volume"
    assert found["network"] == 1.0
    # It is noise here, and so tells nothing.
    assert found["alone"]["interval"]["low"] < 0.5
    assert found["difference"]["interval"]["low"] > 0


def test_a_person_gets_a_table_and_where_the_files_are(explain, tmp_path, trial_of):
    ended = explain("planted3", "-e", "grad_cam", "--cases", "10", "--covariate", "head_volume")
    assert ended.code == 0, ended.err
    first, _, heads, _, *rows = ended.out.splitlines()
    assert first == "cubes3@scratch on planted3: 10 test samples of 10 patients, 5 with a lesion"
    assert heads.split()[:5] == ["map", "pointing", "↑", "Dice", "↑"]
    assert [row.split("  ")[0] or row.split()[0] for row in rows[:3]] == [
        *("grad_cam", "random", "random places")
    ]
    assert "head_volume alone: balanced accuracy" in ended.out
    trial = trial_of("planted3")
    shown = {str(tmp_path / "maps" / name) for name in (f"{trial}.h5", f"{trial}/grad_cam")}
    assert shown <= {*ended.err.splitlines()}


def test_maps_are_sealed_on_the_grid_of_their_samples(explain, here, tmp_path, trial_of):
    assert explain("planted3", "-e", "grad_cam", "--cases", "4").code == 0
    path = tmp_path / "maps" / f"{trial_of('planted3')}.h5"
    found = read_explanations(path)
    assert found.explainers == ("grad_cam",)
    assert [one.shape for one in found.maps["grad_cam"]] == [(16, 16, 16)] * 4
    assert found.lesion.tolist() == [64 * target for target in found.target]
    with h5py.File(path) as file:
        assert file["maps/grad_cam/0"].shape == (16, 16, 16)
    path.write_bytes(path.read_bytes().replace(b"sub-", b"bus-", 1))
    with pytest.raises(Exception, match="was modified after it was written"):
        read_explanations(path)


def test_samples_that_are_read_in_another_order_keep_their_maps(explain, tmp_path, monkeypatch):
    def found(folder):
        assert explain("planted2", "-e", "saliency", "--cases", "6", "-o", folder).code == 0
        (path,) = folder.glob("*.h5")
        return read_explanations(path)

    before, read = found(tmp_path / "before"), opening.open_samples
    turned = np.arange(95, -1, -1)
    monkeypatch.setattr(opening, "open_samples", lambda *asked: read(*asked).only(turned))
    after = found(tmp_path / "after")
    assert after.id == before.id
    assert after.lesion.tolist() == before.lesion.tolist() == (16 * before.target).tolist()
    np.testing.assert_array_equal(after.maps["saliency"], before.maps["saliency"])


def test_volumes_are_nifti_files_with_the_spacing_of_their_samples(explain, tmp_path, trial_of):
    assert explain("planted3", "-e", "grad_cam", "--cases", "4").code == 0
    folder = tmp_path / "maps" / trial_of("planted3") / "grad_cam"
    found = read_explanations(folder.parent.with_suffix(".h5"))
    for name, values in zip(found.id, found.maps["grad_cam"], strict=True):
        image = nibabel.load(folder / f"{name.replace('/', '_')}.nii.gz")
        # (D, H, W) of 2, 1.5 and 1 mm, as right, front, top.
        np.testing.assert_allclose(image.header.get_zooms(), (1.0, 1.5, 2.0))
        turned = np.asarray(image.dataobj)[::-1, ::-1].transpose(2, 1, 0)
        np.testing.assert_allclose(turned, values, rtol=1e-3)


def test_images_make_no_nifti_files(explain, tmp_path):
    assert explain("planted2", "-e", "grad_cam", "--cases", "4").code == 0
    assert not list((tmp_path / "maps").rglob("*.nii.gz"))


def test_by_default_maps_stand_beside_the_trials(mritk, here, trial_of):
    (trial, results) = trial_of("planted2"), here / "planted2"
    command = ("explain", trial[:8], "--results", results, "-p", here / "planted.py")
    assert mritk(*command, "-e", "saliency", "--cases", "4").code == 0
    path = explanations_path(results, trial)
    assert path.is_file()
    assert mritk("doctor", results).code == 0
    path.unlink()


@pytest.mark.parametrize(
    ("arguments", "line", "code"),
    [
        (["-e", "gradcam"], "unknown explainer 'gradcam'; did you mean grad_cam?", 2),
        (["--cases", "0"], "--cases 0: write 1 or more, 'all', or ids of test samples", 2),
        (["--cases", "nobody"], "--cases: 'nobody' is no sample of the test set", 2),
        (["--covariate", "sex"], "have no numeric covariate 'sex'; available: head_volume", 2),
        (["-d", "planted3"], "takes images, but planted3 contains volumes", 2),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(explain, arguments, line, code):
    ended = explain("planted2", *arguments)
    assert line in ended.err
    assert ended.code == code
    assert "Traceback" not in ended.err


def test_without_the_network_it_says_what_to_type(here, mritk, tmp_path):
    assert train(here, "cubes2", "planted2", "-o", str(tmp_path / "bare")) == 0
    (trial,) = (tmp_path / "bare" / "trials").glob("*.h5")
    ended = mritk("explain", trial, "--results", tmp_path / "bare", "-p", here / "planted.py")
    assert ended.code == 4
    assert "repeat its command as 'mritk run … --keep-models --rerun'" in ended.err


@pytest.mark.parametrize(
    ("dataset", "line"),
    [
        ("planted_unmasked", "planted_unmasked has no lesion masks, so maps are not compared"),
        ("planted_empty", "the lesion masks of these samples are empty, so maps are not compared"),
    ],
)
def test_without_masks_the_rest_is_measured(here, explain, dataset, line):
    assert train(here, "cubes2", dataset, "--keep-models") == 0
    ended = explain(dataset, "-e", "grad_cam", "--cases", "6")
    assert ended.code == 0, ended.err
    assert line in ended.err
    assert "pointing" not in ended.out
    assert "deletion" in ended.out


def test_a_mask_of_another_shape_is_refused(here, explain):
    assert train(here, "cubes2", "planted_askew", "--keep-models") == 0
    ended = explain("planted_askew", "-e", "grad_cam", "--cases", "4")
    assert "has shape (16, 15), and the sample (16, 16); masks must be on the grid" in ended.err
    assert ended.code == 2


def test_a_regression_is_refused(here, mritk, tmp_path):
    text = (here / "planted.py").read_text().replace("COUNT = 16, 4, 96", "COUNT = 16, 4, 24")
    values = text.replace("np.arange(COUNT) % 2,", "np.arange(COUNT) / 7,")
    values = values.replace('Classification(("plain", "cube"))', 'Regression("mm")')
    (tmp_path / "planted.py").write_text(values.replace("Classification,", "Regression,"))
    brief = (here / "protocol.toml").read_text().replace("epochs = 12", "epochs = 1")
    (tmp_path / "protocol.toml").write_text(brief)
    assert train(tmp_path, "cubes2", "planted2", "--keep-models") == 0
    (trial,) = (tmp_path / "planted2" / "trials").glob("*.h5")
    ended = mritk("explain", trial, "--results", tmp_path / "planted2")
    assert "explains classes, and trial" in ended.err
    assert ended.code == 2


def test_an_explainer_may_be_named_where_the_command_of_the_trial_names_the_plugin(here, mritk):
    (trial,) = (here / "planted2" / "trials").glob("*.h5")
    place = ("--results", here / "planted2", "--out", here / "named")
    ended = mritk("explain", trial, *place, "-e", "grad_cam", "--cases", "4", "--trust")
    assert ended.code == 0, ended.err
