"""Datasets by name: joined, with classes renamed and patients told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from mritk import DataError, Dataset, DatasetFamily, Unavailable, UsageError, hookimpl
from mritk.plugins.registry import Registry
from mritk.records import Origin
from mritk.splits.split_rule import SplitRule
from mritk.study.data_options import DataOptions
from mritk.study.opening import (
    find_datasets,
    open_datasets,
    require_told_patients,
)


def open_dataset(name, *given):
    (opened,) = open_datasets((name,), *given)
    return opened


@pytest.fixture
def registry(make_samples):
    """The datasets ``one`` (patients) and ``two`` (none), and the family ``disk:PATH``."""

    class Plugin:
        @hookimpl
        def mritk_datasets(self):
            yield Dataset("one", lambda w: make_samples(8), sources=("x",))
            yield Dataset("two", lambda w: make_samples(8, per_patient=None), sources=("y", "x"))
            yield Dataset("bare", lambda w: make_samples(8, per_patient=None))
            yield Dataset("three", lambda w: make_samples(8), sources=("y", "x"))
            yield Dataset("wide", lambda w: make_samples(12, classes=3))
            yield DatasetFamily("disk", lambda path: [Dataset(f"disk:{path}", make_samples)])

    registry = Registry()
    registry.register(Plugin(), Origin("toy"))
    return registry


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", ["one"]),
        ("one+two", ["one", "two"]),
        ("one+disk:/a/b+two", ["one", "disk:/a/b", "two"]),
        ("disk:/c++/files", ["disk:/c++/files"]),
        ("disk:/a+one_more", ["disk:/a+one_more"]),
        ("one+one", ["one", "one"]),
    ],
)
def test_a_plus_sign_joins_only_where_a_dataset_follows(registry, name, expected):
    assert [dataset.name for dataset in find_datasets(name, registry)] == expected


def test_joined_datasets_keep_their_sources(registry, workspace):
    opened = open_dataset("one+three", registry, workspace, DataOptions())
    assert opened.record.name == "one+three"
    assert opened.record.sources == ("x", "y")
    assert len(opened.samples) == 16
    assert opened.samples.ids[0] == "one/s000"
    assert set(opened.samples.sources) == {"one", "three"}


def test_known_patients_are_not_given_up_for_a_part_that_has_none(registry, workspace):
    with pytest.raises(DataError, match=r"two has no patient ids, the rest of one\+two does"):
        open_dataset("one+two", registry, workspace, DataOptions(no_patient_ids=True))


@pytest.mark.parametrize(
    "options",
    [{"patient_regex": "("}, {"patient_regex": "p", "no_patient_ids": True}],
)
def test_a_wrong_rule_is_refused_before_data_are_opened(options):
    with pytest.raises(UsageError, match="--patient-regex"):
        DataOptions(**options)


def test_a_rename_goes_to_the_parts_that_have_the_class(registry, workspace):
    opened = open_dataset("one+three", registry, workspace, DataOptions(rename={"a": "tumour"}))
    assert opened.samples.task.classes == ("b", "tumour")
    with pytest.raises(DataError, match="one has no class 'z'; it has a, b"):
        open_dataset("one", registry, workspace, DataOptions(rename={"z": "a"}))


def test_a_rename_goes_to_the_datasets_that_have_the_class_and_one_must(registry, workspace):
    renamed = DataOptions(rename={"c": "tumour"})
    one, wide = open_datasets(("one", "wide"), registry, workspace, renamed)
    assert one.samples.task.classes == ("a", "b")
    assert wide.samples.task.classes == ("a", "b", "tumour")
    with pytest.raises(
        DataError, match="none of these datasets has a class 'z'; they have a, b, c"
    ):
        open_datasets(("one", "wide"), registry, workspace, DataOptions(rename={"z": "a"}))


def test_a_regex_is_for_the_parts_that_name_no_patients(registry, workspace):
    options = DataOptions(patient_regex=r"s00(\d)")
    samples = open_dataset("one+two", registry, workspace, options).samples
    assert samples.patients[0] == "one/p0"
    assert samples.patients[8] == "two/0"
    with pytest.raises(UsageError, match="one already has patient ids"):
        open_dataset("one", registry, workspace, options)


def test_a_table_names_samples_as_they_are_called_once_joined(registry, workspace, tmp_path):
    table = tmp_path / "patients.csv"
    lines = [f"two#{k}/s{i:03d},p{k}{i // 2}" for k in (1, 2) for i in range(8)]
    table.write_text("\n".join(["id,patient", *lines]))
    options = DataOptions(patients=str(table))
    samples = open_dataset("two+two", registry, workspace, options).samples
    assert len(set(samples.patients)) == 8
    with pytest.raises(UsageError, match="have patient ids already"):
        open_dataset("one+two", registry, workspace, options)


def test_no_split_is_drawn_of_data_whose_patients_nobody_told(registry, workspace):
    """An official test part needs none, as long as it is the one that is used."""

    opened = open_dataset("two", registry, workspace, DataOptions())
    with pytest.raises(DataError, match="--no-patient-ids"):
        require_told_patients(opened, [SplitRule()])
    for name, told in (("two", True), ("two,no_patient_ids=true", False)):
        options = DataOptions(no_patient_ids=told)
        require_told_patients(open_dataset(name, registry, workspace, options), [SplitRule()])
    parts = replace(opened.samples, splits=["train"] * 6 + ["test"] * 2)
    official = replace(opened, samples=parts)
    require_told_patients(official, [SplitRule()])
    with pytest.raises(DataError, match="--no-patient-ids"):
        require_told_patients(official, [SplitRule(), SplitRule("kfold")])


# -- what is said behind the name of one dataset ---------------------------------------------------

REGEX = r"two,patient_regex=s00(\d)"


@pytest.mark.parametrize("first", ["two,no_patient_ids=true+bare", "bare+two,no_patient_ids=true"])
def test_what_one_dataset_is_said_to_lack_is_not_admitted_for_another(registry, workspace, first):
    opened = open_dataset(first, registry, workspace, DataOptions())
    with pytest.raises(DataError, match="has no patient ids"):
        require_told_patients(opened, [SplitRule()])
    both = first.replace("bare", "bare,no_patient_ids=true")
    require_told_patients(open_dataset(both, registry, workspace, DataOptions()), [SplitRule()])


def test_what_is_said_behind_a_name_is_for_that_dataset_alone(registry, workspace, tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("\n".join(["id,patient", *(f"s{i:03d},q{i // 4}" for i in range(8))]))
    names = ("one", REGEX, f"two,patients={table}", "wide,rename=a=x/c=z")
    one, regex, listed, renamed = open_datasets(names, registry, workspace, DataOptions())
    assert one.samples.patients[:2] == ("p0", "p0")
    assert regex.samples.patients[:2] == ("0", "1")
    assert set(listed.samples.patients) == {"q0", "q1"}
    assert renamed.samples.task.classes == ("b", "x", "z")
    assert [opened.record.name for opened in (regex, renamed)] == ["two", "wide"], "no part of it"


def test_caches_are_shared_however_patients_are_told(registry, workspace):
    told, plain = open_datasets((REGEX, "two"), registry, workspace, DataOptions())
    assert told.reader == plain.reader


def test_a_rule_for_all_goes_to_the_datasets_that_name_no_patients(registry, workspace):
    options = DataOptions(patient_regex=r"s00(\d)", rename={"c": "z"})
    one, two, wide = open_datasets(("one", "two", "wide"), registry, workspace, options)
    assert one.samples.patients[0] == "p0"
    assert two.samples.patients[0] == "0"
    assert (one.told.patient_regex, two.told.patient_regex) == ("", r"s00(\d)")
    assert (two.told.rename, wide.told.rename) == ({}, {"c": "z"})
    again = open_dataset("one", registry, workspace, one.told)
    assert again.samples.fingerprint == one.samples.fingerprint, "a worker opens it alone"


def test_what_is_said_behind_a_name_takes_the_place_of_the_rule_for_all(registry, workspace):
    options = DataOptions(no_patient_ids=True)
    regex, plain = open_datasets((REGEX, "two"), registry, workspace, options)
    assert regex.samples.patients[0] == "0"
    assert plain.samples.patients is None


def test_instructions_are_found_by_the_name_without_what_is_said_of_it(registry, workspace):
    class Away:
        @hookimpl
        def mritk_datasets(self):
            yield Dataset("away", self.open)

        def open(self, workspace):
            raise Unavailable("no data")

    registry.register(Away(), Origin("away"))
    options = DataOptions(instructions={"away": "ask the ward"})
    with pytest.raises(Unavailable, match="no data; ask the ward"):
        open_dataset("away,no_patient_ids=true", registry, workspace, options)


def test_parts_of_a_join_are_told_apart(registry, workspace):
    samples = open_dataset(f"one+{REGEX}", registry, workspace, DataOptions()).samples
    assert samples.patients[0] == "one/p0"
    assert samples.patients[8] == "two/0"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two,patient_regex=(", r"^two: --patient-regex '\(' is not a valid regular expression"),
        ("two,patient_regex=a,patients=b", "mutually exclusive"),
        ("two,no_patient_ids=maybe", "write no_patient_ids=true"),
        ("two,rename=a", "write rename=OLD=NEW"),
        ("two,rename=a=x/a=y", "two: option rename renames a twice; remove one"),
        ("two,rename=zz=a", "two,rename=zz=a: it has no class 'zz'; it has a, b"),
        ("one,patient_regex=a", "one already has patient ids"),
    ],
)
def test_what_is_said_wrong_behind_a_name_is_refused(registry, workspace, name, message):
    with pytest.raises(UsageError, match=message):
        open_dataset(name, registry, workspace, DataOptions())


def test_spellings_of_a_class_are_merged_or_told_apart_by_a_rename(workspace, make_samples):
    """No reader, of mritk or of a plugin, can make two classes of two spellings."""
    from mritk import Classification

    task = Classification(("No Tumor", "no_tumor"))

    class Plugin:
        @hookimpl
        def mritk_datasets(self):
            yield Dataset("odd", lambda w: replace(make_samples(8), task=task))
            yield Dataset("more", lambda w: replace(make_samples(8), task=task))

    registry = Registry()
    registry.register(Plugin(), Origin("toy"))
    for name in ("odd", "odd+more"):
        with pytest.raises(
            DataError, match="dataset odd has the classes 'No Tumor' and 'no_tumor'"
        ):
            open_dataset(name, registry, workspace, DataOptions())
    apart = open_dataset("odd", registry, workspace, DataOptions(rename={"no_tumor": "healthy"}))
    assert apart.samples.task.classes == ("No Tumor", "healthy")


def test_an_option_of_the_family_itself_says_nothing_of_patients(registry, make_samples, workspace):
    @dataclass(frozen=True)
    class Cohort:
        patients: int = 8

    def resolve(member, options):
        yield Dataset("cohort", open=lambda _: make_samples(2 * options.patients))

    family = DatasetFamily("cohort", resolve, placeholder="", options=Cohort)
    registry.register(type("P", (), {"mritk_datasets": hookimpl(lambda self: [family])})())
    opened = open_dataset("cohort,patients=6", registry, workspace, DataOptions())
    assert len(opened.samples) == 12
