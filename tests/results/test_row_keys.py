"""Rows across protocols: what may stand in one table, and what the rows are called."""

from __future__ import annotations

import json

import pytest

from mritk.errors import UsageError
from mritk.protocol.evaluation import evaluation_differences, evaluation_of
from mritk.protocol.stored import StoredProtocol
from mritk.results.analysis import Analysis
from mritk.results.columns import columns_of
from mritk.results.formats import as_data, caption, format_leaderboard
from mritk.results.leaderboard import build_leaderboard
from mritk.results.row_keys import all_but
from mritk.results.tabular_export import csv_text

SPLIT = {"scheme": "kfold", "folds": 5, "seed": 0}


def protocol(**changes) -> str:
    """Return the canonical JSON of a stored protocol."""
    return json.dumps({"method": "finetune", "image_size": 96, "split": SPLIT} | changes)


@pytest.fixture
def two_protocols(make_record):
    """Two backbones, each fine-tuned and probed, with the cost of both."""

    def make(**changes):
        probe = protocol(method="linear_probe", parameters={"penalty": 1}, **changes)
        return [
            make_record(
                predicted,
                backbone=backbone,
                seed=seed,
                protocol=name,
                method=name,
                fingerprint=name[0] * 64,
                protocol_json=text,
                cost={"seconds_fit": seconds, "parameters": 4e6, "trained_parameters": trained},
            )
            for backbone, predicted in (("a", (0, 0, 1, 1)), ("b", (0, 0, 1, 0)))
            for name, text, seconds, trained in (
                ("finetune", protocol(), 3600.0, 4e6),
                ("probe", probe, 36.0, 2e3),
            )
            for seed in (0, 1)
        ]

    return make


def test_rows_of_two_protocols_stand_in_one_table_with_their_cost(two_protocols):
    board = build_leaderboard(two_protocols())
    (table,) = board.tables
    assert {row.name for row in table.rows} == {
        "a, finetune", "a, probe", "b, finetune", "b, probe"
    }  # fmt: skip
    assert len(table.comparisons["balanced_accuracy"]) == 6
    assert not table.one_protocol
    assert "protocols finetune, probe" in caption(table)
    shown = {column.heading: column.cells for column in columns_of(table, None, "plain")}
    assert set(shown["protocol"]) == {"finetune", "probe"}
    hours = dict(
        zip(zip(shown["backbone"], shown["protocol"], strict=True), shown["hours ↓"], strict=True)
    )
    assert (hours["a", "finetune"], hours["a", "probe"]) == ("2", "0.02")
    assert "trained (M) ↓" in shown
    assert board.drift == []


def test_one_protocol_has_no_column_of_protocols_and_no_further_costs(two_protocols):
    (table,) = build_leaderboard(two_protocols()[:2]).tables
    assert table.one_protocol
    headings = [column.heading for column in columns_of(table, None, "plain")]
    assert not {"protocol", "hours ↓", "trained (M) ↓"} & set(headings)
    assert "protocol finetune (ffffffff)" in caption(table)


@pytest.mark.parametrize(
    ("rows", "tables"),
    [
        ([], [["a, finetune", "a, probe", "b, finetune", "b, probe"]]),
        (["backbone"], [["a", "b"], ["a", "b"]]),
        (["protocol"], [["a, finetune", "a, probe"], ["b, finetune", "b, probe"]]),
        (["method"], [["a, finetune", "a, probe"], ["b, finetune", "b, probe"]]),
        (["augmentation"], [["a"], ["a"], ["b"], ["b"]]),
    ],
    ids=str,
)
def test_what_rows_do_not_differ_in_makes_tables(two_protocols, rows, tables):
    board = build_leaderboard(two_protocols(), group_by=all_but(rows))
    assert sorted(sorted(row.name for row in table.rows) for table in board.tables) == tables


@pytest.mark.parametrize("grouping", ["seed", "fold"])
def test_groups_come_in_their_own_order_whichever_of_their_protocols_is_first(
    make_record, grouping
):
    """Of 0 and 2 the first trial is of b, of 10 of a: the protocols' order would be 10, 0, 2."""
    common = {"folds": 11, "scheme": "kfold", "protocol_json": protocol()}
    records = [
        make_record(protocol=name, fingerprint=name * 64, **{grouping: value}, **common)
        for value, names in ((10, "ab"), (2, "ba"), (0, "ba"))
        for name in names
    ]
    board = build_leaderboard(records, group_by=[grouping])
    assert [table.keys[grouping] for table in board.tables] == [0, 2, 10]
    assert [table[grouping] for table in as_data(board)["tables"]] == [0, 2, 10]


def test_an_augmentation_that_is_the_only_one_of_its_protocol_belongs_to_it(two_protocols):
    records = two_protocols()
    for record in records:
        record.augmentation = "affine" if record.protocol == "finetune" else "none"
    board = build_leaderboard(records, group_by=all_but(["protocol"]))
    names = sorted(sorted(row.name for row in table.rows) for table in board.tables)
    assert names == [[f"{b} + affine, finetune", f"{b}, probe"] for b in "ab"]
    assert all("augmentation" not in table.keys for table in board.tables)


