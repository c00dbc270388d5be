"""Options behind a family's name."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mritk import Classification, Dataset, DatasetFamily, Samples, UsageError, hookimpl
from mritk.plugins.options import options_text, read_options, split_options, split_wrapped
from mritk.plugins.registry import Registry
from mritk.records import Origin


@dataclass(frozen=True)
class Cut:
    """Options of a toy family."""

    slices: int = 0
    target: str = "diagnosis"

    def __post_init__(self):
        if self.slices < 0:
            raise ValueError("must not be negative")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data", ("data", {})),
        ("a,b", ("a,b", {})),
        ("data,slices=3,target=age", ("data", {"slices": "3", "target": "age"})),
        ("data,min_b0=5,t1=x", ("data", {"min_b0": "5", "t1": "x"})),
        (r"data,regex=^(\d{1,3})=x", ("data", {"regex": r"^(\d{1,3})=x"})),
    ],
)
def test_a_comma_separates_only_in_front_of_a_name_and_an_equals_sign(text, expected):
    assert split_options(text) == expected


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (split_options, "data,slices=3,slices=5"),
        (split_wrapped, "resnet18,slices=3@imagenet,slices=5"),
    ],
)
def test_an_option_that_is_given_twice_is_refused(split, text):
    with pytest.raises(UsageError, match=f"^{text} gives option 'slices' twice; remove one$"):
        split(text)


def test_values_get_the_types_of_the_dataclass():
    assert read_options({"slices": "3"}, Cut, "toy:") == Cut(3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"slice": "3"}, "toy: has no option 'slice'; did you mean slices?"),
        ({"zzz": "3"}, "its options are slices, target"),
        ({"slices": "many"}, "^toy: option slices=many: input should be a valid integer$"),
        ({"slices": "-1"}, "must not be negative"),
    ],
)
def test_a_wrong_option_is_explained(given, message):
    with pytest.raises(UsageError, match=message):
        read_options(given, Cut, "toy:")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, ""),
        ({"target": "diagnosis", "slices": "0"}, ""),
        ({"target": "age", "slices": "3"}, ",slices=3,target=age"),
        ({"slices": "3", "target": "age"}, ",slices=3,target=age"),
        ({"slices": "03"}, ",slices=3"),
        ({"every": "yes", "parts": "[]"}, ",every=true,parts=()"),
    ],
)
def test_what_differs_from_the_default_has_one_text(given, text):
    @dataclass(frozen=True)
    class More(Cut):
        every: bool = False
        parts: tuple[str, ...] = field(default_factory=lambda: ("a",))

    known = {name: () if value == "[]" else value for name, value in given.items()}
    assert options_text(read_options(known, More, "toy:")) == text


def test_the_registry_hands_the_options_to_the_family():
    seen = []

    def resolve(member, options):
        seen.append((member, options))
        yield Dataset(f"toy:{member}", lambda workspace: Samples((), [], Classification("ab"), abs))

    class Plugin:
        @hookimpl
        def mritk_datasets(self):
            yield DatasetFamily("toy", resolve, options=Cut)

    registry = Registry()
    registry.register(Plugin(), Origin("toy"))
    assert registry.dataset("toy:there,slices=2").name == "toy:there,slices=2"
    assert seen == [("there", Cut(2))]


@pytest.mark.parametrize("option", [r"patient_regex=^(p\d+)_", "patients=a.csv", "rename=x=y"])
@pytest.mark.parametrize("name", ["toy:there", "toy:there,slices=2", "plain", "around:toy:there"])
def test_an_option_that_only_a_run_reads_is_no_typing_error(name, option):
    def opened(workspace):
        return Samples((), [], Classification("ab"), abs)

    class Plugin:
        @hookimpl
        def mritk_datasets(self):
            yield Dataset("plain", opened)
            yield DatasetFamily("toy", lambda member, _: [Dataset(member, opened)], options=Cut)
            yield DatasetFamily("around", lambda inner: [inner], wraps=True)

    registry = Registry()
    registry.register(Plugin(), Origin("toy"))
    assert registry.dataset(name)
    with pytest.raises(UsageError) as caught:
        registry.dataset(f"{name},{option}")
    assert "'mritk run', for one, reads it" in str(caught.value)
    assert "did you mean" not in str(caught.value)
    with pytest.raises(UsageError, match="did you mean patient_regex"):
        registry.dataset(f"{name},patient_regx=x")
