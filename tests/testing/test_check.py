"""Verdicts: what a check says, and how ``check_…`` tells an author."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mritk import Metric, Unavailable, testing
from mritk.errors import UnknownName
from mritk.plugins.registry import Registry
from mritk.testing.check import Defect, NotApplicable, inspect, require_conformity
from mritk.testing.metric import MetricUnderTest, measures_regions_of_any_form
from mritk.testing.plugin import PluginUnderTest, inspect_named, names_are_its_own

BROKEN = Path(__file__).parent / "broken"
ALONE = {"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"}


def is_fine(subject):
    """Nothing is wrong."""


def is_even(subject):
    raise Defect("it\n is odd")


def is_asked(subject):
    raise NotApplicable("nobody asks")


def is_here(subject):
    raise Unavailable("no file net.pt")


def stumbles(subject):
    raise KeyError("x")


BROKEN_AT_ONCE = """
from dataclasses import replace
from mritk import Architecture, Dataset, InputContract, hookimpl
from mritk.testing.tiny import tiny_samples

def no_ids(workspace):
    return replace(tiny_samples(), ids=["a"] * 36)

def read(i):
    raise ValueError("torn")

def torn(workspace):
    return replace(tiny_samples(), read=read)

def build(n_classes):
    pass

@hookimpl
def mritk_datasets():
    yield Dataset("no_ids", no_ids, sources=("us",), license="private")
    yield Dataset("torn", torn, sources=("us",), license="private")

@hookimpl
def mritk_backbones():
    yield Architecture("of_classes", build, InputContract(32))
"""

CHECKS = (is_fine, is_even, is_asked, is_here, stumbles)


def test_a_check_has_four_ways_to_end_and_an_unexpected_exception_is_a_defect():
    assert [(v.check, v.state, v.reason) for v in inspect("net", CHECKS, None)] == [
        ("is fine", "passed", ""),
        ("is even", "failed", "it is odd"),
        ("is asked", "n/a", "nobody asks"),
        ("is here", "skipped", "no file net.pt"),
        ("stumbles", "failed", "KeyError: 'x'"),
    ]


def test_what_several_checks_run_into_is_told_once():
    def limps(subject):
        raise KeyError("x")

    found = list(inspect("it", (stumbles, is_fine, limps), None))
    assert [v.state for v in found] == ["failed", "passed", "n/a"]
    assert found[2].reason == "not tested, for the reason told of 'stumbles'"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_ids", "cannot be opened: DataError: sample ids must be unique"),
        ("torn", "sample image-000 cannot be read: ValueError: torn"),
        ("of_classes", "cannot be built: TypeError: "),
    ],
)
def test_what_cannot_be_opened_read_or_built_is_told_in_one_line(name, told, tmp_path, workspace):
    (tmp_path / "sample.py").write_text(BROKEN_AT_ONCE)
    registry = Registry.load([str(tmp_path / "sample.py")], ALONE)
    (one,) = [v for v in inspect_named(name, registry, workspace) if v.state == "failed"]
    assert told in one.reason


def test_all_defects_are_listed_at_once():
    with pytest.raises(testing.Nonconforming) as raised:
        require_conformity(inspect("net", CHECKS, None))
    assert str(raised.value).splitlines() == [
        "2 of 5 checks failed",
        "net: is even: it is odd",
        "net: stumbles: KeyError: 'x'",
    ]
    require_conformity(inspect("net", CHECKS[:1], None))


KINDS = ("backbone", "dataset", "augmentation", "method", "metric", "executor", "explainer")
WRONG = {
    "backbone": "takes_a_batch_of_one",
    "dataset": "patients_are_told",
    "augmentation": "keeps_images_apart",
    "method": "never_looks_at_labels_to_predict",
    "metric": "weights_count_samples",
    "executor": "every_job_is_done_once",
    "explainer": "it_looks_at_the_weights",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_function_that_raises_an_assertion_error(kind):
    registry = Registry.load([str(BROKEN / f"{kind}s.py")], ALONE)
    look_up, check = getattr(registry, kind), getattr(testing, f"check_{kind}")
    check(look_up("good"))
    with pytest.raises(AssertionError, match=WRONG[kind].replace("_", " ")):
        check(look_up(WRONG[kind]))


def test_every_promise_is_explained_in_a_sentence():
    from importlib import import_module

    for name in (*KINDS, "plugin"):
        module = import_module(f"mritk.testing.{name}")
        for check in module.CHECKS:
            assert check.__doc__
            assert check.__doc__.strip().endswith(".")


def test_a_name_that_nobody_provides(workspace):
    with pytest.raises(UnknownName, match=r"no plugin, and nothing .* 'nothing'"):
        list(inspect_named("nothing", Registry.load(environ={}), workspace))


def test_a_plugin_that_is_left_out_or_failed_cannot_be_checked(workspace, tmp_path, monkeypatch):
    registry = Registry.load(["no:small_cnn"], {})
    with pytest.raises(Unavailable, match=r"small_cnn\) left out: -p no:small_cnn"):
        list(inspect_named("small_cnn", registry, workspace))


def written(folder, body) -> str:
    """Return the path of a plugin with one augmentation and what ``body`` does."""
    path = folder / "sample.py"
    path.write_text(
        "import os\n"
        "from mritk import Augmentation, ProtocolFile, hookimpl\n\n"
        f"{body}\n\n"
        "@hookimpl\n"
        "def mritk_augmentations():\n"
        "    yield Augmentation('sample', None, summary='none')\n"
    )
    return str(path)


def test_a_plugin_whose_process_dies_without_a_word_is_told_with_its_exit_code(tmp_path, workspace):
    parent = f"if os.getppid() == {os.getpid()}: os.kill(os.getpid(), 9)"
    registry = Registry.load([written(tmp_path, parent)], ALONE)
    found = {v.check: v.reason for v in inspect_named("sample", registry, workspace)}
    assert found["loads without heavy libraries"] == (
        "it does not load by itself: exit code -9, no message"
    )


def test_a_plugin_that_prints_as_it_loads_is_not_told_that_it_imports_its_words(
    tmp_path, workspace
):
    registry = Registry.load([written(tmp_path, "print('torch is not here')")], ALONE)
    found = {v.check: v.reason for v in inspect_named("sample", registry, workspace)}
    assert found["loads without heavy libraries"] == (
        "loading it prints 'torch is not here', which would be in the output of every command"
    )


@pytest.mark.slow
@pytest.mark.parametrize("text", ["'nonsense = 1'", "open('/nowhere').read()"])
def test_a_method_is_checked_whatever_other_plugins_have_for_protocols(
    text, tmp_path, workspace, monkeypatch
):
    odd = f"""
