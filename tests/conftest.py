"""Fixtures that all tests share: a workspace of their own, toy records, a runner."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from mritk import Classification, Samples, Workspace
from mritk.cli.main import main
from mritk.plugins.registry import Registry

# What memory and time the tests take; fixtures of trainings, which tests of several rooms need.
pytest_plugins = ["tests.worker_memory", "tests.spared"]
FIXTURES = ("tests.training_fixtures", "tests.shallow_networks", "tests.stored_trials")

# Compiled once, also where Python is told to keep nothing compiled: every worker imports all tests,
# and dozens of processes mritk.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Tests interrupt processes that they start, which ignore it if a shell that runs pytest in the
# background has told it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Trials are trained in this process, unless a test says otherwise: tests plant faults here, and
# other processes of pytest use the other cores.
os.environ["MRITK_JOBS"] = "1"

SETTINGS = (
    "MRITK_PLUGINS",
    "MRITK_OFFLINE",
    "MRITK_SCRATCH",
    "MRITK_STRICT_PLUGINS",
    "MRITK_DISABLE_PLUGIN_AUTOLOAD",
    "MRITK_RADIMAGENET",
    "MRITK_LVMMED",
    "MRITK_NNUNET",
    "MRITK_TENSORBOARD",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "HF_HUB_OFFLINE",
    "CI",
)

HOMES = count()

# Two stages in well under a second, three steps each epoch.
FAST_PROTOCOL = """
method = "finetune"
image_size = 32
augmentation = "none"

[parameters]
batch_size = 16
last_batch = "drop"

[[parameters.stages]]
name = "head"
epochs = 1
train_last = 0.0

[[parameters.stages]]
name = "all"
epochs = 2
learning_rate = 1e-2
"""

TOY_PLUGIN = '''
"""A tiny network and an easy dataset: the class is a bright horizontal band."""
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl

CLASSES = ("top", "middle", "bottom")


def build_tiny():
    from torch import nn

    def block(width_in, width):
        return [nn.Conv2d(width_in, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]

    return nn.Sequential(*block(3, 8), *block(8, 16), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten())


def open_bands(workspace):
    rng = np.random.default_rng(0)
    targets = np.arange(90) % 3
    images = rng.integers(0, 80, (90, 32, 32)).astype(np.uint8)
    for image, target in zip(images, targets):
        image[10 * target : 10 * target + 10] += 120
    return Samples(
        ids=[f"image-{i:02d}" for i in range(90)],
        targets=targets,
        task=Classification(CLASSES),
        read=lambda i: images[i],
        patients=[f"patient-{i // 3:02d}" for i in range(90)],
    )


@hookimpl
def mritk_backbones():
    half = (0.5, 0.5, 0.5)
    yield Architecture("tiny", build_tiny, InputContract(32, half, half), summary="two blocks")


@hookimpl
def mritk_datasets():
    yield Dataset("bands", open_bands, summary="bright bands")
'''


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fixtures import torch, for seconds: not where tests are only handed out to others."""
    if not session.config.pluginmanager.has_plugin("dsession"):
        for name in FIXTURES:
            session.config.pluginmanager.import_plugin(name)


def pytest_collection() -> None:
    """What is imported and collected stays: looking for garbage in it is for nothing."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process of several ends alone with one.

    Those of this folder, which run whole studies, come before those of single rooms.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, len(item.path.parts)))


def pytest_collection_finish() -> None:
    """Later collections of garbage need not look at what is imported by now either."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU")


@pytest.fixture(autouse=True)
def own_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Keep the tests out of the caches of the person who runs them."""
    import torch

    # Not mktemp, which looks through all folders of the tests before for its number. Not made: most
    # tests put nothing there, and to remove a folder takes milliseconds on some file systems.
    home = tmp_path_factory.getbasetemp() / f"home-{next(HOMES)}"
    monkeypatch.setenv("MRITK_HOME", str(home))
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    yield home
    torch.set_num_threads(threads)
    if home.exists():
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace for phantoms, each of which is made once: processes of pytest-xdist share it."""
    pytest.importorskip("nilearn", reason="the phantom's anatomy is shipped by nilearn")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return Workspace(folder / "phantoms")


@pytest.fixture(scope="session")
def default_phantom(phantoms: Workspace) -> Workspace:
    """A workspace that has the dataset ``phantom``."""
    Registry.load(environ={}).dataset("phantom").open(phantoms)
    return phantoms


