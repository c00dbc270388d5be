"""Files of a repository: fetched once, checked, used offline, and explained when absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mritk import Unavailable, UsageError, Workspace
from mritk_huggingface.listing import Listing
from mritk_huggingface.repository import Repository

from .conftest import Hub, Repo  # isort: skip

NAME = "acme/scans"
WEIGHTS = "model.safetensors"


@pytest.fixture
def offline(workspace: Workspace) -> Workspace:
    return Workspace(workspace.home, offline=True)


@pytest.fixture
def repo(hub: Hub) -> Repo:
    hub.models[NAME] = Repo({"config.json": b"{}", WEIGHTS: b"the weights" * 9})
    return hub.models[NAME]


def fetch(workspace: Workspace, *files: str, revision: str = "") -> list[Path]:
    repository = Repository("model", NAME, revision)
    listing = repository.listing(workspace)
    return [repository.file(name, listing, workspace) for name in files]


def one_line(error: pytest.ExceptionInfo[Unavailable], *parts: str) -> None:
    text = str(error.value)
    assert len(text.splitlines()) == 1
    for part in parts:
        assert part in text


def test_what_was_fetched_once_needs_no_network(hub, repo, workspace, offline) -> None:
    paths = fetch(workspace, "config.json", WEIGHTS)
    hub.stop()
    hub.requests.clear()

    assert (
        fetch(offline, "config.json", WEIGHTS) == paths == fetch(workspace, "config.json", WEIGHTS)
    )
    assert [path.read_bytes() for path in paths] == list(repo.files.values())
    assert hub.requests == []


def test_files_lie_in_hugging_faces_own_cache_under_their_commit(hub, repo, workspace) -> None:
    (path,) = fetch(workspace, WEIGHTS)

    assert path == hub.cache / "models--acme--scans" / "snapshots" / repo.commit / WEIGHTS


def test_copying_one_folder_moves_all_to_another_machine(
    hub, repo, workspace, offline, tmp_path, monkeypatch
) -> None:
    from huggingface_hub import constants

    fetch(workspace, "config.json", WEIGHTS)
    other = tmp_path / "other" / "hub"
    other.mkdir(parents=True)
    (hub.cache / "models--acme--scans").rename(other / "models--acme--scans")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(other))
    hub.stop()

    assert fetch(offline, WEIGHTS)[0].read_bytes() == repo.files[WEIGHTS]


def test_offline_and_absent_says_what_to_type_and_where_to_copy(hub, repo, offline) -> None:
    with pytest.raises(Unavailable) as error:
        fetch(offline, revision="v2")

    one_line(
        error,
        "the model acme/scans is not (completely) on this machine (offline mode)",
        "'mritk fetch --backbone hf:acme/scans,revision=v2' on a connected machine",
        "copy the folder models--acme--scans",
        str(hub.cache),
    )
    assert hub.requests == []


def test_offline_with_the_listing_alone_names_the_missing_file(repo, workspace, offline) -> None:
    fetch(workspace, "config.json")

    with pytest.raises(Unavailable) as error:
        fetch(offline, WEIGHTS)
    one_line(error, f"offline mode, no {WEIGHTS}")


def test_without_a_network_the_reason_and_the_way_out_are_told(hub, repo, workspace) -> None:
    hub.stop()

    with pytest.raises(Unavailable) as error:
        fetch(workspace)
    one_line(error, "refused", "mritk fetch --backbone hf:acme/scans")


def test_an_unknown_repository_a_revision_and_a_gate_are_told_apart(hub, repo, workspace) -> None:
    with pytest.raises(Unavailable) as error:
        Repository("dataset", "acme/none").listing(workspace)
    one_line(error, "no public dataset acme/none", "https://huggingface.co/datasets/acme/none")

    with pytest.raises(Unavailable) as error:
        fetch(workspace, revision="v9")
    one_line(error, "no revision 'v9'")

    repo.gated = True
    with pytest.raises(Unavailable) as error:
        fetch(workspace, WEIGHTS)
    one_line(error, "is gated", f"conditions at https://huggingface.co/{NAME}", "hf auth login")


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_wrong_body_of_the_right_length_is_refused_and_never_used(
    name: str, hub, repo, workspace, offline
) -> None:
    content = repo.files[name]
    hub.sent[name] = bytes(255 - byte for byte in content)

    for place in (workspace, offline):
        with pytest.raises(Unavailable) as error:
            fetch(place, name)
        one_line(error, f"{name} of the model {NAME} does not match the hub", "delete ")


def test_deleting_what_the_message_names_mends_it(hub, repo, workspace) -> None:
    hub.sent[WEIGHTS] = b"x" * len(repo.files[WEIGHTS])
    with pytest.raises(Unavailable) as error:
        fetch(workspace, WEIGHTS)
    hub.sent.clear()

    Path(str(error.value).split("delete ")[1].split(" and repeat")[0]).unlink()

    assert fetch(workspace, WEIGHTS)[0].read_bytes() == repo.files[WEIGHTS]


def test_a_file_that_was_changed_on_this_machine_is_refused(repo, workspace, offline) -> None:
    (path,) = fetch(workspace, WEIGHTS)
    path.write_bytes(b"other" * 3)

    with pytest.raises(Unavailable, match="the file is damaged"):
        fetch(offline, WEIGHTS)


def test_a_hub_that_is_ill_will_answer_later(hub, repo, workspace) -> None:
    fetch(workspace)
    hub.ill = 503

    for files, revision in (([], "v2"), ([WEIGHTS], "")):
        with pytest.raises(Unavailable) as error:
            fetch(workspace, *files, revision=revision)
        one_line(error, "failed to send the ", "503", "repeat the command")
        assert "connected machine" not in str(error.value)
    hub.ill = 0
    assert fetch(workspace, WEIGHTS)[0].read_bytes() == repo.files[WEIGHTS]


@pytest.mark.slow
def test_a_download_that_breaks_off_leaves_nothing_to_be_used(
    hub, repo, workspace, offline
) -> None:
    hub.sent[WEIGHTS] = repo.files[WEIGHTS][:20]

    with pytest.raises(Unavailable) as error:
        fetch(workspace, WEIGHTS)
    one_line(error, "failed to send the model acme/scans (", "repeat the command")
    assert "connected machine" not in str(error.value)
    with pytest.raises(Unavailable, match="offline mode"):
        fetch(offline, WEIGHTS)
    hub.sent.clear()
    assert fetch(workspace, WEIGHTS)[0].read_bytes() == repo.files[WEIGHTS]


@pytest.mark.parametrize("name", ["", "resnet", "a/b/c", "../x", "a/..", "https://x/y", "a/b c"])
def test_what_names_no_repository_is_refused_before_anything_is_asked(name: str, hub) -> None:
    with pytest.raises(UsageError, match="use hf:ORG/REPO"):
        Repository("model", name)
    assert hub.requests == []


def test_a_damaged_listing_is_asked_for_anew(hub, repo, workspace) -> None:
    fetch(workspace)
    for path in (hub.cache / "models--acme--scans" / "mritk").glob("*.json"):
        path.write_text(path.read_text()[:30])

    assert isinstance(Repository("model", NAME).listing(workspace), Listing)


def test_a_cache_that_cannot_be_written_is_told(hub, repo, workspace) -> None:
    hub.cache.mkdir(parents=True)
    (hub.cache / "models--acme--scans").write_text("in the way")

    with pytest.raises(Unavailable, match=r"cannot write to .*; set HF_HOME"):
        fetch(workspace)


def test_a_cache_that_can_no_longer_be_written_is_told(hub, repo, workspace) -> None:
    fetch(workspace)
    (hub.cache / "models--acme--scans" / "blobs").write_text("in the way")

    with pytest.raises(Unavailable, match=r"cannot write to .*; set HF_HOME"):
        fetch(workspace, WEIGHTS)


@pytest.mark.parametrize(
    ("card", "license_"),
    [
        ({"license": "mit"}, "mit"),
        ({"license": ["mit", "cc-by-4.0"]}, "mit, cc-by-4.0"),
        ({"license": "other", "license_name": "acme-research"}, "acme-research"),
        ({}, "not stated"),
    ],
)
def test_the_licence_is_what_the_card_says(card, license_: str, hub, repo, workspace) -> None:
    repo.card = card

    assert Repository("model", NAME).listing(workspace).license == license_


def test_families_are_listed_without_importing_a_library() -> None:
    code = (
        "import sys, mritk_huggingface as m; list(m.mritk_backbones()); list(m.mritk_datasets());"
        "heavy = {'torch', 'timm', 'huggingface_hub', 'transformers', 'datasets', 'numpy'};"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
