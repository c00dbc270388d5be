"""The frozen records that hooks yield. A record is data plus a lazy callable.

Yielding a record must be cheap and must not import torch: every callable here is called only when
a trial needs it. The registry stamps each record with the plugin that provided it
(:attr:`Record.origin`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from mritk.data.samples import Samples
    from mritk.files.workspace import Workspace

    StateDict = Mapping[str, torch.Tensor]

FILE_DIGEST = "sha256:"


@dataclass(frozen=True)
class Origin:
    """Which plugin provided a record, as ``distribution version (plugin)``.

    Attributes:
        plugin: Name of the entry point, the module or the file.
        distribution: Name of the package, or of the file; empty for a module that was named.
        version: Version of the package, or ``sha256:`` and the digest of the file.
    """

    plugin: str
    distribution: str = ""
    version: str = ""

    @property
    def digest(self) -> str:
        """The digest of a one-file plugin, else empty: the file may change from run to run."""
        return self.version if self.version.startswith(FILE_DIGEST) else ""

    @property
    def is_installed(self) -> bool:
        """Whether it belongs to an installed distribution, and not to a file or a module."""
        return bool(self.distribution) and not self.digest

    def __str__(self) -> str:
        if not self.distribution:
            return self.plugin
        return f"{self.distribution} {self.version} ({self.plugin})"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all records have.

    Attributes:
        summary: One line for ``mritk list``.
        origin: Filled in by the registry.
    """

    summary: str = ""
    origin: Origin = field(default=Origin("unregistered"), compare=False)


INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


@dataclass(frozen=True)
class InputContract:
    """What the pixels must look like for a set of weights.

    A pixel in [0, 1] becomes ``(pixel - mean) / std``, channel by channel. One grey channel is
    repeated into ``channels``.

    Attributes:
        size: Side length in pixels (or voxels) the weights were trained for; None: any size.
        mean: One value per channel, in units of the [0, 1] pixel range.
        std: One value per channel.
        interpolation: ``bilinear`` or ``bicubic``, used to resize, antialiased; or ``nearest``.
        channel_order: ``RGB`` or ``BGR``; ``mean`` and ``std`` are in this order.
    """

    size: int | None = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    channel_order: str = "RGB"

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(self.std):
            raise ValueError("mean and std need one value per channel, and std must not be 0")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise ValueError(f"interpolation must be one of {known}, not {self.interpolation!r}")
        if self.channel_order not in ("RGB", "BGR"):
            raise ValueError(f"channel_order must be RGB or BGR, not {self.channel_order!r}")

    @property
    def channels(self) -> int:
        """Number of input channels of the network."""
        return len(self.mean)


@dataclass(frozen=True)
class Architecture(Record):
    """A network without weights. Yield it from ``mritk_backbones``.

    Attributes:
        name: Name without ``@``; a family's members carry its prefix (``timm:resnet18``).
        build: Returns a freshly initialised ``torch.nn.Module`` that turns a batch of shape
            (N, C, *spatial) into features of shape (N, D).
        input: The input contract of the architecture trained from scratch, and of every set of
            weights that does not bring its own.
        stages: Given the built network, returns an ordered list of (stage name, names of the
            stage's tensors in the state dict) from input to output. Default: the network's
            top-level modules, containers unfolded.
        default_weights: What the plain name means.
        spatial_dims: 2 for images, 3 for volumes; None if the network does not take a dense grid.
    """

    name: str
    build: Callable[[], torch.nn.Module]
    input: InputContract = InputContract()
    stages: Callable[[torch.nn.Module], Sequence[tuple[str, Sequence[str]]]] | None = None
    default_weights: str = "scratch"
    spatial_dims: int | None = 2


@dataclass(frozen=True)
class Weights(Record):
    """One set of pretrained weights for an architecture, which another plugin may provide.

    Yield it from ``mritk_backbones``. ``scratch`` and ``file:PATH`` exist for every architecture.

    Attributes:
        architecture: Name of the architecture.
        name: What stands behind the ``@``.
        locate: Returns the path of the weight file on this machine, fetching it if the workspace
            allows; raises :class:`mritk.errors.Unavailable` with file, source, digest and the
            place to put it.
        input: The input contract of these weights; None: the architecture's.
        sha256: Digest of the file, or a prefix of it (8 or more digits); empty if the publisher
            states none.
        rename: Turns the file's tensors into the network's: drops what the backbone does not
            have, and nothing else. Anything then missing or unexpected is refused.
        may_miss: Names of network tensors that the file does not hold (fnmatch patterns).
        license: Licence of the weights, as the publisher states it.
        pretrained_on: Names of the data collections seen in pretraining.
        citation: Paper or page.
    """

    architecture: str
    name: str
    locate: Callable[[Workspace], Path]
    input: InputContract | None = None
    sha256: str = ""
    rename: Callable[[StateDict], StateDict] | None = None
    may_miss: tuple[str, ...] = ()
    license: str = "not stated"
    pretrained_on: tuple[str, ...] = ()
    citation: str = ""


@dataclass(frozen=True)
class Alias(Record):
    """Another name for a backbone, such as ``Alias("convnext", "convnext_tiny@imagenet")``.

    Yield it from ``mritk_backbones``.

    Attributes:
        name: The other name.
        target: The backbone that it stands for, ``ARCH`` or ``ARCH@WEIGHTS``.
    """

    name: str
    target: str


