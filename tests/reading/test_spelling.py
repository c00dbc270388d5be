"""Spellings that are one name, and texts that name nothing."""

from __future__ import annotations

import logging
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from mritk import Classification, DataError, Samples
from mritk.data.one_name import (
    require_distinct_classes,
    with_composed_classes,
    with_one_spelling,
)
from mritk.reading.spelling import canonical_name, is_missing, one_spelling, spelling_variants

NFC, NFD = (unicodedata.normalize(form, "Méningiome") for form in ("NFC", "NFD"))


def samples_of(classes=("a", "b"), **columns) -> Samples:
    return Samples(
        ids=[f"{i}.png" for i in range(4)],
        targets=np.arange(4) % len(classes),
        task=Classification(tuple(classes)),
        read=lambda i: np.zeros((2, 2), np.uint8),
        **columns,
    )


@pytest.mark.parametrize(
    "names",
    [
        ("No Tumor", "no_tumor", "NO-TUMOR", "notumor", " no tumor ", "no\tTumor"),
        ("no tumor", "no.tumor", "No..Tumor", "no. tumor"),
        ("3", "3.0", "03", "3.", "+3", "3.00"),
        ("grade 1", "Grade_1", "grade1", "GRADE-1"),
        (NFC, NFD, NFC.upper()),
        ("-1", "-1.0"),
        ("1-2", "1_2", "1 2", "1\N{EN DASH}2"),
        ("glioma", "gli\N{SOFT HYPHEN}oma", "glioma\N{ZERO WIDTH SPACE}", "\ufeffglioma"),
        ("glioma", "\uff27\uff2c\uff29\uff2f\uff2d\uff21"),
        ("no-tumor", "no\N{EN DASH}tumor", "no\N{NON-BREAKING HYPHEN}tumor", "no\xa0tumor"),
        ("IDH-", "IDH\N{MINUS SIGN}"),
    ],
)
def test_spellings_of_one_name(names):
    assert len({canonical_name(name) for name in names}) == 1


@pytest.mark.slow
@given(st.text(max_size=12))
def test_a_canonical_name_is_its_own_and_that_of_every_unicode_form(name):
    plain = canonical_name(name)
    assert canonical_name(plain) == plain
    assert all(canonical_name(unicodedata.normalize(f, name)) == plain for f in ("NFC", "NFD"))