def test_augmentations_that_one_protocol_was_trained_with_make_tables(two_protocols):
    records = two_protocols()
    for record in records:
        record.augmentation = "flip" if (record.protocol, record.seed) == ("probe", 1) else "none"
    board = build_leaderboard(records, group_by=all_but(["protocol"]))
    assert sorted(table.keys["augmentation"] for table in board.tables) == [
        "flip", "flip", "none", "none"
    ]  # fmt: skip


def test_a_failed_trial_is_told_with_every_group_of_samples_and_makes_no_table(make_record):
    failed = [make_record(status="failed", backbone=name, seed=1) for name in ("tiny@scratch", "b")]
    by_site = Analysis(by="site", interval="none")
    tables = build_leaderboard([make_record(), *failed], analysis=by_site).tables
    assert [table.keys["site"] for table in tables] == ["left", "right"]
    for table in tables:
        counts = {row.name: (row.trials, row.failed) for row in table.rows}
        assert counts == {"tiny@scratch": (1, 1), "b": (0, 1)}
    (table,) = build_leaderboard(failed, analysis=by_site).tables
    assert [row.failed for row in table.rows] == [1, 1], "where nothing tells the groups"


def test_rows_of_what_does_not_exist_are_refused():
    with pytest.raises(UsageError, match="cannot make rows of 'colour'; available: backbone"):
        all_but(["colour"])


def test_each_protocol_has_the_verdict_of_its_audit(two_protocols, make_record):
    audit = {
        "split": "x", "copies": "keep", "clean": 4, "test": 4, "dropped": 0, "clusters": 0,
        "samples_in_clusters": 0, "shared_with_validation": 0, "audited": True, "findings": [],
    }  # fmt: skip
    records = two_protocols()
    for record in records:
        record.audit = audit if record.protocol == "probe" else {}
    (table,) = build_leaderboard(records).tables
    assert "Audit of finetune: none" in table.verdict
    assert "Audit of probe: Nothing was dropped" in table.verdict


def test_what_is_true_of_all_protocols_is_told_once(two_protocols):
    audit = {
        "copies": "drop", "clean": 3, "test": 4, "dropped": 2, "clusters": 2,
        "samples_in_clusters": 4, "shared_with_validation": 0, "audited": True, "findings": [],
    }  # fmt: skip
    records = two_protocols()
    for record in records:
        record.audit = audit | {"split": "1" * 64 if record.protocol == "probe" else "2" * 64}
    (table,) = build_leaderboard(records).tables
    assert table.verdict.count("Audit") == 1
    assert table.verdict.endswith("Splits 22222222, 11111111.")


def test_a_row_never_mixes_two_recipes_of_one_name(make_record):
    small = make_record(protocol_json=protocol(image_size=64), fingerprint="1" * 64)
    large = make_record(protocol_json=protocol(image_size=96), fingerprint="2" * 64, seed=1)
    board = build_leaderboard([small, large])
    (table,) = board.tables
    names = {row.name for row in table.rows}
    assert names == {"tiny@scratch, fast (11111111)", "tiny@scratch, fast (22222222)"}
    assert board.drift == ["bands, fast: 11111111 and 22222222 differ in image_size: 64 | 96"]


def test_two_recipes_of_one_name_whose_fingerprints_begin_alike_are_two_rows(make_record):
    small = make_record(protocol_json=protocol(image_size=64), fingerprint="1" * 10 + "a" * 54)
    large = make_record(protocol_json=protocol(image_size=96), fingerprint="1" * 10 + "b" * 54)
    (table,) = build_leaderboard([small, large]).tables
    names = {row.name for row in table.rows}
    assert names == {"tiny@scratch, fast (1111111111a)", "tiny@scratch, fast (1111111111b)"}


def test_what_is_not_ranked_together_says_which_fields_of_the_evaluation_differ(two_protocols):
    board = build_leaderboard(two_protocols(split=SPLIT | {"seed": 3}, image_size=224))
    assert len(board.tables) == 2
    (line,) = board.drift
    assert line == (
        "bands: protocols finetune and probe are not ranked together; their evaluations differ in "
        "split.seed: 0 | 3"
    )


@pytest.mark.parametrize("style", ["github", "plain", "latex", "html", "json", "csv"])
def test_every_format_tells_the_protocol_of_each_row(two_protocols, style):
    text = format_leaderboard(build_leaderboard(two_protocols()), style)
    assert "finetune" in text
    assert "probe" in text


def test_data_and_csv_hold_protocol_and_fingerprint_of_each_row(two_protocols):
    board = build_leaderboard(two_protocols())
    (table,) = as_data(board)["tables"]
    told = {(row["backbone"], row["protocol"], row["fingerprint"][0]) for row in table["rows"]}
    assert told == {(b, p, p[0]) for b in "ab" for p in ("finetune", "probe")}
    head, *lines = [line.split(",") for line in csv_text(board).splitlines()]
    column = head.index("fingerprint")
    assert sorted(line[column][0] for line in lines if len(line) == len(head)) == [
        "f",
        "f",
        "p",
        "p",
    ]