@dataclass(frozen=True)
class Family(Record):
    """Records that are made on demand from a name with a prefix, such as ``timm:NAME``.

    Attributes:
        prefix: What stands before the colon.
        resolve: Given what stands behind the colon, returns the records for it; raises
            ``LookupError`` when there is no such member.
        members: Returns known members, for near misses and completion.
        placeholder: How the member is written in listings.
        options: A frozen dataclass whose fields may follow the name as ``,field=value``;
            ``resolve`` is then called with the member and an instance of it. None: no options.
        needs_workspace: True if ``resolve`` must read or fetch something to know its members; it
            is then given the workspace as its last argument.
    """

    prefix: str
    resolve: Callable[..., Iterable[Record]]
    members: Callable[[], Sequence[str]] = tuple
    placeholder: str = "NAME"
    options: type[Any] | None = None
    needs_workspace: bool = False


class BackboneFamily(Family):
    """A family of backbones: ``resolve`` returns one architecture, and weights for it.

    Yield it from ``mritk_backbones``.
    """


@dataclass(frozen=True)
class DatasetFamily(Family):
    """A family of datasets: ``resolve`` returns one dataset. Yield it from ``mritk_datasets``.

    An option ``slices`` makes images of volumes; mritk suggests it where images are needed.

    Attributes:
        reads: Tells, by a quick look, whether a path is one of this family; mritk then suggests
            ``PREFIX:PATH`` to a person who wrote the path alone or with another prefix.
    """

    reads: Callable[[Path], bool] | None = None


@dataclass(frozen=True)
class Dataset(Record):
    """A table of samples. Yield it from ``mritk_datasets``.

    Attributes:
        name: Name on the command line and in tables.
        open: Returns the samples, downloading or generating them if necessary.
        sources: Names of the public collections the data come from, compared with
            :attr:`Weights.pretrained_on`.
        license: Licence of the data.
        no_patients: Why the samples may name no patients; empty: they do name them.
        is_generated: For data that ``open`` generates in more than a second: returns whether they
            are on this machine already, or raises :class:`mritk.errors.Unavailable` if they cannot
            be generated on it. None: other data.
    """

    name: str
    open: Callable[[Workspace], Samples]
    sources: tuple[str, ...] = ()
    license: str = "not stated"
    no_patients: str = ""
    is_generated: Callable[[Workspace], bool] | None = None


@dataclass(frozen=True)
class Augmentation(Record):
    """A batched tensor transform. Yield it from ``mritk_augmentations``.

    Attributes:
        name: Name on the command line and in tables.
        apply: Takes a float batch (N, C, *spatial) in [0, 1] on its device and a
            ``torch.Generator`` on the CPU; returns a batch of the same shape, dtype and device. It
            must be a function of these two alone. None: images stay as they are.
        spatial_dims: The ranks it can transform.
        revision: Raise it when the same draws give other images: trials of another revision are
            other trials, and are not taken for trials of this one.
    """

    name: str
    apply: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None
    spatial_dims: tuple[int, ...] = (2,)
    revision: int = 1

    @property
    def identity(self) -> str:
        """What it is called in a trial's identity; a first revision goes by its name alone."""
        return self.name if self.revision == 1 else f"{self.name} (revision {self.revision})"


@dataclass(frozen=True)
class Executor(Record):
    """Where trials are trained: in other processes, on other machines. From ``mritk_executors``.

    Attributes:
        name: Name on the command line.
        run: Takes a function, a sequence of jobs and how many may run at once (None: as many as
            suit). Calls the function once with each job, wherever that is, and yields what it
            returns, in any order, each as soon as it is there. Function, jobs and results can be
            pickled, and the function does not raise. In place of the result of a job whose worker
            died comes a :class:`LostJob`, or nothing; the others are all the same. When the
            iterator is closed, what runs is stopped. Workers that share a machine get their cores
            by ``OMP_NUM_THREADS`` and their GPUs by ``CUDA_VISIBLE_DEVICES``.
    """

    name: str
    run: Callable[[Callable[[Any], Any], Sequence[Any], int | None], Iterator[Any]]


@dataclass(frozen=True)
class LostJob:
    """What an executor yields for a job whose worker died, as soon as it knows.

    Attributes:
        job: The job, as it was given to the executor.
        reason: How the worker ended, such as ``killed by SIGKILL``; empty if nobody knows.
    """

    job: Any
    reason: str = ""


@dataclass(frozen=True)
class Explainer(Record):
    """Attribution of a network's output to its input. Yield it from ``mritk_explainers``.

    Attributes:
        name: Name of the explainer.
        explain: Takes a network in evaluation mode that turns a normalised batch
            (N, C, *spatial) into outputs (N, K), such a batch, and the output that is explained
            for each input, (N,) int64. Returns float32 attributions of the shape of the batch,
            and leaves network and batch as they were.
        spatial_dims: The ranks it can explain.
    """

    name: str
    explain: Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
    spatial_dims: tuple[int, ...] = (2, 3)


@dataclass(frozen=True)
class ProtocolFile(Record):
    """A protocol that a plugin ships as TOML text. Yield it from ``mritk_protocols``.

    Attributes:
        name: Name on the command line and in tables.
        text: Returns the TOML text.
    """

    name: str
    text: Callable[[], str]


@dataclass(frozen=True)
class BenchmarkFile(Record):
    """A benchmark that a plugin ships as TOML text. Yield it from ``mritk_benchmarks``.

    Attributes:
        name: What ``mritk run NAME`` takes; without options it takes ``quickstart``.
        text: Returns the TOML text.
    """

    name: str
    text: Callable[[], str]
