"""The documents are true: examples run, and every key of a protocol file is described."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from mritk.plugins.loading import NOUNS
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol, read_protocol
from mritk.protocol.recipe import Head, HiddenLayer, Probe, Recipe, Stage
from mritk.protocol.tomltext import TomlText
from mritk.study.benchmark import Benchmark, find_protocol
from reference_pages import PAGES

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.slow
def test_the_readmes_plugin_is_fifteen_lines_and_runs(mritk, toy, fast_protocol, tmp_path):
    (source,) = blocks("README.md", "python")
    assert len([line for line in source.splitlines() if line.strip()]) <= 15
    plugin = tmp_path / "mine.py"
    plugin.write_text(source)
    ended = mritk(
        *("run", "-p", plugin, "-p", toy, "-b", "shallow", "-d", "bands", "-a", "dim"),
        *("--seeds", 1, "--protocol", fast_protocol, "-o", tmp_path / "results"),
    )
    assert ended.code == 0, ended.err
    assert "| shallow@scratch" in ended.out
    assert mritk("plugins", "check", "-p", plugin, "mine").code == 0


def test_the_described_protocol_is_a_protocol_and_names_every_key():
    header, finetune, probe, benchmark = blocks("docs/protocols.md", "toml")
    registry = Registry.load(environ={})
    read_protocol("doc", TomlText(header + finetune, "doc"), registry.method)
    head = header.replace('"finetune"', '"linear_probe"').replace('"affine"', '"none"')
    read_protocol("doc", TomlText(head + probe, "doc"), registry.method)
    source = TomlText(benchmark, "doc")
    source.into(Benchmark, source.parse())
    described = {
        Protocol: header,
        Recipe: finetune,
        Head: finetune,
        HiddenLayer: finetune,
        Stage: finetune,
        Probe: probe,
        Benchmark: benchmark,
    }
    no_keys = {(Protocol, "name"), (Protocol, "parameters"), (Protocol, "rehearsal")}
    for kind, text in described.items():
        for field in fields(kind):
            if (kind, field.name) not in no_keys:
                assert re.search(rf"\b{field.name}\b", text), f"{kind.__name__}.{field.name}"


def test_every_record_that_a_hook_may_yield_is_listed():
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `mritk_(\w+)\(\)` \| (.*?) \|", text, flags=re.MULTILINE))
    listed = {noun: set(re.findall(r"`(\w+)`", cell)) for noun, cell in rows.items()}
    assert listed == {noun: {kind.__name__ for kind in kinds} for noun, kinds in NOUNS.items()}


@pytest.mark.parametrize("study", sorted((ROOT / "benchmarks" / "studies").glob("phantom_p*.toml")))
def test_the_studies_can_be_read(study):
    benchmark = Benchmark.from_file(study)
    registry = Registry.load(environ={})
    for name in benchmark.protocols:
        assert find_protocol(name, registry).split.folds == 5
    assert [registry.backbone(name).name for name in benchmark.backbones] == list(
        benchmark.backbones
    )


def test_links_between_documents_lead_somewhere():
    generated = {ROOT / "docs" / page for page in PAGES}
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if "://" not in target:
                path = (document.parent / target).resolve()
                assert path.exists() or path in generated, f"{document.name}: {target}"


PAGES_AS_FILES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES_AS_FILES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_where_a_page_is_read_as_a_file(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [link.partition("#")[0] for link in links if not re.match(r"\w+:|#", link)]
    assert [link for link in relative if not (page.parent / link).exists()] == []