class TestEvaluation:
    @pytest.mark.parametrize(
        "recipe",
        [
            {"method": "linear_probe"},
            {"parameters": {"batch_size": 8}},
            {"image_size": 224},
            {"selection": {"on": "last"}},
            {"precision": "float32"},
            {"split": SPLIT | {"shots": 5}},
            {"split": SPLIT | {"train_patients": 50}},
            {"split": SPLIT | {"val_fraction": 0.1}},
            {"split": SPLIT | {"validation": "test"}},
        ],
        ids=str,
    )
    def test_a_recipe_is_no_part_of_it(self, recipe):
        one, other = (StoredProtocol.from_json(protocol(**c)) for c in ({}, recipe))
        assert evaluation_of(one) == evaluation_of(other)
        assert evaluation_differences(one, other) == []

    def test_an_empty_table_says_no_more_than_none(self):
        one, other = StoredProtocol({"split": {}}), StoredProtocol({})
        assert evaluation_of(one) == evaluation_of(other) == {}
        recipe = StoredProtocol({"split": {"validation": "test"}})
        assert evaluation_of(recipe) == {}
        assert evaluation_differences(recipe, other) == []

    @pytest.mark.parametrize("scheme", ["official", "site"])
    @pytest.mark.parametrize(
        "drawn", [{"copies": "keep"}, {"seed": 3}, {"folds": 10}, {"test_fraction": 0.1}], ids=str
    )
    def test_nor_is_how_parts_are_drawn_where_the_data_prescribe_the_test_set(self, drawn, scheme):
        usual = {"copies": "drop", "seed": 0, "folds": 5, "test_fraction": 0.2}
        one, other = (
            StoredProtocol({"split": {"scheme": "auto"} | usual | changes})
            for changes in ({}, drawn)
        )
        assert evaluation_of(one, scheme) == evaluation_of(other, scheme)
        assert evaluation_differences(one, other, scheme) == []

    @pytest.mark.parametrize("scheme", ["official", "holdout"])
    def test_a_scheme_is_the_one_that_auto_became(self, scheme):
        one, other = (StoredProtocol({"split": {"scheme": name}}) for name in ("auto", scheme))
        assert evaluation_differences(one, other, scheme) == []
        assert evaluation_differences(one, other) == [f"split.scheme: auto | {scheme}"]

    def test_folds_say_nothing_of_a_holdout_and_its_fraction_nothing_of_folds(self):
        one = StoredProtocol({"split": {"folds": 5, "test_fraction": 0.2}})
        other = StoredProtocol({"split": {"folds": 10, "test_fraction": 0.1}})
        assert evaluation_differences(one, other, "holdout") == ["split.test_fraction: 0.2 | 0.1"]
        assert evaluation_differences(one, other, "kfold") == ["split.folds: 5 | 10"]

    @pytest.mark.parametrize("scheme", ["holdout", "kfold", ""])
    def test_where_a_test_set_is_drawn_copies_decide_on_it(self, scheme):
        one, other = (StoredProtocol({"split": {"copies": copies}}) for copies in ("keep", "drop"))
        assert evaluation_differences(one, other, scheme) == ["split.copies: keep | drop"]

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"split": SPLIT | {"seed": 3}}, "split.seed: 0 | 3"),
            ({"split": SPLIT | {"copies": "keep"}}, "split.copies: absent | keep"),
            ({"rehearsal": True}, "rehearsal: absent | True"),
            ({"preprocessing": {"equalise": True}}, "preprocessing.equalise: absent | True"),
            ({"from a newer mritk": 1}, "from a newer mritk: absent | 1"),
        ],
    )
    def test_data_split_preprocessing_and_what_is_unknown_are(self, changes, told):
        one, other = (StoredProtocol.from_json(protocol(**c)) for c in ({}, changes))
        assert evaluation_differences(one, other) == [told]


@pytest.mark.parametrize(("asked", "made"), [("auto", "official"), ("official", "official")])
def test_splits_that_were_made_differently_are_named_by_what_differs(make_record, asked, made):
    def split(scheme: str, number: int) -> str:
        drawn = f'"scheme":"{scheme}","folds":5,"seed":{number},"copies":"drop"'
        return f'{{"image_size":32,"split":{{{drawn},"test_fraction":0.2}}}}'

    one = make_record(
        protocol="a", scheme=made, protocol_json=split(asked, 0), fingerprint="1" * 64
    )
    for scheme in ("kfold", "holdout"):
        other = make_record(
            protocol="b", scheme=scheme, protocol_json=split(scheme, 1), fingerprint="2" * 64
        )
        (line,) = build_leaderboard([one, other]).drift
        _, _, fields = line.partition("their evaluations differ in ")
        assert f"split.scheme: {made} | {scheme}" in fields.split("; ")
