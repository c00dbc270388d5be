"""Each how-to's plugin is whole: copied into a file, it loads and does in a run what it says."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mritk.backbone import Backbone
from mritk.plugins.registry import Registry
from mritk.records import Architecture, Origin

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = sorted(path.name for path in HOWTO.glob("*.md"))


def code(page: str, language: str = "python") -> list[str]:
    """The code blocks of a page."""
    text = (HOWTO / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write block number ``i`` of a page under the name in its first line; return the file."""
    monkeypatch.chdir(tmp_path)

    def write(page: str, i: int = 0) -> Path:
        source = code(page)[i]
        path = tmp_path / source.splitlines()[0].removeprefix("# ")
        path.write_text(source)
        return path

    return write


def scores(ended) -> dict[str, float]:
    """Balanced accuracy of each row of a leaderboard in JSON."""
    assert ended.code == 0, ended.err
    board = json.loads(ended.out)["leaderboard"]
    return {
        row["backbone"]: row["metrics"]["balanced_accuracy"]["mean"]
        for table in board["tables"]
        for row in table["rows"]
    }


def test_there_is_a_page_for_each_kind():
    assert PAGES == [
        "augmentation.md",
        "backbone.md",
        "command.md",
        "dataset.md",
        "executor.md",
        "explainer.md",
        "method.md",
        "metric.md",
        "moments.md",
    ]


@pytest.mark.parametrize(
    ("page", "i"), [(page, i) for page in PAGES for i in range(len(code(page)))]
)
def test_every_plugin_loads(page, i, written):
    file = written(page, i)
    if re.search(r"^class Tally", file.read_text(), flags=re.MULTILINE):
        namespace: dict = {}
        exec(file.read_text(), namespace)
        loaded = Registry().register(namespace["Tally"](), Origin("tally"))
    else:
        registry = Registry.load([str(file)], environ={"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
        (loaded,) = registry.plugins
    assert loaded.hooks
    assert not loaded.error


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_how_its_files_are_used(page):
    for source in code(page):
        name = source.splitlines()[0].removeprefix("# ")
        stem = name.removesuffix(".py")
        assert f"-p ./{name}" in "".join(code(page, "sh")) or stem in "".join(code(page, "toml"))


CHECKED = [
    (page, line)
    for page in PAGES
    for line in "".join(code(page, "sh")).splitlines()
    if line.startswith("mritk plugins check")
]


def test_every_noun_is_checked_on_its_page():
    assert {page for page, _ in CHECKED} == set(PAGES) - {"command.md", "moments.md"}


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), CHECKED)
def test_every_plugin_keeps_its_promises(page, line, mritk, written, own_home, tmp_path):
    """The line of the page that checks the plugin, as it stands there."""
    for i in range(len(code(page))):
        written(page, i)
    place_weights(own_home)
    place_scans(tmp_path / "mine")
    ended = mritk(*line.split()[1:])
    assert ended.code == 0, ended.out + ended.err
    assert re.search(r"\b[1-9]\d* passed, 0 failed", ended.out)


def place_weights(home: Path) -> Path:
    """Put weights of ``small_cnn`` where the how-to of backbones wants them."""
    from safetensors.torch import save_file

    place = home / "weights" / "small_cnn_ours.safetensors"
    place.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        Registry.load(environ={}).backbone("small_cnn").architecture.build().state_dict(), place
    )
    return place


