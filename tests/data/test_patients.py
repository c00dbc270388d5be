"""Tell the patients of a dataset that does not name them: by regex, by table, or not at all."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from mritk import Classification, DataError, Samples, Unavailable, UsageError
from mritk.data.patients import PatientRule, require_patients, with_patients

IDS = ("Training/glioma/pat01_003.png", "Training/none/pat02_001.png", "Testing/none/pat02_9.png")


def samples_of(ids=IDS, **columns) -> Samples:
    return Samples(
        ids=list(ids),
        targets=np.arange(len(ids)) % 2,
        task=Classification(("glioma", "none")),
        read=lambda i: np.zeros((2, 2), np.uint8),
        **columns,
    )


def told(rule, samples=None) -> Samples:
    return with_patients(samples or samples_of(), rule, "ours")


@pytest.mark.parametrize(
    ("regex", "patients"),
    [
        (r"pat\d+", ("pat01", "pat02", "pat02")),
        (r"pat(\d+)_", ("01", "02", "02")),
        (r"(Training|Testing)/.*(?P<patient>pat\d+)", ("pat01", "pat02", "pat02")),
        (r"(?:Training|Testing)/\w+/pat\d(\d)_(\d)", ("1", "2", "2")),
    ],
)
def test_a_regex_finds_the_named_group_else_the_first_else_the_whole_match(regex, patients):
    assert told(PatientRule(regex=regex)).patients == patients


def test_a_regex_that_finds_one_patient_in_all_is_refused():
    with pytest.raises(DataError, match="assigns all 3 samples of ours to one patient, 'pat0'"):
        told(PatientRule(regex="pat."))


def test_an_id_without_a_match_is_named_and_counted():
    with pytest.raises(DataError) as caught:
        told(PatientRule(regex="Training/.*(pat..)"))
    assert "not match 1 of 3 ids of ours, such as Testing/none/pat02_9.png" in str(caught.value)


def test_an_empty_match_is_no_patient():
    with pytest.raises(DataError, match="not match 3 of 3 ids"):
        told(PatientRule(regex="(x*)"))
    with pytest.raises(DataError, match="not match 3 of 3 ids"):
        told(PatientRule(regex="(nobody)?pat"))


def test_a_regex_that_gives_each_sample_its_own_patient_is_mentioned(caplog):
    with caplog.at_level(logging.WARNING, "mritk"):
        told(PatientRule(regex=r"pat.*"))
    assert "every sample of ours to a different patient (pat01_003.png" in caplog.text


def test_a_wrong_regex_is_an_error_of_usage():
    with pytest.raises(UsageError, match="is not a valid regular expression: missing"):
        PatientRule(regex="pat(")


def test_a_regex_is_quoted_as_it_was_typed():
    with pytest.raises(DataError) as caught:
        told(PatientRule(regex=r"(mouse\d+)_"))
    assert r"--patient-regex '(mouse\d+)_' does not match" in str(caught.value)


@pytest.mark.parametrize(
    "both",
    [{"regex": "a", "table": "b"}, {"regex": "a", "none": True}, {"table": "b", "none": True}],
    ids=str,
)
def test_ways_to_tell_patients_exclude_each_other(both):
    with pytest.raises(UsageError, match="mutually exclusive"):
        PatientRule(**both)


@pytest.fixture
def table(tmp_path):
    """Write a table and return the rule that reads it."""

    def write(text: str, name: str = "patients.csv", encoding: str = "utf-8") -> PatientRule:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return PatientRule(table=str(path))

    return write


def rows(*patients, delimiter=",", header=("id", "patient")) -> str:
    lines = [header, *zip(IDS, *patients, strict=True)]
    return "\n".join(delimiter.join(line) for line in lines) + "\n"


@pytest.mark.parametrize("delimiter", [",", "\t", ";"], ids=["commas", "tabs", "semicolons"])
def test_a_table_names_the_patient_of_every_id(table, delimiter):
    rule = table(rows(("anna", "bert", "bert"), delimiter=delimiter))
    assert told(rule).patients == ("anna", "bert", "bert")
    assert told(rule).sites is None


def test_a_table_may_stand_in_the_home_folder(table, tmp_path, monkeypatch):
    table(rows(("anna", "bert", "bert")))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert told(PatientRule(table="~/patients.csv")).patients == ("anna", "bert", "bert")


def test_a_table_in_the_home_of_an_unknown_user_is_one_that_is_not_there():
    with pytest.raises(Unavailable, match=r"~no_user/patients\.csv"):
        told(PatientRule(table="~no_user/patients.csv"))


def test_a_table_may_call_ids_paths_name_sites_and_come_from_a_spreadsheet(table):
    header = ("Path", "Patient ", "site")
    text = rows(("anna", "bert", "bert"), ("x", "y", "y"), header=header)
    samples = told(table(text.replace("\n", "\r\n"), encoding="utf-8-sig"))
    assert samples.patients == ("anna", "bert", "bert")
    assert samples.sites == ("x", "y", "y")


def test_ids_with_commas_are_quoted(table):
    ids = ("a, 1.png", "b.png")
    rule = table('id,patient,age\n"a, 1.png",anna,50\nb.png,bert,60\n')
    assert told(rule, samples_of(ids)).patients == ("anna", "bert")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows(("a", "b", "c")).rsplit("\n", 2)[0], "has no row for 1 of 3 samples of ours: Test"),
        (rows(("a", "b", "c")) + "other.png,d\n", "has 1 row for samples that are not in ours"),
        (
            rows(("a", "b", "c")) + f"{IDS[0]},d\n",
            r"line 5: duplicate id .*pat01_003.png",
        ),
        (rows(("a", "", "c")), "line 3: patient is empty"),
        (f"id,patient\n{IDS[0]}\n", "line 2 has 1 cells for 2 columns"),
        (f"id,patient\n{IDS[0]},a,b\n", "line 2 has 3 cells for 2 columns"),
        (rows(("a", "nan", "c")), "line 3: patient is 'nan', which stands for a missing"),
        (
            rows(("a", "b", "c"), header=("file", "patient")),
            "has the columns file, patient; required",
        ),
        (rows(("a", "b", "c"), header=("id", "subject")), "required: id .or path. and patient"),
        ("", "has no rows"),
        (rows(("a", "a", "a")), "assigns all 3 samples of ours to one patient, 'a'"),
    ],
)
def test_a_wrong_table_is_explained_with_its_line(table, text, message):
    with pytest.raises(DataError, match=message) as caught:
        told(table(text))
    assert "patients.csv" in str(caught.value)


def test_a_table_that_is_no_text_is_explained(table):
    with pytest.raises(DataError, match="is not UTF-8 text"):
        told(table(rows(("ä", "b", "b")), encoding="latin-1"))


def test_a_table_that_is_absent_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"no file .*; --patients requires a table"):
        told(PatientRule(table=str(tmp_path / "nowhere.csv")))


def test_sites_that_contradict_the_dataset_are_refused(table):
    text = rows(("a", "b", "b"), ("x", "y", "y"), header=("id", "patient", "site"))
    assert told(table(text), samples_of(sites=["x", "y", "y"])).sites == ("x", "y", "y")
    with pytest.raises(DataError, match="disagree on sites"):
        told(table(text), samples_of(sites=["x", "x", "y"]))
    kept = told(table(rows(("a", "b", "b"))), samples_of(sites=["x", "x", "y"]))
    assert kept.sites == ("x", "x", "y")


def test_a_dataset_that_names_its_patients_keeps_them():
    samples = samples_of(patients=["a", "b", "b"])
    assert told(PatientRule(), samples) is samples
    assert told(PatientRule(none=True), samples) is samples
    for rule, flag in (
        (PatientRule(regex="x"), "--patient-regex"),
        (PatientRule(table="x"), "--p"),
    ):
        with pytest.raises(UsageError, match=f"ours already has patient ids; remove {flag}"):
            told(rule, samples)


def test_nothing_is_told_by_no_rule():
    assert told(PatientRule()).patients is None
    assert told(PatientRule(none=True)).patients is None


def test_unknown_patients_must_be_told_or_accepted():
    with pytest.raises(DataError) as caught:
        require_patients(samples_of(), PatientRule(), "ours")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("ours", "--patient-regex", "--patients FILE.csv", "--no-patient-ids", IDS[0]):
        assert part in message
    assert "cause leakage" in message


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"patients": ["a", "b", "b"]}, PatientRule()),
        ({"splits": ["train", "train", "test"]}, PatientRule()),
        ({}, PatientRule(none=True)),
    ],
    ids=["patients", "official test set", "accepted"],
)
def test_data_that_can_be_divided_pass(columns, rule):
    require_patients(samples_of(**columns), rule, "ours")


def test_an_official_part_without_a_test_part_does_not_help():
    with pytest.raises(DataError, match="--no-patient-ids"):
        require_patients(samples_of(splits=["train", "val", "val"]), PatientRule(), "ours")


def test_a_table_may_list_the_files_that_samples_are_parts_of(tmp_path):
    samples = samples_of(["a#0", "a#1", "b#0", "b#1"], scans=["a", "a", "b", "b"])
    table = tmp_path / "people.csv"
    table.write_text("path,patient,site\na,anna,x\nb,bert,y\n")
    found = told(PatientRule(table=str(table)), samples)
    assert found.patients == ("anna", "anna", "bert", "bert")
    assert found.sites == ("x", "x", "y", "y")
    table.write_text("path,patient\na#0,anna\na#1,anna\nb#0,bert\nb#1,bert\n")
    assert told(PatientRule(table=str(table)), samples).patients == found.patients
    table.write_text("path,patient\na,anna\nc,carl\n")
    with pytest.raises(DataError, match=r"has no row for 1 of 4 samples of ours: b; it must list"):
        told(PatientRule(table=str(table)), samples)
    table.write_text("path,patient\na#0,anna\na#1,bert\nb#0,bert\nb#1,bert\n")
    with pytest.raises(DataError, match="a#0 and a#1 are parts of one scan, but their patients"):
        told(PatientRule(table=str(table)), samples)


@pytest.mark.parametrize(
    ("ids", "listed"),
    [
        (("a/é.png", "b/ü.png"), ("a\\e\u0301.png", "b\\u\u0308.png")),
        (("a/e\u0301.png", "b.png"), ("a/é.png", "b.png")),
        (("a\\1.png", "a/1.png"), ("a/1.png", "a\\1.png")),
    ],
    ids=["as files have them", "as tables have them", "the same first"],
)
def test_ids_match_whatever_their_slashes_and_unicode_form(table, ids, listed):
    rule = table(f"id,patient\n{listed[0]},anna\n{listed[1]},bert\n")
    patients = dict(zip(listed, ("anna", "bert"), strict=True))
    expected = tuple(patients.get(id_, p) for id_, p in zip(ids, patients.values(), strict=True))
    assert told(rule, samples_of(ids)).patients == expected


def test_a_file_that_samples_are_parts_of_may_be_written_with_other_slashes(table):
    samples = samples_of(("a/1#0", "a/1#1", "b/2#0"), scans=("a/1", "a/1", "b/2"))
    rule = table("path,patient\na\\1,anna\nb\\2,bert\n")
    assert told(rule, samples).patients == ("anna", "anna", "bert")


def test_an_id_that_may_mean_two_samples_is_refused(table):
    rule = table("id,patient\na\\é/1.png,anna\nb.png,bert\n")
    ids = ("a/é/1.png", "a/e\u0301\\1.png", "b.png")
    with pytest.raises(DataError, match="leave open which sample is meant by"):
        told(rule, samples_of(ids))
