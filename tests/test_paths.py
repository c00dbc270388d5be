"""A sample, a backbone name, a seed and a prediction pass the packages that the docs list."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mritk.seeds import derive
from mritk.store.folder import ResultsFolder
from tests.conftest import FAST_PROTOCOL, TOY_PLUGIN
from tests.followed import Followed, following

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
SEED = 7219
STUDY = f'datasets = ["bands"]\nbackbones = ["tiny"]\nseeds = [{SEED}]\n'


class Inline:
    """Stands for a pool of threads, in which nothing can be followed."""

    def __init__(self, workers):
        pass

    def submit(self, call, *arguments):
        done = call(*arguments)
        return type("Done", (), {"result": lambda self: done})()

    def shutdown(self, **options):
        pass


def is_name(one):
    return type(one) is str and one in ("tiny", "tiny@scratch")


def array_of(one):
    if isinstance(one, torch.Tensor):
        one = one.detach().cpu().numpy()
    return one if isinstance(one, np.ndarray) and one.dtype.kind in "fu" else None


def standard(images):
    """Make equal what differs in scale and offset alone, as by an input contract."""
    rows = np.asarray(images, np.float64).reshape(-1, 32 * 32)
    return (rows - rows.mean(1, keepdims=True)) / (rows.std(1, keepdims=True) + 1e-9)


def is_image(wanted):
    def is_it(one):
        images = array_of(one)
        if images is None or images.shape[-2:] != (32, 32):
            return False
        return bool((np.abs(standard(images) - standard(wanted)).max(1) < 1e-2).any())

    return is_it


def is_score(wanted):
    def is_it(one):
        scores = array_of(one)
        return scores is not None and scores.dtype.kind == "f" and bool((scores == wanted).any())

    return is_it


class Seeds(Followed):
    """The seed of the trial, and all that are derived from it."""

    def __init__(self):
        self.known = {SEED}
        super().__init__(lambda one: type(one) in (int, np.int64) and int(one) in self.known)

    def look(self, frame, event, returned):
        derives = event == "return" and frame.f_globals["__name__"] == "mritk.seeds"
        if derives and self.among(frame.f_locals["parts"]):
            self.known.add(returned)
        super().look(frame, event, returned)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Train once to know a score and a sample; then follow both, the name and the seed."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("paths")
    (folder / "toy.py").write_text(TOY_PLUGIN)
    (folder / "study.toml").write_text(STUDY)
    (folder / "fast.toml").write_text(FAST_PROTOCOL)

    def run(name):
        results = folder / name
        command = ["run", folder / "study.toml", "-p", folder / "toy.py", "-o", results]
        command += ["--protocol", folder / "fast.toml", "--device", "cpu"]
        assert main([str(word) for word in command]) == 0
        return results

    def followed(trial):
        return {
            "backbone name": Followed(is_name),
            "seed": Seeds(),
            "prediction": Followed(is_score(trial.predictions["test"].score[0, 0])),
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mritk.machine.in_threads.ThreadPoolExecutor", Inline)
        patch.setattr("mritk.audit.copies._near", lambda *arguments: iter(()))
        patch.setenv("MRITK_HOME", str(folder / "home"))
        (trial,) = ResultsFolder(run("first")).trials()
        namespace = {}
        exec(TOY_PLUGIN, namespace)
        samples = namespace["open_bands"](None)
        row = list(samples.ids).index(trial.splits["train"][0])
        found = {"sample": Followed(is_image(samples.read(row))), **followed(trial)}
        patch.setenv("MRITK_HOME", str(folder / "home-2"))
        with following(*found.values()):
            results = run("second")
        shown = followed(trial)
        with following(*shown.values()):
            assert main(["leaderboard", str(results)]) == 0
    return found | {f"{thing}, shown again": path for thing, path in shown.items()}


def documented(thing):
    """Return the packages that the page lists for one of the four, and how many files at most."""
    text = PAGE.read_text(encoding="utf-8")
    line = re.search(rf"^\| {thing} \| (.*?) \| \d+ \| (\d+) \|$", text, re.MULTILINE)
    return re.findall(r"`(\w+)`", line[1]), int(line[2])


@pytest.mark.slow
@pytest.mark.parametrize("thing", ["sample", "backbone name", "seed", "prediction"])
def test_each_passes_the_packages_that_the_docs_list(paths, thing):
    """Another package on the way, or coming back to one, is a decision: write it there."""
    rooms, limit = documented(thing)
    assert paths[thing].rooms == rooms
    assert len(paths[thing].files) <= limit, paths[thing].files


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thing", "rooms"),
    [("backbone name", ["results", "text"]), ("seed", ["results"]), ("prediction", [])],
)
def test_a_table_that_is_shown_again_takes_them_from_the_index(paths, thing, rooms):
    assert paths[f"{thing}, shown again"].rooms == rooms


def module_of(file, text, **names):
    """Return what a file of mritk would define that imports these names."""
    namespace = {"__name__": f"mritk.{file}", **names}
    exec(text, namespace)
    return namespace


KEEP = "def keep(name): pass\n"
# A value that is nested twice is only seen where it is taken out.
TAKE = KEEP + "def take(nested): keep(nested[0][0])\n"
LEND = "def lend(name): keep(name)"
CALL_TWO = "def call(nested): take(nested); first(nested); second(nested)"


def test_a_package_that_a_value_comes_back_to_is_found():
    low, high, later = (module_of(n, KEEP) for n in ("low.first", "high.first", "low.second"))
    value = Followed(is_name)
    with following(value):
        low["keep"]("tiny")
        high["keep"]("tiny")
        later["keep"]("tiny")
        high["keep"]("other")
    assert value.files == ["mritk.low.first", "mritk.high.first", "mritk.low.second"]
    assert value.rooms == ["low", "high", "low"]


def test_a_package_that_calls_another_is_not_left():
    high, later = module_of("high.first", TAKE)["take"], module_of("low.second", TAKE)["take"]
    low = module_of("low.first", TAKE + CALL_TWO, first=high, second=later)
    value = Followed(is_name)
    with following(value):
        low["call"]([["tiny"]])
    assert value.files == ["mritk.low.first", "mritk.high.first", "mritk.low.second"]
    assert value.rooms == ["low", "high"]


def test_a_package_that_is_only_lent_a_value_does_not_count():
    high = module_of("high.first", LEND, keep=module_of("low.first", KEEP)["keep"])
    value = Followed(is_name)
    with following(value):
        high["lend"]("tiny")
    assert value.rooms == ["high"]


def test_a_value_is_held_by_what_holds_an_object_that_has_it():
    low = module_of("low.first", KEEP)
    holder = type("Holder", (), {"__module__": "mritk.noun"})()
    holder.name = "tiny"
    value = Followed(is_name)
    with following(value):
        low["keep"](holder)
    assert value.rooms == ["low"]


def test_a_file_outside_of_packages_is_no_place_to_come_back_from():
    value = Followed(is_name)
    low, noun, later = (module_of(name, KEEP) for name in ("low.first", "noun", "low.second"))
    with following(value):
        for module in (low, noun, later):
            module["keep"]("tiny")
    assert "mritk.noun" in value.files
    assert value.rooms == ["low"]


def test_a_seed_is_followed_into_those_derived_from_it():
    seeds = Seeds()
    with following(seeds):
        derived = derive(SEED, "order")
        derive(derived + 1, "order")
    assert seeds.known == {SEED, derived}