@given(
    st.lists(st.text("abcxyz", min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(st.sampled_from(("", " ", "_", "-", ".", "  ", " - ")), min_size=3, max_size=3),
)
def test_case_and_separators_between_words_do_not_count(words, separators):
    written = words[0] + "".join(s + w for s, w in zip(separators, words[1:], strict=False))
    assert canonical_name(written.title()) == "".join(words)


@pytest.mark.parametrize(
    "names",
    [
        ("1", "-1"),
        ("12", "1-2", "1.2"),
        ("1.1", "1.10", "11"),
        ("T1.5", "T15"),
        ("IDH", "IDH-", "IDH+"),
        ("T1", "T2"),
        ("12345678901234567890", "12345678901234567891"),
        ("glioma", "gliomas"),
    ],
)
def test_names_that_stay_apart(names):
    assert len({canonical_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("text", sorted(STR_NA_VALUES - {"#N/A N/A", "-1.#IND", "1.#IND"}))
def test_what_pandas_takes_for_missing_is_missing(text):
    if "#" in text and "QNAN" in text:
        return
    assert is_missing(text)


@pytest.mark.parametrize("text", ["", " ", "\t", "n/a", "NAN", "Null", "NA ", str(None)])
def test_other_ways_to_write_nothing(text):
    assert is_missing(text)


@pytest.mark.parametrize("text", ["none", "no tumor", "unknown", "0", "normal", "Nana", "-"])
def test_names_of_classes_are_not_missing(text):
    assert not is_missing(text)


def test_the_first_spelling_stands_for_all():
    spelling = one_spelling(["No Tumor", "glioma", "no_tumor"])
    assert spelling == {"No Tumor": "No Tumor", "glioma": "glioma", "no_tumor": "No Tumor"}
    assert spelling_variants(["b", "A", "a", "B", "c"]) == [["b", "B"], ["A", "a"]]


# -- classes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "remedy"),
    [
        (("No Tumor", "glioma", "no_tumor"), "--rename 'no_tumor=No Tumor'"),
        (("GLIOMA", "Glioma", "glioma"), "--rename 'Glioma=GLIOMA' --rename 'glioma=GLIOMA'"),
        (("3", "3.0"), "--rename '3.0=3'"),
    ],
)
def test_classes_that_differ_in_spelling_only_are_refused_with_what_to_type(classes, remedy):
    with pytest.raises(DataError, match="differ only in spelling") as caught:
        require_distinct_classes(samples_of(classes), "ours")
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", ["nan", "NaN", "None", "N/A", "", " ", "NULL"])
def test_a_missing_label_is_no_class(label):
    with pytest.raises(DataError, match=r"2 of 4 samples, such as 0\.png, 2\.png") as caught:
        require_distinct_classes(samples_of((label, "glioma")), "ours")
    assert f"--rename '{label}=NAME'" in str(caught.value)


def test_classes_are_composed_so_that_all_systems_agree():
    samples = with_composed_classes(samples_of((NFD, "glioma", NFC)))
    assert samples.task.classes == (NFC, "glioma")
    assert samples.targets.tolist() == [0, 1, 0, 0]
    plain = samples_of()
    assert with_composed_classes(plain) is plain


# -- patients and sites ----------------------------------------------------------------------------


def test_spellings_of_a_patient_are_one_patient_and_mentioned(caplog):
    with caplog.at_level(logging.WARNING, "mritk"):
        samples = with_one_spelling(samples_of(patients=["3.0", "3", "p 1", "P1"]), "ours")
    assert len(set(samples.patients)) == 2
    assert samples.patients[0] == samples.patients[1]
    assert "patients of ours differ only in spelling and are merged" in caplog.text
    assert "'3' and '3.0'" in caplog.text


def test_spellings_of_a_site_are_one_site(caplog):
    samples = with_one_spelling(samples_of(sites=["Ulm", "ULM", "Bonn", "Bonn"]), "ours")
    assert samples.sites == ("ULM", "ULM", "Bonn", "Bonn")
    assert "sites of ours" in caplog.text


def test_a_missing_site_is_no_site_and_mentioned_once(caplog):
    samples = with_one_spelling(samples_of(sites=["Ulm", "n/a", "NaN", ""]), "ours")
    assert samples.sites == ("Ulm", "", "", "")
    (told,) = caplog.messages
    assert "site 'n/a' of ours stands for a missing value" in told
    assert "2 of 4 samples" in told
    with_one_spelling(samples, "ours")
    assert len(caplog.messages) == 1


def test_spellings_of_a_covariate_are_one_group_and_missing_ones_unknown(caplog):
    given = {"sex": ["F", "f", "n/a", "m"], "age": [40.0, 41, float("nan"), 42]}
    samples = with_one_spelling(samples_of(covariates=given), "ours")
    assert samples.covariates["sex"].tolist() == ["F", "F", "", "m"]
    assert samples.covariates["age"].tolist()[:2] == [40, 41]
    assert "values of sex of ours differ only in spelling and are merged" in caplog.text


def test_the_spelling_of_a_patient_depends_on_no_order():
    first = with_one_spelling(samples_of(patients=["p", "P", "q", "q"]), "ours")
    second = with_one_spelling(samples_of(patients=["P", "p", "q", "q"]), "ours")
    assert first.patients == second.patients


def test_samples_that_need_no_change_are_the_same():
    samples = samples_of(patients=["1", "2", "3", "4"], sites=["a", "a", "b", "b"])
    assert with_one_spelling(samples, "ours") is samples


@pytest.mark.parametrize("patient", ["nan", "None", "", "N/A", str(pd.NA)])
def test_a_missing_patient_is_nobody(patient):
    with pytest.raises(DataError, match=r"1 of 4 samples, such as 2\.png"):
        with_one_spelling(samples_of(patients=["a", "b", patient, "c"]), "ours")
