"""The frozen records that hooks yield. A record is data plus callables that are called later.

Yielding a record must be cheap and must not import torch: callables are called only when a trial
needs them. The registry adds the plugin that provided each record (:attr:`Record.origin`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mritk.images.input_contract import IMAGENET, InputContract
from mritk.lazy_import import lazy, schema_of

if TYPE_CHECKING:
    import torch

    from mritk.data.samples import Samples
    from mritk.files.workspace import Workspace

# The tensors of a network, or of a file of weights, by name.
StateDict: TypeAlias = "Mapping[str, torch.Tensor]"
FILE_DIGEST = "sha256:"


@dataclass(frozen=True)
class Origin:
    """Which plugin provided a record, as ``distribution version (plugin)``.

    Attributes:
        plugin: Name of the entry point, the module or the file.
        distribution: Name of the package, or of the file; empty for a module given by name.
        version: Version of the package, or ``sha256:`` and the digest of the file.
    """

    plugin: str
    distribution: str = ""
    version: str = ""

    @property
    def digest(self) -> str:
        """The digest of a one-file plugin, which may change between runs; else empty."""
        return self.version if self.version.startswith(FILE_DIGEST) else ""

    @property
    def is_installed(self) -> bool:
        """Whether it belongs to an installed distribution, not to a file or a module."""
        return bool(self.distribution) and not self.digest

    def __str__(self) -> str:
        if not self.distribution:
            return self.plugin
        return f"{self.distribution} {self.version} ({self.plugin})"


@dataclass(frozen=True, kw_only=True)
class Record:
    """Attributes of all records.

    Attributes:
        summary: One line for ``mritk list``.
        origin: Set by the registry.
    """

    summary: str = ""
    origin: Origin = field(default=Origin("unregistered"), compare=False)


@dataclass(frozen=True)
class Architecture(Record):
    """A network without weights. Yield it from ``mritk_backbones``.

    Attributes:
        name: Name without ``@``; members of a family include its prefix (``timm:resnet18``).
        build: Returns a newly initialised ``torch.nn.Module`` that maps a batch of shape
            (N, C, *spatial) to features of shape (N, D).
        input: The input contract from scratch, and of weights without their own.
        stages: Given the built network, returns an ordered list of (stage name, names of the
            stage's tensors in the state dict) from input to output. Default: the network's
            top-level modules, containers unfolded.
        default_weights: The weights meant by the plain name.
        spatial_dims: 2 for images, 3 for volumes; None if the network does not take images.
    """

    name: str
    build: Callable[[], torch.nn.Module]
    input: InputContract = IMAGENET
    stages: Callable[[torch.nn.Module], Sequence[tuple[str, Sequence[str]]]] | None = None
    default_weights: str = "scratch"
    spatial_dims: int | None = 2


@dataclass(frozen=True)
class Weights(Record):
    """One set of pretrained weights for an architecture, possibly of another plugin.

    Yield it from ``mritk_backbones``. ``scratch`` and ``file:PATH`` exist for every architecture.

    Attributes:
        architecture: Name of the architecture.
        name: The name after the ``@``.
        locate: Returns the path of the weight file, downloaded if the workspace allows; raises
            :class:`mritk.errors.Unavailable` with file, source, digest and where to put it.
        input: The input contract of these weights; None: that of the architecture.
        sha256: Digest of the file, or a prefix of 8 or more digits; empty if none is published.
        rename: Maps the tensors of the file to those of the network, and drops only those that
            the backbone does not have. Missing or unexpected tensors are then refused.
        may_miss: Names of network tensors that are not in the file (fnmatch patterns).
        license: Licence of the weights, as stated by the publisher.
        pretrained_on: Names of the data collections used for pretraining.
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
        target: The backbone it refers to, ``ARCH`` or ``ARCH@WEIGHTS``.
    """

    name: str
    target: str


@dataclass(frozen=True)
class Family(Record):
    """Records created on demand from a name with a prefix, such as ``timm:NAME``.

    Attributes:
        prefix: The text before the colon.
        resolve: Given the text after the colon, returns its records; raises
            ``LookupError`` for an unknown member.
        members: Returns known members, for suggestions and completion.
        placeholder: Placeholder of the member in listings; empty: there are no members, and options
            follow the prefix (``phantom3d,target=age``).
        options: A frozen dataclass whose fields may follow the name as ``,field=value``;
            ``resolve`` is then called with the member and an instance of it. It may be
            ``lazy("MODULE:CLASS")``. None: no options.
        needs_workspace: True if ``resolve`` must read or download something to know its members;
            it then receives the workspace as its last argument.
        wraps: True if the member is another backbone or dataset, of any plugin; ``resolve`` then
            receives it in place of text, and mritk names the result after both.
    """

    prefix: str
    resolve: Callable[..., Iterable[Record]]
    members: Callable[[], Sequence[str]] = tuple
    placeholder: str = "NAME"
    options: type[Any] | lazy | None = None
    needs_workspace: bool = False
    wraps: bool = False

    @property
    def schema(self) -> type[Any] | None:
        """The dataclass of the options, imported now."""
        return None if self.options is None else schema_of(self.options)

    @property
    def opening(self) -> str:
        """How names begin: with ``PREFIX:``, or the prefix alone if there are no members."""
        return f"{self.prefix}:" if self.placeholder else self.prefix

    def member_of(self, name: str) -> str | None:
        """Return what follows the opening in a name; None if it is no name of this family."""
        rest = name.removeprefix(self.opening)
        ours = name.startswith(self.opening) and (self.placeholder or rest[:1] in ("", ","))
        return rest if ours else None


@dataclass(frozen=True)
class BackboneFamily(Family):
    """A family of backbones: ``resolve`` returns one architecture, and weights for it.

    Yield it from ``mritk_backbones``. One that wraps others, such as ``slices:resnet18@imagenet``,
    receives a :class:`mritk.Backbone`, and returns an architecture around its network and, if it
    has weights, these for the new network.
    """


@dataclass(frozen=True)
class DatasetFamily(Family):
    """A family of datasets: ``resolve`` returns one dataset. Yield it from ``mritk_datasets``.

    An option ``slices`` extracts images from volumes; mritk suggests it if images are needed. If it
    wraps others (``augmented:phantom3d,copies=5``), options that are none of its own are theirs.

    Attributes:
        reads: Quickly checks whether a path belongs to this family; mritk then suggests
            ``PREFIX:PATH`` for a bare path or a wrong prefix.
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
        no_patients: Why the samples have no patient ids; empty: they have.
        is_generated: For data that ``open`` takes more than a second to generate: returns whether
            they are already on this machine, or raises :class:`mritk.errors.Unavailable` if they
            cannot be generated. None: other data.
        inner: The dataset that a family wraps; set by the registry.
    """

    name: str
    open: Callable[[Workspace], Samples]
    sources: tuple[str, ...] = ()
    license: str = "not stated"
    no_patients: str = ""
    is_generated: Callable[[Workspace], bool] | None = None
    inner: Dataset | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Augmentation(Record):
    """A batched tensor transform. Yield it from ``mritk_augmentations``.

    Attributes:
        name: Name on the command line and in tables.
        apply: Takes a float batch (N, C, *spatial) in [0, 1] and a ``torch.Generator`` on the CPU;
            returns one of its shape, dtype and device, from these two alone. None: identity.
        spatial_dims: Supported numbers of spatial dimensions.
        revision: Increase it if equal draws give other images; it is part of a trial's identity.
        named_channels: Whether it takes several named channels; False: grey or colour images only.
    """

    name: str
    apply: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None
    spatial_dims: tuple[int, ...] = (2,)
    revision: int = 1
    named_channels: bool = True

    @property
    def identity(self) -> str:
        """Its name in a trial's identity; the first revision has no suffix."""
        return self.name if self.revision == 1 else f"{self.name} (revision {self.revision})"


@dataclass(frozen=True)
class Executor(Record):
    """Where trials are trained: in other processes, on other machines. From ``mritk_executors``.

    Attributes:
        name: Name on the command line.
        run: Takes a function, a sequence of jobs, and how many may run at once (None: its own
            default). Calls the function with each job, anywhere; yields results as they come, and
            None about once a second. All can be pickled; nothing is raised. A worker with a GPU to
            itself may call it with a list of jobs whose ``alone`` is false, and gets an iterator of
            (position, result). For a job whose worker died, yields a :class:`LostJob`, or nothing;
            others are unaffected. Closing it stops running jobs. Workers find their share in
            ``OMP_NUM_THREADS`` and ``CUDA_VISIBLE_DEVICES``. A job has ``memory`` (host bytes)
            and ``group`` (alike for the same data and network). Who takes no more says ``leaving``.
        shares_folders: Whether workers see the run's folders under the same paths. If not, they
            start in a copy of its working folder, and trial files come back with the results.
    """

    name: str
    run: Callable[[Callable[[Any], Any], Sequence[Any], int | None], Iterator[Any]]
    shares_folders: bool = True


@dataclass(frozen=True)
class ExecutorFamily(Family):
    """Executors created on demand, such as ``ray:ADDRESS``; ``resolve`` returns one."""


@dataclass(frozen=True)
class LostJob:
    """Yielded by an executor for a job whose worker died.

    Attributes:
        job: The job, as passed to the executor.
        reason: How the worker ended, such as ``was killed by SIGKILL``; empty if unknown.
        attempts: How many workers died at it, if the executor tries again itself.
        retried: Whether it does so now: the result is still to come.
    """

    job: Any
    reason: str = ""
    attempts: int = 1
    retried: bool = False


@dataclass(frozen=True)
class Explainer(Record):
    """Attribution of a network's output to its input. Yield it from ``mritk_explainers``.

    Attributes:
        name: Name of the explainer.
        explain: Takes a network in evaluation mode, a normalised batch (N, C, *spatial), and which
            output is explained of each, (N,) int64. Returns float32 attributions of its shape.
        spatial_dims: Supported numbers of spatial dimensions.
        is_default: Whether ``mritk explain`` uses it unless others are named.
    """

    name: str
    explain: Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
    spatial_dims: tuple[int, ...] = (2, 3)
    is_default: bool = True


@dataclass(frozen=True)
class ProtocolFile(Record):
    """A protocol as TOML text. Yield it from ``mritk_protocols``.

    Attributes:
        name: Name on the command line and in tables.
        text: Returns the TOML text.
    """

    name: str
    text: Callable[[], str]


@dataclass(frozen=True)
class BenchmarkFile(Record):
    """A benchmark as TOML text. Yield it from ``mritk_benchmarks``.

    Attributes:
        name: Name for ``mritk run NAME``; ``quickstart`` provides the defaults of a run.
        text: Returns the TOML text.
    """

    name: str
    text: Callable[[], str]
