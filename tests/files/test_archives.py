"""Archives are unpacked whole, once, and nowhere but in their own folder."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import threading
import zipfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest

from mritk import DataError, Unavailable, sha256_of, unpacked
from mritk.files.draft import draft_of

FILES = {"a/1.png": b"one", "a/deep/2.png": b"two" * 9000, "b/3.png": b""}


def write_zip(path, files, *, mode=0o100644, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, content in dict(files).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = compression
            packed.writestr(info, content)
    return path


def write_tar(path, files, *, mode="w", kind=tarfile.REGTYPE, target=""):
    """Write files; those whose content is None are of ``kind`` and lead to ``target``."""
    with tarfile.open(path, mode) as packed:
        for name, content in dict(files).items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = kind, target
            info.size = len(content or b"")
            packed.addfile(info, io.BytesIO(content or b""))
    return path


WRITERS = {
    "files.zip": write_zip,
    "stored.zip": lambda path, files: write_zip(path, files, compression=zipfile.ZIP_STORED),
    "files.tar": write_tar,
    "files.tar.gz": lambda path, files: write_tar(path, files, mode="w:gz"),
    "files.tar.xz": lambda path, files: write_tar(path, files, mode="w:xz"),
    "no suffix": lambda path, files: write_tar(path, files, mode="w:gz"),
}
BOTH = pytest.mark.parametrize("write", [write_zip, write_tar])


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_nothing_visible(workspace, *also):
    """No folder, no draft; locks stay."""
    left = [p for p in (workspace.home / "unpacked").iterdir() if not p.name.endswith(".lock")]
    assert left == []
    for path in also:
        assert not path.exists()


@pytest.mark.parametrize("name", WRITERS)
def test_an_archive_is_unpacked_into_a_folder_named_by_its_content(name, tmp_path, workspace):
    archive = WRITERS[name](tmp_path / name, FILES)
    folder = unpacked(archive, workspace)
    assert folder == workspace.home / "unpacked" / sha256_of(archive)[:32]
    assert contents(folder) == FILES


def test_a_second_call_unpacks_nothing(tmp_path, workspace):
    folder = unpacked(write_zip(tmp_path / "x.zip", FILES), workspace)
    (folder / "mark").touch()
    assert unpacked(tmp_path / "x.zip", workspace) == folder
    moved = shutil.move(tmp_path / "x.zip", tmp_path / "y.zip")
    assert unpacked(moved, workspace) == folder
    assert (folder / "mark").exists()


def test_a_changed_archive_is_unpacked_anew(tmp_path, workspace):
    before = unpacked(write_zip(tmp_path / "x.zip", FILES), workspace)
    after = unpacked(write_zip(tmp_path / "x.zip", {"a": b"new"}), workspace)
    assert contents(after) == {"a": b"new"}
    assert contents(before) == FILES


def test_threads_that_ask_together_unpack_once(tmp_path, workspace, monkeypatch):
    archive = write_zip(tmp_path / "x.zip", FILES)
    copies, copy = [], shutil.copyfileobj
    monkeypatch.setattr(
        shutil, "copyfileobj", lambda *a: (copies.append(threading.get_ident()), copy(*a))
    )
    with ThreadPoolExecutor(5) as pool:
        folders = set(pool.map(lambda _: unpacked(archive, workspace), range(5)))
    assert len(folders) == 1
    assert len(copies) == len(FILES)


def test_remains_of_an_interrupted_call_are_thrown_away(tmp_path, workspace):
    archive = write_zip(tmp_path / "x.zip", FILES)
    draft = draft_of(workspace.folder("unpacked") / sha256_of(archive)[:32])
    draft = draft.with_name(draft.name.replace(f"-{os.getpid()}-", "-99999999-"))
    draft.mkdir()
    (draft / "half").write_bytes(b"x")
    assert contents(unpacked(archive, workspace)) == FILES
    assert not draft.exists()


def test_an_interruption_leaves_nothing_visible(tmp_path, workspace, monkeypatch):
    archive = write_zip(tmp_path / "x.zip", FILES)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpacked(archive, workspace)
    assert_nothing_visible(workspace)


@BOTH
def test_folders_of_windows_and_of_here_are_folders(write, tmp_path, workspace):
    archive = write(tmp_path / "x", {"a\\1.png": b"1", "./b/2.png": b"2"})
    assert contents(unpacked(archive, workspace)) == {"a/1.png": b"1", "b/2.png": b"2"}


def test_permissions_are_not_kept(tmp_path, workspace):
    folder = unpacked(write_zip(tmp_path / "x.zip", {"a": b"x"}, mode=0o104777), workspace)
    assert not stat.S_IMODE((folder / "a").stat().st_mode) & (stat.S_ISUID | 0o111)


# -- archives that should not be trusted ---------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/tmp/evil", "a/../b", "..\\evil", "\\evil", "C:\\evil", "c:evil"],
)
def test_names_that_lead_out_are_refused(write, name, tmp_path, workspace):
    archive = write(tmp_path / "x", {"a": b"1", name: b"2"})
    with pytest.raises(DataError, match="outside the folder") as error:
        unpacked(archive, workspace)
    assert repr(name) in str(error.value)
    assert str(archive) in str(error.value)
    assert_nothing_visible(workspace, tmp_path / "evil", workspace.home / "evil")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd", "..", "..\\secret"])
def test_links_that_lead_out_of_a_tar_are_refused(kind, target, tmp_path, workspace):
    archive = write_tar(tmp_path / "x.tar", {"a/link": None}, kind=kind, target=target)
    if target == ".." and kind == tarfile.SYMTYPE:
        target = "its root"  # from a/, which is inside, but no file
    with pytest.raises(DataError, match=r"'a/link' is a link (that points out|to a f\w+ \w+)"):
        unpacked(archive, workspace)
    assert_nothing_visible(workspace)


@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd"])
def test_links_that_lead_out_of_a_zip_are_refused(target, tmp_path, workspace):
    archive = write_zip(tmp_path / "x.zip", {"a/link": target}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(DataError, match="'a/link' is a link that points out"):
        unpacked(archive, workspace)


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "../b/3"), (tarfile.LNKTYPE, "b/3")]
)
def test_a_link_inside_becomes_a_copy(kind, target, tmp_path, workspace):
    files = {"b/3": b"three", "a/link": None}
    folder = unpacked(write_tar(tmp_path / "x", files, kind=kind, target=target), workspace)
    assert contents(folder) == {"b/3": b"three", "a/link": b"three"}
    assert not (folder / "a" / "link").is_symlink()


def test_writing_through_a_link_is_not_possible(tmp_path, workspace):
    """The old trick: first a link to a folder outside, then a file behind it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    files = {"door": None, "door/evil": b"x"}
    archive = write_tar(tmp_path / "x", files, kind=tarfile.SYMTYPE, target=str(outside))
    with pytest.raises(DataError, match="points out"):
        unpacked(archive, workspace)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("target", ["a", "none", "b"])
