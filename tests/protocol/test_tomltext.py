"""``TomlText``: TOML into dataclasses, with errors that name line, key and near miss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from mritk.errors import ProtocolError
from mritk.protocol.tomltext import TomlText, near_miss


@dataclass(frozen=True)
class Stage:
    epochs: int
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError("Epochs must be at least 1")


@dataclass(frozen=True)
class Head:
    width: int = 8


@dataclass(frozen=True)
class Recipe:
    name: str = ""
    size: int | Literal["native"] = 1
    stages: tuple[Stage, ...] = ()
    rates: tuple[float, ...] = ()
    head: Head = field(default_factory=Head)
    extra: Head | None = None
    kind: Literal["one", "two"] = "one"
    exact: bool = False


def read(text: str) -> Recipe:
    source = TomlText(text, "recipe.toml")
    return source.into(Recipe, source.parse())


def complaint(text: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tables_become_dataclasses_and_lists_tuples():
    recipe = read(
        "rates = [1, 2.5]\n[head]\nwidth = 3\n[[stages]]\nepochs = 1\n[[stages]]\nepochs=2"
    )
    assert recipe == Recipe(rates=(1.0, 2.5), head=Head(3), stages=(Stage(1), Stage(2)))
    assert all(type(rate) is float for rate in recipe.rates)


def test_what_is_not_given_has_its_default():
    assert read("") == Recipe()


@pytest.mark.parametrize(
    "text",
    ["head.width = '3'", "head.width = 3.0", "head.width = true", "exact = 1", "name = 3"],
)
def test_nothing_else_is_converted(text):
    assert "line 1" in complaint(text)


def test_text_that_is_no_toml_names_the_file_and_the_line():
    assert complaint("a = \n") == (
        "recipe.toml is not valid TOML: Invalid value (at line 1, column 5)"
    )


def test_an_unknown_key_names_the_near_one_and_its_line():
    assert complaint("\n[head]\n# the width\nwidht = 3") == (
        "recipe.toml, line 4: head.widht: unknown key 'widht'; did you mean 'width'?"
    )


def test_an_unknown_key_without_a_near_one_lists_the_known_ones():
    assert complaint("[[stages]]\nepochs = 1\nzzz = 1").endswith(
        "stages.zzz: unknown key 'zzz'; known are epochs, rate"
    )


def test_an_unknown_key_in_an_optional_table_is_not_ignored():
    assert "'widht'" in complaint("[extra]\nwidht = 3")


def test_a_table_that_is_refused_as_a_whole_is_not_printed():
    message = complaint("[[stages]]\nepochs = 0")
    assert message.endswith("epochs must be at least 1")


def test_a_missing_key_is_reported_at_its_table():
    message = complaint("[[stages]]\nepochs = 1\n\n[[stages]]\nrate = 1.0")
    assert message.startswith("recipe.toml, line 4: stages.epochs: ")
    assert "it is" not in message


def test_the_message_of_a_check_in_the_dataclass_is_passed_on():
    assert "line 2: stages: epochs must be at least 1" in complaint("[[stages]]\nepochs = 0")


def test_a_wrong_value_is_shown():
    assert "(it is 'three')" in complaint("kind = 'three'")


@pytest.mark.parametrize("value", ["'big'", "224.0", "true", "[1]"])
def test_a_key_of_several_types_is_named_as_in_the_file_with_its_line(value):
    message = complaint(f"name = 'x'\nsize = {value}")
    assert message.startswith("recipe.toml, line 2: size: ")


@pytest.mark.parametrize("value", ["1979-05-27", "1979-05-27T07:32:00Z", "07:32:00"])
def test_a_date_is_a_value_of_the_wrong_type(value):
    assert "line 1: name" in complaint(f"name = {value}")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_rate_that_is_no_number_is_refused(value):
    assert "rate" in complaint(f"[[stages]]\nepochs = 1\nrate = {value}")


LINES = {
    "a plain key": ("name = 'x'\nkind = 3", 2),
    "a key after comments": ("# kind = 'one'\n\nkind = 3 # kind = 'one'", 3),
    "a key of a table": ("[head]\n\nwidth = 'x'", 3),
    "a key of a table with a comment": ("[ head ] # [stages]\nwidth = 'x'", 2),
    "a dotted key": ("name = 'x'\nhead.width = 'x'", 2),
    "a dotted key with spaces": ("name = 'x'\nhead . width = 'x'", 2),
    "a quoted key": ("name = 'x'\n\"kind\" = 3", 2),
    "an inline table": ("name = 'x'\nhead = {width = 'x'}", 2),
    "the first of an array of tables": ("[[stages]]\nepochs = 'x'\n[[stages]]\nepochs = 1", 2),
    "the second of an array of tables": ("[[stages]]\nepochs = 1\n[[stages]]\nepochs = 'x'", 4),
    "an array of inline tables": ("name = 'x'\nstages = [{epochs = 'x'}]", 2),
    "a second array of the same keys": (
        "[head]\nwidth = 3\n[[stages]]\nepochs = 1\nrate = 1\n[[stages]]\nepochs = 1\nrate = 'x'",
        8,
    ),
    "an array of numbers": ("name = 'x'\nrates = [1, 2, 'x']\n[head]\nwidth = 1", 2),
    "a key after a multi-line array": ("rates = [\n  1,\n  2,\n]\nkind = 3", 5),
    "a key after a multi-line string": ('name = """\nkind = 1\n"""\nkind = 3', 4),
    "a key after a literal multi-line string": ("name = '''\nkind = 1\n'''\nkind = 3", 4),
    "a key after a string with a header": ('name = """\n[head]\n"""\nkind = 3', 4),
    "a table after a string with its name": (
        'name = """\n[head]\nwidth = 1\n"""\n[head]\nwidth = "x"',
        6,
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_the_line_is_found_of(case):
    text, line = LINES[case]
    assert complaint(text).startswith(f"recipe.toml, line {line}: ")


@dataclass(frozen=True)
class Nested:
    recipes: tuple[Recipe, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    grid: tuple[tuple[int, ...], ...] = ()
    last: int = 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[recipe]\nname = 'x'\n[recipe.head]\nwidth = 'x'", 4),
        ("[[recipe.stages]]\nepochs = 1\n[[recipe.stages]]\nepochs = 'x'", 4),
        ("[[recipes]]\nname = 'a'\n[[recipes]]\n[recipes.head]\nwidth = 'x'", 5),
        ("[[recipes]]\n[recipes.head]\nwidth = 1\n[[recipes]]\n[recipes.head]\nwidth = 'x'", 6),
        ("grid = [\n  [1, 2],\n  [3, 4],\n]\nlast = 'x'", 5),
    ],
    ids=[
        "a table in a table",
        "an array of tables in a table",
        "a table in the second of an array",
        "the second of two such tables",
        "a key after a multi-line array of arrays",
    ],
)
def test_the_line_is_found_in_nested_tables(text, line):
    source = TomlText(text, "nested.toml")
    with pytest.raises(ProtocolError, match=rf"^nested\.toml, line {line}: "):
        source.into(Nested, source.parse())


def test_an_error_without_a_line_names_the_file_and_the_key():
    error = TomlText("", "file.toml").error(("absent",), "is needed")
    assert str(error) == "file.toml: absent: is needed"


def test_a_part_of_a_text_is_read_at_its_place():
    source = TomlText("[outer]\nwidth = 'x'", "file.toml")
    with pytest.raises(ProtocolError, match=r"line 2: outer\.width"):
        source.into(Head, source.parse()["outer"], ("outer",))


def test_a_near_miss_is_offered_and_else_the_known_names():
    assert near_miss("epoch", ["epochs", "rate"]) == "; did you mean 'epochs'?"
    assert near_miss("zzz", ["epochs", "rate"]) == "; known are epochs, rate"


def test_tables_that_nest_without_end_are_refused():
    assert "hundreds of levels deep" in complaint("a = " + 5000 * "[" + 5000 * "]")


def test_a_file_may_begin_with_a_mark_and_must_be_utf_8(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert TomlText.of_file(path).parse() == {"a": 1}
    path.write_bytes(b"a = 1\nb = 'M\xfcller'\n")
    with pytest.raises(ProtocolError, match=r"recipe\.toml, line 2: not valid UTF-8"):
        TomlText.of_file(path)