@hookimpl
def mritk_protocols():
    yield ProtocolFile("odd", lambda: {text}, summary="none")
"""
    monkeypatch.setattr("mritk.testing.plugin.inspect_method", lambda *given: iter([given[1]]))
    plain, with_odd = (
        list(inspect_named("finetune", Registry.load(plugins, {}), workspace, "method"))
        for plugins in ([], [written(tmp_path, odd)])
    )
    assert with_odd == plain


@pytest.mark.parametrize(
    ("hook", "records", "said"),
    [
        ("backbones", "Architecture('small_cnn', None)", "'small_cnn' is taken by mritk-bench"),
        ("backbones", "Alias('small_cnn', 'x')", "'small_cnn' is taken by mritk-bench"),
        ("augmentations", "Augmentation('none', None)", "'none' is taken by mritk-bench"),
        ("metrics", "Metric('accuracy', 'a', True, None)", "'accuracy' is taken by mritk; choose"),
        ("backbones", "*[Architecture('two', None)] * 2", "it provides architecture 'two' twice"),
    ],
)
def test_a_name_that_is_taken_is_a_defect_of_the_plugin(hook, records, said, tmp_path):
    (tmp_path / "clash.py").write_text(
        "from mritk import Alias, Architecture, Augmentation, Metric, hookimpl\n\n"
        f"@hookimpl\ndef mritk_{hook}():\n    return [{records}]\n"
    )
    registry = Registry.load([str(tmp_path / "clash.py")], {})
    with pytest.raises(Defect, match=said):
        names_are_its_own(PluginUnderTest(registry.plugins[-1], registry))


def test_weights_of_no_architecture_are_a_defect_and_end_no_check(tmp_path, workspace):
    (tmp_path / "lost.py").write_text(
        "from mritk import Weights, hookimpl\n\n@hookimpl\ndef mritk_backbones():\n"
        "    yield Weights('nowhere', 'x', None)\n"
    )
    registry = Registry.load([str(tmp_path / "lost.py")], ALONE)
    found = list(inspect_named("lost", registry, workspace))
    assert ("failed", "unknown backbone 'nowhere@x'") in [(v.state, v.reason[:28]) for v in found]


CONTRACTS = """
from mritk import Architecture, InputContract, Weights, hookimpl
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(1024, 2))

def locate(workspace):
    raise FileNotFoundError

@hookimpl
def mritk_backbones():
    yield Architecture("flat", Net, InputContract(32, (0.5,), (0.5,)))
    yield Weights("flat", "same", locate, input=InputContract(32, (0.4,), (0.2,)))
    yield Weights("flat", "larger", locate, input=InputContract(64, (0.5,), (0.5,)))
    yield Weights("flat", "coloured", locate, input=InputContract(32))
"""


def test_weights_that_are_for_other_inputs_than_their_architecture_are_asked_for_them(
    tmp_path, workspace
):
    (tmp_path / "flat.py").write_text(CONTRACTS)
    registry = Registry.load([str(tmp_path / "flat.py")], ALONE)
    found = inspect_named("flat", registry, workspace)
    states = {v.subject: v.state for v in found if v.check == "keeps its input contract"}
    subjects = {"scratch": "passed", "same": "passed", "larger": "failed", "coloured": "failed"}
    assert states == {f"backbone flat@{name}": state for name, state in subjects.items()}


def test_a_measure_that_is_infinite_of_empty_regions_is_told_to_return_nan():
    def distance(predicted, reference, spacing):
        return abs(int(predicted[0].sum()) - 1) if predicted.any() else float("inf")

    metric = Metric(
        "gap", "gap", False, measure=distance, task="segmentation", bounds=(0, float("inf"))
    )
    with pytest.raises(Defect, match="infinite; return NaN"):
        measures_regions_of_any_form(MetricUnderTest(metric))