def test_links_in_circles_or_to_nothing_or_to_a_folder(target, tmp_path, workspace):
    where, of = ("folder in" if target == "b" else "file outside"), {"a": None, "b/c": b"x"}
    archive = write_tar(tmp_path / "x", of, kind=tarfile.SYMTYPE, target=target)
    with pytest.raises(DataError, match=f"'a' is a link to a {where} the archive; recreate it"):
        unpacked(archive, workspace)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(kind, tmp_path, workspace):
    with pytest.raises(DataError, match="'a' is a device or a pipe"):
        unpacked(write_tar(tmp_path / "x", {"a": None}, kind=kind), workspace)


def test_devices_in_a_zip_are_refused(tmp_path, workspace):
    archive = write_zip(tmp_path / "x.zip", {"a": b""}, mode=stat.S_IFCHR | 0o644)
    with pytest.raises(DataError, match="'a' is a device"):
        unpacked(archive, workspace)


@BOTH
@pytest.mark.parametrize(
    "names", [("a/B.png", "A/b.png"), ("a", "./a"), ("\u00fc.png", "u\u0308.png")]
)
def test_two_names_of_one_file_are_refused(write, names, tmp_path, workspace):
    with pytest.raises(DataError, match="the same file on some file systems"):
        unpacked(write(tmp_path / "x", dict.fromkeys(names, b"1")), workspace)


@BOTH
def test_a_file_that_is_also_a_folder(write, tmp_path, workspace):
    with pytest.raises(DataError, match="'a/b' cannot be unpacked"):
        unpacked(write(tmp_path / "x", {"a": b"1", "a/b": b"2"}), workspace)
    assert_nothing_visible(workspace)


