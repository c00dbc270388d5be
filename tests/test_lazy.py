"""Functions that are imported when they are called."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import mritk.train
from mritk import (
    DatasetFamily,
    Method,
    PluginDeprecationWarning,
    lazy,
    manual_file,
    packaged_text,
)
from mritk.files.code_state import digest_of_sources, source_digest, source_file
from mritk.lazy_import import underlying
from mritk.protocol.recipe import HiddenLayer

ROOT = Path(__file__).parents[1]


def test_a_lazy_import_is_the_function_that_it_names():
    assert lazy("posixpath:join")("a", "b") == "a/b"
    assert lazy("json:dumps")({"b": 1, "a": 2}, sort_keys=True) == '{"a": 2, "b": 1}'


def test_nothing_is_imported_before_the_call(tmp_path):
    (tmp_path / "late.py").write_text("def add(one, other):\n    return one + other\n")
    text = (
        "import pickle, sys; from mritk import lazy; add = lazy('late:add');"
        "add = pickle.loads(pickle.dumps(add)); repr(add), hash(add), add == add;"
        "assert 'late' not in sys.modules; assert add(1, 2) == 3; assert 'late' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)


def test_it_is_known_by_its_name_and_pickled_by_it():
    basename = lazy("posixpath:basename")
    basename("/a/b")
    sent = pickle.loads(pickle.dumps(basename))
    assert sent == basename == lazy("posixpath:basename") != lazy("posixpath:dirname")
    assert len({sent, basename}) == 1
    assert b"posixpath:basename" in pickle.dumps(basename), "by name, whatever was imported"


def test_what_is_called_in_the_end_is_found_once_it_is_imported():
    import posixpath

    basename = lazy("posixpath:basename")
    assert underlying(partial(basename)) is basename
    basename("/a/b")
    assert underlying(partial(partial(basename))) is posixpath.basename


def test_its_source_is_that_of_the_package_that_is_meant():
    reader = partial(lazy("mritk_phantom.not_imported_yet:function"), 1)
    import mritk_phantom

    assert str(source_file(reader)) == mritk_phantom.__file__
    assert source_digest(reader) == digest_of_sources(source_file(reader)) != ""


def test_a_record_may_name_its_dataclass_without_importing_it():
    there = lazy("mritk.protocol.recipe:HiddenLayer")
    family = DatasetFamily("made", print, options=there)
    method = Method("made", print, parameters=there)
    assert family.schema is method.schema is HiddenLayer
    assert DatasetFamily("made", print, options=HiddenLayer).schema is HiddenLayer
    assert DatasetFamily("made", print).schema is None


def lazy_targets():
    for path in sorted(p for room in ("mritk", "plugins") for p in (ROOT / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for call in ast.walk(ast.parse(text)) if "lazy(" in text else ():
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "lazy":
                yield ast.literal_eval(call.args[0])


@pytest.mark.parametrize("target", sorted(set(lazy_targets())))
def test_every_lazy_import_of_the_plugins_is_there(target):
    assert callable(lazy(target).function)


@pytest.mark.parametrize(
    ("target", "error"), [("posixpath:nothing", AttributeError), ("nowhere:f", ImportError)]
)
def test_a_name_that_leads_nowhere_is_told_by_the_call(target, error):
    with pytest.raises(error, match=r"nothing|nowhere"):
        lazy(target)()


def test_a_package_reads_what_it_ships():
    text = packaged_text("mritk_finetune", "protocols", "quick.toml")
    assert 'method = "finetune"' in text
    with pytest.raises(FileNotFoundError):
        packaged_text("mritk_finetune", "protocols", "slow.toml")


def test_a_public_name_that_was_renamed_works_and_warns_at_the_line_that_uses_it():
    with pytest.warns(
        PluginDeprecationWarning, match=r"mritk\.supplied_file .* manual_file"
    ) as got:
        from mritk import supplied_file
    assert supplied_file is manual_file
    assert {warning.filename for warning in got} == {__file__}


def test_a_name_that_there_is_not_is_told_with_its_package():
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'mritk'"):
        from mritk import nothing  # noqa: F401
    with pytest.raises(AttributeError, match=r"module 'mritk\.train' has no attribute 'nothing'"):
        _ = mritk.train.nothing