def place_scans(folder: Path) -> None:
    """Write 48 images of 24 patients, and the table that the how-to of datasets reads."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "scans.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, ["file", "patient", "grade"])
        table.writeheader()
        for i in range(48):
            grade = "high" if i // 2 % 2 else "low"
            pixels = rng.integers(0, 100, (32, 32)) + 100 * (grade == "high")
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
            table.writerow({"file": f"{i}.png", "patient": f"p{i // 2}", "grade": grade})


@pytest.mark.slow
def test_backbone(run_toy, written):
    file = written("backbone.md")
    ended = run_toy("-p", file, "-b", "net", "--seeds", 1, "--json")
    assert set(scores(ended)) == {"net@scratch", "tiny@scratch"}


@pytest.mark.slow
def test_weights(run_toy, written, own_home):
    """The file that ``locate`` names is loaded; without it the error says where to put it."""
    file = written("backbone.md", 1)
    arguments = ("-p", file, "-b", "small_cnn@ours", "--seeds", 1, "--json")
    absent = run_toy(*arguments)
    assert absent.code == 4
    place = own_home / "weights" / "small_cnn_ours.safetensors"
    assert f"no small_cnn_ours.safetensors in {place.parent}" in absent.err
    assert place_weights(own_home) == place
    assert "small_cnn@ours" in scores(run_toy(*arguments))


@pytest.mark.slow
def test_backbone_family(run_toy, written, mritk):
    file = written("backbone.md", 2)
    assert "mlp:64@scratch" in scores(run_toy("-p", file, "-b", "mlp:64", "--seeds", 1, "--json"))
    unknown = mritk("show", "-p", file, "mlp:wide")
    assert unknown.code == 2
    assert "unknown backbone" in unknown.err


def test_backbones_yield_features_and_no_scores(written):
    import torch

    for i, name in ((0, "net"), (2, "mlp:64")):
        registry = Registry.load([str(written("backbone.md", i))], environ={})
        backbone = registry.backbone(name)
        assert isinstance(backbone, Backbone)
        assert isinstance(backbone.architecture, Architecture)
        assert backbone.architecture.build()(torch.zeros(2, 3, 96, 96)).ndim == 2


@pytest.mark.slow
def test_dataset(run_toy, written):
    ended = run_toy("-p", written("dataset.md"), "-d", "ours", "--seeds", 1, "--json")
    tables = json.loads(ended.out)["leaderboard"]["tables"]
    assert ended.code == 0, ended.err
    assert {table["dataset"] for table in tables} == {"bands", "ours"}


@pytest.mark.slow
def test_dataset_family(mritk, run_toy, written, tmp_path):
    """What is read is what the files hold."""
    file, folder = written("dataset.md", 1), tmp_path / "mine"
    place_scans(folder)
    name = f"scans:{folder},label=grade"
    samples = Registry.load([str(file)], environ={}).dataset(name).open(None)
    assert samples.task.classes == ("high", "low")
    with Image.open(folder / "7.png") as image:
        np.testing.assert_array_equal(samples.read(7), np.asarray(image))
    assert run_toy("-p", file, "-d", name, "--seeds", 1, "--json").code == 0
    absent = mritk("audit", "-p", file, f"scans:{tmp_path}")
    assert absent.code == 4
    assert "name the folder that holds it" in absent.err


@pytest.mark.slow
def test_augmentation(run_toy, written, tmp_path):
    """It depends on batch and generator alone, and leaves its batch as it was."""
    import torch

    file = written("augmentation.md")
    apply = Registry.load([str(file)], environ={}).augmentation("noise").apply
    images = torch.rand(4, 3, 8, 8)
    before = images.clone()
    first = apply(images, torch.Generator().manual_seed(1))
    torch.manual_seed(3)
    second = apply(images, torch.Generator().manual_seed(1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(images, before, rtol=0, atol=0)
    assert not torch.equal(first, images)
    assert first.min() >= 0
    assert first.max() <= 1
    assert first.dtype == images.dtype
    spread = (first - images).abs().mean(dim=(1, 2, 3))
    assert len(set(spread.tolist())) == 4, "one strength for each image"
    assert run_toy("-p", file, "-a", "noise", "--seeds", 1).code == 0


@pytest.mark.slow
def test_method(mritk, toy, written, tmp_path):
    """Its predictions are those of scikit-learn's nearest centroid."""
    from sklearn.neighbors import NearestCentroid

    from mritk.store.folder import ResultsFolder

    file = written("method.md")
    ended = mritk(
        *("run", "-p", file, "-p", toy, "-d", "bands", "--protocol", "nearest_centroid"),
        *("--seeds", 1, "-o", tmp_path / "results", "--device", "cpu", "--json"),
    )
    assert "none" in scores(ended)
    (record,) = ResultsFolder(tmp_path / "results").trials()
    samples = Registry.load([str(toy)], environ={}).dataset("bands").open(None)
    rows = {name: i for i, name in enumerate(samples.ids)}

    def pixels(ids):
        return np.stack([samples.read(rows[name]).ravel() / 255 for name in ids])

    train = record.splits["train"]
    model = NearestCentroid().fit(pixels(train), samples.targets[[rows[name] for name in train]])
    test = record.predictions["test"]
    np.testing.assert_array_equal(test.score.argmax(axis=1), model.predict(pixels(test.id)))