@BOTH
def test_more_than_the_disk_can_hold_is_refused_before_anything_is_written(
    write, tmp_path, workspace, monkeypatch
):
    archive = write(tmp_path / "x", {"a": bytes(1000)})
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1111))
    with pytest.raises(DataError, match=r"would unpack to 1e-06 GB.*90 %.*MRITK_HOME"):
        unpacked(archive, workspace)
    assert_nothing_visible(workspace)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1112))
    unpacked(archive, workspace)


def test_links_count_with_what_they_lead_to(tmp_path, workspace, monkeypatch):
    files = {"a": bytes(1000), **{f"link-{i}": None for i in range(9)}}
    archive = write_tar(tmp_path / "x", files, kind=tarfile.LNKTYPE, target="a")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10_000))
    with pytest.raises(DataError, match="would unpack to 1e-05 GB"):
        unpacked(archive, workspace)


# -- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_truncated_archive_is_refused(name, share, tmp_path, workspace):
    import random

    noise = random.Random(0).randbytes(40_000)
    archive = WRITERS[name](tmp_path / name, {f"{i}.png": noise[i:] for i in range(3)})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"damaged|cannot be unpacked|is empty") as error:
        unpacked(archive, workspace)
    assert str(archive) in str(error.value)
    assert_nothing_visible(workspace)


@pytest.mark.parametrize("name", ["files.zip", "stored.zip", "files.tar.gz", "files.tar.xz"])
def test_a_flipped_bit_is_noticed(name, tmp_path, workspace):
    import random

    archive = WRITERS[name](tmp_path / name, {"a.png": random.Random(0).randbytes(40_000)})
    content = bytearray(archive.read_bytes())
    content[20_000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged|'a\.png' cannot be unpacked"):
        unpacked(archive, workspace)
    assert_nothing_visible(workspace)


def test_a_damaged_header_inside_a_tar_does_not_hide_what_follows(tmp_path, workspace):
    archive = write_tar(tmp_path / "x.tar", {"a": b"1", "b": b"2", "c": b"3"})
    content = bytearray(archive.read_bytes())
    content[1024 + 150] ^= 1  # in the checksum of the second header
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged or missing header at byte 1024"):
        unpacked(archive, workspace)


def test_a_tar_that_is_cut_between_two_members_is_not_taken_for_whole(tmp_path, workspace):
    archive = write_tar(tmp_path / "x.tar", {"a": b"1", "b": b"2"})
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(DataError, match="missing header at byte 1024"):
        unpacked(archive, workspace)


@pytest.mark.parametrize("content", [b"PK", b"hello" * 500, b"\x1f\x8b\x08", b"PK\x03\x04" * 9])
def test_what_is_no_archive_is_refused(content, tmp_path, workspace):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match="is not a zip or tar archive, or is damaged"):
        unpacked(tmp_path / "x.zip", workspace)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"Rar!\x1a\x07", "a RAR"), (b"7z\xbc\xaf\x27\x1c", "a 7z")]
)
def test_archives_of_other_kinds_are_named(content, kind, tmp_path, workspace):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.zip is {kind} archive, .* unpack it manually"):
        unpacked(tmp_path / "x.zip", workspace)


def test_empty_folders_are_kept(tmp_path, workspace):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a/b/", "")
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        folder = tarfile.TarInfo("a/b")
        folder.type = tarfile.DIRTYPE
        packed.addfile(folder)
    for name in ("x.zip", "x.tar"):
        assert (unpacked(tmp_path / name, workspace) / "a" / "b").is_dir()


def test_a_folder_with_the_name_of_a_file_is_refused(tmp_path, workspace):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a", "content")
        packed.writestr("a/b/", "")
    with pytest.raises(DataError, match=r"x\.zip: the member 'a/b' cannot be unpacked"):
        unpacked(tmp_path / "x.zip", workspace)


def test_an_encrypted_zip_is_refused(tmp_path, workspace):
    archive = write_zip(tmp_path / "x.zip", {"a": b"x"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # general purpose flag of the local header, then that of the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        unpacked(archive, workspace)


def test_an_archive_that_is_not_there(tmp_path, workspace):
    with pytest.raises(Unavailable, match="no archive"):
        unpacked(tmp_path / "none.zip", workspace)
