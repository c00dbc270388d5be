"""A benchmark as a TOML text: what it may say, and on which line it may not."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from mritk.errors import ProtocolError, Unavailable, UsageError
from mritk.plugins.registry import Registry
from mritk.protocol.tomltext import TomlText
from mritk.study.benchmark import Benchmark, find_protocol


@pytest.mark.parametrize(
    ("seeds", "told"),
    [("[]", "nothing would be trained"), ("[0, -1]", "it is -1"), (f"[{2**63}]", f"{2**63}")],
)
def test_seeds_that_no_trial_can_have_are_refused_by_line(seeds, told):
    text = TomlText(f'backbones = ["tiny"]\nseeds = {seeds}\n', "b.toml")
    with pytest.raises(ProtocolError, match=r"b\.toml, line 2: seeds: ") as caught:
        Benchmark.from_text(text)
    assert told in str(caught.value)


def test_the_largest_seed_is_one_that_a_trial_file_holds():
    assert Benchmark.from_text(TomlText(f"seeds = [0, {2**63 - 1}]", "")).seeds[1] == 2**63 - 1


def test_protocol_files_stand_beside_the_benchmark_or_in_the_home_that_they_name(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    file = tmp_path / "b.toml"
    file.write_text('protocols = ["quick", "own.toml", "~/own.toml", "~no_user/own.toml"]')
    places = tmp_path, tmp_path / "home", tmp_path / "~no_user"
    own = [str(place / "own.toml") for place in places]
    assert Benchmark.from_file(file).protocols == ("quick", *own)


def test_backbones_are_refused_where_no_protocol_takes_one():
    registry = Registry.load(environ={})
    mixed = Benchmark(protocols=("threshold", "quick"))
    assert mixed.using(("small_cnn",), registry) is mixed
    without = Benchmark(protocols=("threshold", "unet3d"))
    assert without.using((), registry) is without
    with pytest.raises(UsageError, match=r"threshold, unet3d, so --backbone a, --backbone b would"):
        without.using(("a", "b"), registry)


@pytest.mark.parametrize(
    ("varied", "named", "why"),
    [
        ("augmentation", {"augmentations": ("flip",)}, r"augmentations are named \(flip\)"),
        ("deterministic", {}, "--deterministic applies to every protocol"),
    ],
)
def test_a_key_is_not_varied_whose_values_are_replaced(varied, named, why):
    registry = Registry.load(environ={})
    free = Benchmark(protocols=("quick",), vary={varied: [True, False]})
    assert free.using((), registry) is free
    with pytest.raises(UsageError, match=f"{why}, so --vary {varied} would change nothing"):
        replace(free, **named).using((), registry, deterministic=not named)


@pytest.mark.slow
def test_nor_by_the_options_of_a_run(mritk, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        'protocols = ["quick"]\naugmentations = ["flip"]\n[vary]\naugmentation = ["none"]'
    )
    vary = ("--vary", "augmentation=affine,none")
    for asked in (
        (*vary, "-a", "flip"),
        (file,),
        ("--vary", "deterministic=true", "--deterministic"),
    ):
        ended = mritk("run", *asked, "-o", tmp_path / "results")
        assert (ended.code, "would change nothing" in ended.err) == (2, True)
        assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["own.toml", "prötokoll 🙂.toml", "it's.toml"])
def test_the_command_that_makes_a_missing_protocol_can_be_typed_as_it_stands(tmp_path, name):
    path = str(tmp_path / name)
    with pytest.raises(Unavailable) as told:
        find_protocol(path, Registry())
    command = str(told.value).partition("to create a template: ")[2]
    assert shlex.split(command) == ["mritk", "show", "quick", "--toml", ">", path]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('patient_regex = "("', r"line 3: data: patient_regex '\(' is not a valid regular"),
        ('patients = "p.csv"\npatient_regex = "a"', "line 4: data: patient_regex and patients are"),
        ('patients = "p.csv"\nno_patient_ids = true', "line 3: data: patients and no_patient_ids"),
        ("patient_regexp = 1", "line 3: data.patient_regexp: unknown key"),
    ],
)
def test_patients_told_wrongly_are_refused_by_line_and_key(lines, told):
    text = TomlText(f'backbones = ["tiny"]\n[data]\n{lines}\n', "b.toml")
    with pytest.raises(ProtocolError, match=rf"^b\.toml, {told}") as caught:
        Benchmark.from_text(text)
    assert "--" not in str(caught.value)
