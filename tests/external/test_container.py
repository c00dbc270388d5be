"""Containers: what they see, how they are started, and which image is meant."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest

from mritk import Unavailable, UsageError
from mritk.external import Entrant, Mount, ProgramFailed, container, find_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses programs for POSIX shells")

MOUNTS = (Mount(Path("/data/in"), "/input"), Mount(Path("/data/out"), "/output", writable=True))


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_a_container_sees_its_mounts_alone_and_no_network(engine, name):
    engine(name)
    environment = find_environment(f"{name}:team/entrant:1")
    launch = environment.launch(["--t1", "/input/t1.nii.gz"], MOUNTS, {"A": "b"}, "cuda:1")
    words = list(launch.command)
    image = words.index("team/entrant:1")
    assert words[image + 1 :] == ["--t1", "/input/t1.nii.gz"]
    given = dict(itertools.pairwise(words))
    assert given["--network"] == "none"
    assert given["--env"] == "A=b"
    assert given["--gpus"] == "device=1"
    volumes = [words[i + 1] for i, word in enumerate(words) if word == "--volume"]
    assert volumes == ["/data/in:/input:ro", "/data/out:/output:rw"]
    assert launch.cleanup == ((words[0], "rm", "--force", given["--name"]),)
    named = environment.launch(["python", "own.py"], MOUNTS, {}).command
    assert named[-4:] == ("--entrypoint", "python", "team/entrant:1", "own.py")


@pytest.mark.parametrize("name", ["docker:entrant", "podman:entrant"])
def test_a_folder_with_a_colon_cannot_be_mounted(engine, name):
    engine(name.partition(":")[0])
    with pytest.raises(UsageError, match="/data/a:b has a colon in its name"):
        find_environment(name).launch([], [Mount(Path("/data/a:b"), "/input")], {})


def test_apptainer_divides_at_a_comma_and_docker_does_not(engine, tmp_path):
    mounts = [Mount(Path("/data/a,b"), "/input")]
    engine("docker")
    assert (
        "/data/a,b:/input:ro" in find_environment("docker:entrant").launch([], mounts, {}).command
    )
    engine("apptainer")
    (tmp_path / "entrant.sif").touch()
    with pytest.raises(UsageError, match="/data/a,b has a comma in its name"):
        find_environment(f"apptainer:{tmp_path / 'entrant.sif'}").launch([], mounts, {})


@pytest.mark.parametrize(
    "name", ["DOCKER_CONTEXT", "DOCKER_CERT_PATH", "XDG_DATA_HOME", "CONTAINERS_STORAGE_CONF"]
)
def test_an_engine_is_told_where_its_images_are(engine, monkeypatch, name):
    image = json.dumps([{"Id": "sha256:" + "ab" * 32}])
    engine("docker", f"[ \"${name}\" = /there ] && echo '{image}'")
    monkeypatch.setenv(name, "/there")
    assert find_environment("docker:entrant").lock()["digest"] == "ab" * 32


def test_a_file_of_apptainer_is_run_or_asked_for_a_program(engine, tmp_path):
    engine("apptainer", "echo 'apptainer version 1.3.4'")
    image = tmp_path / "entrant.sif"
    environment = find_environment(f"apptainer:{image}")
    with pytest.raises(Unavailable, match=r"there is no image .*entrant.sif; build it with"):
        environment.lock()
    image.write_bytes(b"image")
    _, verb, *words = environment.launch(["--t1", "/input/t1.nii.gz"], MOUNTS, {}, "cuda:0").command
    assert verb == "run"
    assert {"--containall", "--no-home", "--nv", "--net"} <= set(words)
    assert words[words.index("--network") + 1] == "none"
    assert "/data/in:/input:ro" in words
    assert words[-3:] == [str(image), "--t1", "/input/t1.nii.gz"]
    assert environment.launch(["python", "own.py"], MOUNTS, {}).command[1] == "exec"
    lock = environment.lock()
    assert lock["digest"] == "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
    assert lock["engine"] == "apptainer version 1.3.4"


def test_apptainer_starts_where_there_are_no_network_namespaces(
    engine, tmp_path, monkeypatch, caplog
):
    engine("apptainer")
    (tmp_path / "entrant.sif").write_bytes(b"image")
    monkeypatch.setattr(container, "NAMESPACES", tmp_path / "max_net_namespaces")
    container.NAMESPACES.write_text("0\n")
    container._without_network.cache_clear()
    launch = find_environment(f"apptainer:{tmp_path / 'entrant.sif'}").launch([], MOUNTS, {})
    container._without_network.cache_clear()
    assert "--net" not in launch.command
    assert "programs that Apptainer runs can reach the network" in caplog.text


def test_the_lock_of_an_image_is_its_digest(engine):
    told = json.dumps([{"Id": "sha256:abc", "RepoDigests": ["team/entrant@sha256:def"]}])
    engine("docker", f'[ "$1" = image ] && echo \'{told}\' || echo "Docker 28"')
    lock = find_environment("docker:team/entrant").lock()
    assert (lock["digest"], lock["engine"]) == ("abc", "Docker 28")
    assert lock["repository_digests"] == ["team/entrant@sha256:def"]


IMAGE_ID, OF_REPOSITORY = 32 * "a1", 32 * "b2"


@pytest.fixture
def images(engine, tmp_path):
    """An engine whose image a file names; it runs whatever it is told to in this interpreter."""
    (tmp_path / "image.json").write_text(image_of(IMAGE_ID))
    calls = engine(
        "podman",
        f'[ "$1" = image ] && exec cat {tmp_path}/image.json\n'
        '[ "$1" = run ] && echo "it ran"\n[ "$1" = --version ] && echo "podman version 5.2"\n'
        "exit 0",
    )
    return tmp_path / "image.json", calls


def image_of(digest):
    named = [f"team/entrant@sha256:{OF_REPOSITORY}"]
    return json.dumps([{"Id": digest, "RepoDigests": named}])


@pytest.mark.parametrize(
    "image",
    [f"team/entrant@sha256:{OF_REPOSITORY}", f"sha256:{IMAGE_ID}", f"sha256:{IMAGE_ID[:12]}"],
)
def test_an_image_may_be_named_by_its_digest_and_another_one_is_refused(images, image):
    environment = find_environment(f"podman:{image}")
    assert environment.lock()["digest"] == IMAGE_ID
    file, _ = images
    file.write_text(image_of(64 * "c").replace(OF_REPOSITORY, 64 * "d"))
    message = (
        rf"podman has another image than {image}: its id is sha256:c+; .*: podman pull {image}"
    )
    with pytest.raises(Unavailable, match=message):
        environment.lock()


def test_a_version_that_is_a_digest_must_be_that_of_the_image(images, tmp_path):
    entrant = Entrant("box", find_environment("podman:team/entrant:1"))
    for told in (IMAGE_ID, OF_REPOSITORY, IMAGE_ID[:12]):
        entrant.require(version=f"sha256:{told}")
    entrant.require(version="1.3")  # a name, which no engine knows
    for told in (64 * "0", IMAGE_ID[:11]):
        with pytest.raises(Unavailable) as refused:
            entrant.require(version=f"sha256:{told}")
        assert str(refused.value) == (
            f"box is not the version sha256:{told} that the protocol wants: its environment is "
            f"sha256:{IMAGE_ID}, team/entrant@sha256:{OF_REPOSITORY}; fetch the right one, or set "
            "version anew"
        )
    file = tmp_path / "box.sif"
    file.write_bytes(b"image")
    sif = Entrant("box", find_environment(f"apptainer:{file}"))
    vars(sif)["lock"] = {"environment": {"digest": 64 * "e"}}  # without an engine
    sif.require(version=f"sha256:{64 * 'e'}")


def test_a_name_that_was_given_to_another_image_meanwhile_is_refused(images, tmp_path):
    """The trial file says what ran: the lock is taken once, and an image may be built anew."""
    entrant = Entrant("box", find_environment("podman:team/entrant:1"))
    assert entrant.lock["environment"]["digest"] == IMAGE_ID
    entrant.run(["--t1"], tmp_path, tmp_path / "log")
    file, calls = images
    file.write_text(image_of(64 * "c"))
    before = calls().count("run")
    with pytest.raises(Unavailable, match=r"team/entrant:1 is another image of podman than when"):
        entrant.run(["--t1"], tmp_path, tmp_path / "log")
    assert calls().count("run") == before


def test_an_engine_that_answers_something_else_knows_no_image(images):
    file, _ = images
    for text in ("[]", "[{}]", "{}", "no JSON", "[1]"):
        file.write_text(text)
        with pytest.raises(Unavailable, match="podman knows no image team/entrant"):
            find_environment("podman:team/entrant").lock()


def test_a_container_is_asked_by_a_short_command(images, engine):
    entrant = Entrant("box", find_environment("podman:team/entrant:1"))
    assert entrant.answer(["python", "--version"]) == "it ran\n"
    engine("podman", "echo 'exec: python: not found' >&2; exit 127")
    with pytest.raises(Unavailable, match=r"python fails in the environment of box: exec: python"):
        entrant.answer(["python", "--version"])


def test_an_engine_that_is_missing_or_does_not_answer_is_one_line(engine, monkeypatch, tmp_path):
    engine("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(
        Unavailable, match=r"docker cannot use image x: Cannot connect.*docker pull x"
    ):
        find_environment("docker:x").lock()
    monkeypatch.setenv("PATH", str(tmp_path))
    for text in ("podman:x", "uv:numpy"):
        with pytest.raises(Unavailable, match=r"there is no (podman|uv)"):
            find_environment(text).lock()


def test_a_container_that_is_ended_is_removed(engine, tmp_path):
    calls = engine("docker", '[ "$1" = run ] && { echo ready; sleep 60; }; exit 0')
    entrant = Entrant("own", find_environment("docker:team/entrant"))

    def stop(line):
        raise ProgramFailed(line)

    with pytest.raises(ProgramFailed, match="ready"):
        entrant.run(["--t1"], tmp_path, tmp_path / "log", on_line=stop)
    called = calls()
    name = called[called.index("--name") + 1]
    assert called[-3:] == ["rm", "--force", name]
    assert called.count("rm") == 1
