"""The file that ``mritk leaderboard -o`` writes."""

from __future__ import annotations

import csv
import io
import json

from mritk.store.folder import ResultsFolder


def test_a_file_has_the_format_that_its_ending_means(mritk, make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    folder.write(make_record())

    def written(name, *options):
        path = tmp_path / name
        ended = mritk("leaderboard", folder.path, "--interval", "none", "-o", path, *options)
        content = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        return ended, content

    json.loads(written("a.json")[1])
    assert len(list(csv.DictReader(io.StringIO(written("a.csv")[1].decode())))) == 1
    assert b"<table" in written("a.HTML")[1]
    assert rb"\begin{table" in written("a.tex")[1]
    markdown = written("a.md")[1]
    assert b"|---" in markdown.replace(b":", b"-")
    assert written("a.txt")[1] == written("table")[1] == markdown
    assert written("a.txt", "--format", "csv")[1] == written("a.csv")[1]
    for name, options, advice in (
        ("a.xlsx", [], "no format ends in .xlsx; use one of .tex,"),
        ("a.csv", ["--format", "html"], "would read it as csv; choose another ending, or --format"),
        ("a.parquet", ["--json"], "would hold json, but programs would read it as parquet"),
    ):
        ended, content = written(name, *options)
        assert ended.code == 2
        assert not content
        assert advice in ended.err
