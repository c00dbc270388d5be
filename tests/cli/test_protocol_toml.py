"""``mritk show PROTOCOL --toml``: a file that can be edited and used at once."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mritk import Method
from mritk.cli.protocol_toml import protocol_toml
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol, flat
from mritk.records import ProtocolFile
from mritk.study.benchmark import find_protocol

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
REGISTRY = Registry.load(environ={})
STOCK = sorted(found.name for found in REGISTRY.records(ProtocolFile))


@pytest.mark.parametrize("name", STOCK)
def test_the_file_is_the_same_recipe(name, tmp_path):
    protocol = find_protocol(name, REGISTRY)
    file = tmp_path / "mine.toml"
    file.write_text(protocol_toml(protocol), encoding="utf-8")
    read = find_protocol(str(file), REGISTRY)
    assert read.fingerprint == protocol.fingerprint
    assert (read.summary, read.augmentation) == (protocol.summary, protocol.augmentation)


def keys_of(text):
    return {re.sub(r"\[\d+\]", "", key) for key, _ in flat(tomllib.loads(text))}


@pytest.mark.parametrize("name", ["standard", "linear_probe"])
def test_every_documented_key_is_in_the_file(name):
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/protocols.md").read_text(), re.DOTALL)
    general, finetune, probe, *_ = (keys_of(block) for block in blocks)
    documented = general | (probe if name == "linear_probe" else finetune)
    assert len(documented) > 20
    shown = keys_of(protocol_toml(find_protocol(name, REGISTRY)))
    # Of a layer that a recipe does not have, there is an empty list.
    inside = {key for key in documented if key.startswith("parameters.head.hidden.")}
    assert documented - inside <= shown


@dataclass(frozen=True)
class Odd:
    """Parameters of a plugin's method with what TOML writes in other ways, or not at all."""

    limit: float | None = None
    name: str = 'a "quoted" \\ name, é'
    pairs: tuple[tuple[int, float], ...] = ((1, 2.0), (3, 1e-9))
    layers: tuple[dict[str, int], ...] = field(default=({"width": 3}, {"width": 4}))


def test_parameters_of_any_method_are_written():
    text = protocol_toml(Protocol("odd", "odd", Odd()))
    assert "# limit is not set" in text
    read = tomllib.loads(text)["parameters"]
    assert read == {
        "name": Odd.name,
        "pairs": [[1, 2.0], [3, 1e-9]],
        "layers": [{"width": 3}, {"width": 4}],
    }
    assert Method("odd", lambda setup: None, Odd).parameters is Odd


def test_what_is_shown_is_edited_and_used_at_once(mritk, toy, tmp_path):
    shown = mritk("show", "quick", "--toml")
    assert shown.code == 0
    file = tmp_path / "mine.toml"
    file.write_text(shown.out.replace("image_size = 96", "image_size = 32"))
    ended = mritk(
        *("run", "-p", toy, "-b", "tiny", "-d", "bands", "--seeds", 1, "--dry-run"),
        *("--protocol", file, "-o", tmp_path / "results"),
    )
    assert ended.code == 0, ended.err
    assert " mine " in ended.out
    again = mritk("show", "quick").out
    assert again.startswith("# protocol quick, fingerprint ")
    assert tomllib.loads(again) == tomllib.loads(shown.out), "shown without the option as well"


def test_only_protocols_are_written_so(mritk):
    ended = mritk("show", "flip", "--toml")
    assert ended.code == 2
    assert "unknown protocol 'flip'" in ended.err