@pytest.fixture(scope="module")
def fresh_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of its own that sees the libraries of this one, and mritk."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next((venv / "lib").glob("python*/site-packages"))
    seen = {sysconfig.get_path("purelib"), *(p for p in sys.path if "site-packages" in p)}
    # Their .pth files count too: mritk itself may be installed in editable form.
    lines = [f"import site; site.addsitedir({path!r})" for path in sorted(seen)]
    (site / "libraries.pth").write_text("\n".join(lines))
    # Programs of the libraries, run by the interpreter of this environment.
    for program, module in (("mritk", "mritk"), ("pytest", "pytest")):
        script = venv / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    return venv


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def make_samples() -> Callable[..., Samples]:
    """Make N samples of noise: class i % classes, patient i // per_patient."""

    def make(
        count: int = 40, classes: int = 2, per_patient: int | None = 2, side: int = 8, **columns
    ) -> Samples:
        images = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
        if per_patient:
            columns.setdefault("patients", [f"p{i // per_patient}" for i in range(count)])
        return Samples(
            ids=[f"s{i:03d}" for i in range(count)],
            targets=np.arange(count) // (per_patient or 1) % classes,
            task=Classification(tuple("abcdefgh"[:classes])),
            read=lambda i: images[i],
            **columns,
        )

    return make


@pytest.fixture(scope="session")
def audit_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Path]:
    """Audit a dataset of a one-file plugin, once per text; return what a workspace keeps of it."""
    audits: dict[tuple[str, str, str], Path] = {}

    def audit(plugin: Path, dataset: str) -> Path:
        key = (plugin.name, plugin.read_text(), dataset)
        if key not in audits:
            home = tmp_path_factory.mktemp("audited")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MRITK_HOME", str(home))
                main(["audit", "-p", str(plugin), dataset])
            audits[key] = home / "audit"
        return audits[key]

    return audit


@pytest.fixture
def audited_before(own_home: Path, audit_once: Callable[[Path, str], Path]) -> Callable[..., None]:
    """Spare a test the audit of a dataset of its plugin, which takes longer than the trainings."""

    def copy(plugin: Path, dataset: str = "bands") -> None:
        shutil.copytree(audit_once(plugin, dataset), own_home / "audit", dirs_exist_ok=True)

    return copy


@pytest.fixture
def no_near_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test of drawn shapes the search for near copies, for which all of them qualify."""
    monkeypatch.setattr("mritk.audit.copies._near", lambda *arguments: iter(()))


@pytest.fixture
def no_figures_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test of something else on the report's page the drawing of eight figures."""
    monkeypatch.setattr("mritk.report.page.KINDS", {})


@pytest.fixture
def toy(tmp_path: Path, audited_before: Callable[..., None]) -> Path:
    """A one-file plugin with the backbone ``tiny`` and the dataset ``bands``, audited before."""
    path = tmp_path / "toy.py"
    path.write_text(TOY_PLUGIN)
    audited_before(path)
    return path


@pytest.fixture
def fast_protocol(tmp_path: Path) -> Path:
    """A protocol file that trains in well under a second."""
    path = tmp_path / "fast.toml"
    path.write_text(FAST_PROTOCOL)
    return path


@dataclass(frozen=True)
class Ended:
    """How a call of the program ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def mritk(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Call the program with these arguments."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


def run_toy_in(folder: Path, plugin: str, *arguments: str) -> Path:
    """Run ``tiny`` of a plugin's text on ``bands``, for several tests; return the results."""
    (folder / "toy.py").write_text(plugin)
    (folder / "fast.toml").write_text(FAST_PROTOCOL)
    words = ["run", "-p", folder / "toy.py", "-b", "tiny", "-d", "bands", "--device", "cpu"]
    words += ["--protocol", folder / "fast.toml", "-o", folder / "results", "--seeds", 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRITK_HOME", str(folder / "home"))
        assert main([str(word) for word in (*words, *arguments)]) == 0
    return folder / "results"


@pytest.fixture
def run_toy(
    mritk: Callable[..., Ended], toy: Path, fast_protocol: Path, tmp_path: Path
) -> Callable[..., Ended]:
    """Run ``tiny`` on ``bands`` into ``tmp_path/results``; arguments are added."""

    def run(*arguments: object) -> Ended:
        base = ("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol)
        return mritk(*base, "-o", tmp_path / "results", "--device", "cpu", *arguments)

    return run