@pytest.mark.slow
def test_metric(mritk, run_toy, written, tmp_path):
    """Its value is scikit-learn's, also with weights, and the table has a column for it."""
    from sklearn.metrics import top_k_accuracy_score

    from mritk.store.folder import ResultsFolder

    file = written("metric.md")
    assert run_toy("--seeds", 1).code == 0
    ended = mritk("leaderboard", "-p", file, tmp_path / "results", "--metric", "top_2", "--json")
    (row,) = json.loads(ended.out)["tables"][0]["rows"]
    (record,) = ResultsFolder(tmp_path / "results").trials()
    test = record.predictions["test"]
    expected = top_k_accuracy_score(test.target, test.score, k=2, labels=[0, 1, 2])
    assert row["metrics"]["top_2"]["mean"] == pytest.approx(expected)
    assert {"low", "high", "reason"} <= set(row["metrics"]["top_2"]["interval"])
    (made,) = (m for m in Registry.load([str(file)], environ={}).metrics() if m.name == "top_2")
    function = made.function
    rng = np.random.default_rng(0)
    targets, scores_, weights = np.arange(50) % 4, rng.normal(size=(50, 4)), rng.random(50)
    assert function(targets, scores_, weights) == pytest.approx(
        top_k_accuracy_score(targets, scores_, k=2, sample_weight=weights)
    )


@pytest.mark.slow
def test_command(mritk, run_toy, written, tmp_path):
    file = written("command.md")
    assert run_toy("--seeds", 2).code == 0
    assert mritk("-p", file, "count", tmp_path / "results").out == "2 trials\n"
    assert "Count the trial files" in mritk("-p", file, "--help").out
    absent = mritk("-p", file, "count", tmp_path / "nowhere")
    assert (absent.code, absent.out) == (2, "")
    assert "'mritk run' makes some" in absent.err


@pytest.mark.slow
def test_executor(mritk, toy, written, tmp_path):
    """Two processes make two trials, of a method that is quick to start: it trains no network."""
    ended = mritk(
        *("run", "-p", written("executor.md"), "-p", written("method.md"), "-p", toy),
        *("-d", "bands", "--protocol", "nearest_centroid", "--seeds", 2, "--device", "cpu"),
        *("--executor", "alone", "--jobs", 2, "-o", tmp_path / "results", "--json"),
    )
    assert ended.code == 0, ended.err
    assert [trial["error"] for trial in json.loads(ended.out)["trials"]] == ["", ""]
    assert len(list((tmp_path / "results" / "trials").glob("*.h5"))) == 2


def test_explainer(written):
    """Of a linear network it is weight times pixel; the other one of the page works as shown."""
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    batch, outputs = torch.rand(3, 3, 2, 2), torch.tensor([0, 1, 0])
    registry = Registry.load([str(written("explainer.md"))], environ={})
    found = registry.explainer("gradient_times_input").explain(network, batch, outputs)
    expected = network[1].weight[outputs].view(3, 3, 2, 2).detach() * batch
    torch.testing.assert_close(found, expected)
    assert network[1].weight.grad is None
    (source,) = code("explainer.md", "py")
    given = {"network": network, "batch": batch}
    exec(source, given)
    assert given["attributions"].shape == batch.shape


@pytest.mark.slow
def test_moments(run_toy, written, tmp_path):
    """The file has the epochs of the trial file."""
    from mritk.store.folder import ResultsFolder

    assert run_toy("-p", written("moments.md"), "--seeds", 1).code == 0
    lines = [json.loads(line) for line in (tmp_path / "epochs.jsonl").read_text().splitlines()]
    (record,) = ResultsFolder(tmp_path / "results").trials()
    assert [line["trial"] for line in lines] == [record.id] * len(record.history)
    assert [line["train_loss"] for line in lines] == [e.train_loss for e in record.history]


def test_a_class_keeps_state(written, capsys):
    namespace: dict = {}
    exec(written("moments.md", 1).read_text(), namespace)
    tally, other = namespace["Tally"](), namespace["Tally"]()
    tally.mritk_epoch_end(epoch=None)
    tally.mritk_run_finish(outcomes=[1, 2])
    other.mritk_run_finish(outcomes=[])
    assert capsys.readouterr().out == "2 trials, 1 epochs\n0 trials, 0 epochs\n"
