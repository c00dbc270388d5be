"""What licences forbid, and what the hub calls them."""

from __future__ import annotations

import pytest

from mritk.cards.licence_terms import hub_license, terms_of


@pytest.mark.parametrize(
    "text, words",
    [
        ("CC BY-NC 4.0", ["NC"]),
        ("cc-by-nc-nd-4.0", ["NC", "ND"]),
        ("CC BY-NC-SA 4.0", ["NC", "SA"]),
        ("GPL-3.0", ["GPL"]),
        ("AGPLv3", ["GPL"]),
        ("Non-commercial use only", ["NC"]),
        ("apache-2.0", []),
        ("CC BY 4.0", []),
        ("Standard license of Nancy", []),
    ],
)
def test_what_licences_forbid(text, words):
    terms = terms_of(text)
    assert len(terms) == len(words)
    assert all(word in term for word, term in zip(words, terms, strict=True))


@pytest.mark.parametrize("text", ["not stated", "", "not stated; the code is MIT", "unknown"])
def test_no_licence_is_no_permission(text):
    assert terms_of(text) == ["no licence stated: ask the publisher before sharing"]


def test_the_hubs_names_of_licences():
    assert hub_license("Apache-2.0") == "apache-2.0"
    assert hub_license("CC BY 4.0") == "cc-by-4.0"
    assert hub_license("all rights reserved") == "other"
