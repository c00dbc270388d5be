"""The tables of docs/findings.md come from the commands above them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.findings.__main__ import BEGIN, END, SHOWN, main
from mritk.cli.main import cli
from mritk.store.folder import ResultsFolder

FINDINGS = Path(__file__).parents[2] / "docs" / "findings.md"
PAGE = f"""
```sh
mritk leaderboard -d bands \\
      --metric accuracy
```

{BEGIN}
outdated
{END}

```sh
mritk leaderboard -d absent
```

{BEGIN}
kept
{END}
"""


@pytest.mark.slow
def test_an_output_is_that_of_its_command_and_stays_where_there_are_no_trials(
    make_record, tmp_path, monkeypatch
):
    ResultsFolder(tmp_path / "mritk-results").write(make_record())
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(main, [str(page)])
    assert ended.exit_code == 0, ended.output
    first, second = SHOWN.finditer(page.read_text())
    command = ["-m", "mritk", *shlex.split(first[2].replace("\\\n", " "))[1:]]
    printed = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() in first[0]
    assert "outdated" not in first[0]
    assert "kept" in second[0]
    assert "no trials of absent" in ended.output


def test_every_command_of_the_findings_exists_with_its_options():
    blocks = re.findall(r"```sh\n(.*?)\n```", FINDINGS.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("mritk ")]
    assert {name for name, *_ in commands} == {"run", "leaderboard", "differences", "plot"}
    for name, *arguments in commands:
        cli.commands[name].make_context(name, arguments)


def test_every_table_of_the_findings_is_the_output_of_a_command():
    left = SHOWN.sub("", FINDINGS.read_text())
    assert not [line for line in left.splitlines() if line.lstrip().startswith("|")]
    assert BEGIN not in left
