"""``table_cnn:PATH``: a table of one's own is a backbone, known by its file on every machine."""

from __future__ import annotations

import hashlib
import pickle

import pytest

from mritk.errors import Unavailable, UsageError
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder

TABLE = """
summary = "two convolutions"
layers = [
  { layer = "conv", channels = 4, stride = 2, batch_norm = true },
  { layer = "conv", channels = 8, stride = 2, batch_norm = true },
]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(TABLE)
    return file


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


def test_the_name_has_the_digest_of_the_file_and_no_folder(path, registry):
    backbone = registry.backbone(f"table_cnn:{path}")
    name, _, digest = backbone.architecture.name.partition("#")
    assert name == "table_cnn:mine.toml"
    assert digest == hashlib.sha256(TABLE.encode()).hexdigest()[:8]
    assert str(path.parent) not in str(backbone.identity), "a path means nothing elsewhere"
    assert backbone.architecture.summary == "two convolutions"
    path.write_text(TABLE.replace("channels = 8", "channels = 9"))
    other = registry.backbone(f"table_cnn:{path}")
    assert other.identity["architecture"] != backbone.identity["architecture"]


def test_the_stored_name_finds_the_table_again_or_says_that_it_is_another(
    path, registry, monkeypatch
):
    backbone = registry.backbone(f"table_cnn:{path}")
    monkeypatch.chdir(path.parent)
    assert registry.backbone(backbone.name).name == backbone.name
    path.write_text(TABLE.replace("channels = 8", "channels = 9"))
    with pytest.raises(Unavailable, match=r"mine\.toml is table #\w{8}, not #\w{8} as requested"):
        registry.backbone(backbone.name)


def test_a_file_may_have_a_name_that_looks_like_a_digest(tmp_path, registry):
    file = tmp_path / "mine#01234567"
    file.write_text(TABLE)
    name = registry.backbone(f"table_cnn:{file}").architecture.name
    assert name.startswith("table_cnn:mine#01234567#")


def test_a_path_may_begin_at_the_home_of_the_user(path, registry, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    name = registry.backbone("table_cnn:~/mine.toml").name
    assert name == registry.backbone(f"table_cnn:{path}").name
    stored = name.replace("mine.toml", "~/mine.toml").partition("@")[0]
    assert registry.backbone(stored).name == name


def test_an_absent_file_is_named_with_the_way_to_write_it(tmp_path, registry, mritk):
    with pytest.raises(Unavailable, match="after 'table_cnn:', give the path of a TOML file"):
        registry.backbone(f"table_cnn:{tmp_path}/none.toml")
    with pytest.raises(Unavailable, match="no layer table"):
        registry.backbone(f"table_cnn:{tmp_path}")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not a layer table: not UTF-8 text"):
        registry.backbone(f"table_cnn:{tmp_path}/binary.toml")
    ended = mritk("show", f"table_cnn:{tmp_path}/none.toml")
    assert ended.code == 4
    assert ended.err.count("\n") == 1


def test_a_wrong_row_is_an_error_of_the_command(path, mritk):
    path.write_text(TABLE.replace("channels = 8", "chanels = 8"))
    ended = mritk("show", f"table_cnn:{path}")
    assert ended.code == 2
    assert f"{path}, row 2, chanels: unknown key; did you mean 'channels'?" in ended.err


def test_the_record_can_be_sent_to_another_process(path, registry):
    architecture = registry.backbone(f"table_cnn:{path}").architecture
    network = pickle.loads(pickle.dumps(architecture)).build()
    assert sum(p.numel() for p in network.parameters()) == 3 * 4 * 9 + 8 + 4 * 8 * 9 + 16


def test_it_keeps_what_mritk_relies_on(path, mritk):
    ended = mritk("plugins", "check", f"table_cnn:{path}")
    assert ended.code == 0, ended.out


@pytest.mark.slow
def test_a_changed_table_is_another_trial(run_toy, path, tmp_path):
    def trials():
        assert run_toy("-b", f"table_cnn:{path}", "--seeds", 1).code in (0, 5)
        found = ResultsFolder(tmp_path / "results").trials()
        return sorted(trial.backbone for trial in found if trial.backbone.startswith("table"))

    first = trials()
    assert len(first) == 1
    assert trials() == first
    path.write_text(TABLE.replace("stride = 2", "stride = 1", 1))
    assert len(trials()) == 2


@pytest.mark.slow
def test_an_image_that_pooling_uses_up_is_an_error_with_a_way_out(path, run_toy):
    pools = '  { layer = "max_pool", size = 4 },\n' * 2
    path.write_text(TABLE.replace("]\n", f"{pools}]\n"))
    ended = run_toy("-b", f"table_cnn:{path}", "--seeds", 1)
    assert ended.code != 0
    assert "set image_size in the protocol" in ended.err


@pytest.mark.slow
def test_a_kept_network_is_handed_out_where_its_table_is(
    run_toy, mritk, path, tmp_path, monkeypatch
):
    results = tmp_path / "results"
    assert run_toy("-b", f"table_cnn:{path}", "--seeds", 1, "--keep-models").code == 0
    (trial,) = [t for t in ResultsFolder(results).trials() if t.backbone.startswith("table")]
    call = ("export", trial.id, "--results", results, "-o", tmp_path / "model.safetensors")
    ended = mritk(*call)
    assert ended.code == 4
    assert "no layer table mine.toml" in ended.err
    monkeypatch.chdir(path.parent)
    assert mritk(*call).code == 0
