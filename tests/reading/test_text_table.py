"""Tables as spreadsheets and scripts write them."""

from __future__ import annotations

import pytest

from mritk import DataError, read_text_table


@pytest.fixture
def read(tmp_path):
    def read(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_text_table(path, **options)

    return read


def cells(table):
    return [tuple(row.cells.values()) for row in table.rows]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4",
        "\ufeffa,b\n1,2\n3,4\n",
        " a , b\n 1,2 \n\n3,4\n,\n",
        '"a","b"\n"1","2"\n"3","4"\n',
        '"a", "b"\n"1", "2"\n"3", "4"\n',
        "a,b\r1,2\r3,4\r",
        "sep=,\na,b\n1,2\n3,4\n",
        ",a,b\n0,1,2\n1,3,4\n",
        "Unnamed: 0.1,Unnamed: 0,a,b\n0,0,1,2\n7,1,3,4\n",
        "a,b,,\n1,2,,\n3,4,,\n",
        "a;b\n1;2\n3;4\n",
        "\n \na;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        "a,b\n1,2\n3,4\n".encode("utf-16"),
    ],
)
def test_the_same_table_in_several_guises(read, content):
    table = read(content)
    assert table.columns == ("a", "b")
    assert cells(table) == [("1", "2"), ("3", "4")]


def test_quoted_cells_may_hold_delimiters_and_lines_are_those_of_the_file(read):
    table = read('a,b\n"x\ny","1,5"\nz,2\n')
    assert cells(table) == [("x\ny", "1,5"), ("z", "2")]
    assert [row.line for row in table.rows] == [3, 4]


def test_names_of_columns_can_be_lowered(read):
    assert read("Path,LABEL\nx,y\n", lower_names=True).columns == ("path", "label")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no rows"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells for 2 columns"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells"),
        ("a,\n1,2\n", "column 2 has no name"),
        ("a,a\n1,2\n", "two columns 'a'"),
        (b"a,b\n\xff\xfe,2\n", "not UTF-8"),
        ('a,b\n"1,2\n', "line 2 cannot be parsed: unexpected end"),
        ('a,b\n1,2\n"x"y,2\n', "line 3 cannot be parsed"),
        ("a,b\n1,2\nä,3\n".encode("latin-1"), "line 3 is not UTF-8 text .byte 0xe4.*CSV UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1 is not text"),
        ("a" * 200_000 + ",b\n1,2\n", "line 1 cannot be parsed: field larger"),
        (",a\nx,1\n", "column 1 has no name"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
    ],
)
def test_trouble_names_the_file_and_the_place(read, content, reason):
    with pytest.raises(DataError, match=rf"t\.csv.*{reason}"):
        read(content)


def test_two_names_that_are_one_in_lower_case(read):
    with pytest.raises(DataError, match="two columns 'path'"):
        read("path,Path\n1,2\n", lower_names=True)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_text_table(tmp_path / "none.csv")


def test_a_delimiter_in_a_quoted_name_divides_nothing(read):
    table = read('"a;b;c",d\n1,2\n')
    assert table.columns == ("a;b;c", "d")
    assert read('a, "b;c;d"\n1,2\n').columns == ("a", "b;c;d")


def test_a_separator_line_counts_as_a_line(read):
    table = read("sep=;\r\na;b\r\n1,5;2\r\n")
    assert [(row.line, row.cells) for row in table.rows] == [(3, {"a": "1,5", "b": "2"})]
    with pytest.raises(DataError, match="line 3 has 1 cells"):
        read("sep=;\na;b\n1\n")


def test_the_suffix_decides_between_as_many_cells(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb,c\n1\t2,3\n")
    assert read_text_table(tmp_path / "t.tsv").columns == ("a", "b,c")
    (tmp_path / "t.csv").write_text("a\tb,c\n1\t2,3\n")
    assert read_text_table(tmp_path / "t.csv").columns == ("a\tb", "c")


def test_another_delimiter_than_the_format_prescribes(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id,group\nsub-01,AD\n")
    with pytest.raises(DataError, match="separates its cells by commas; save it with tabs"):
        read_text_table(path, "\t")
