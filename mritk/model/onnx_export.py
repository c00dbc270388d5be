"""Write a trained model as ONNX, and prove that it gives what torch gives."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from mritk.errors import MritkError, import_extra, one_line
from mritk.model.model_file import TrainedModel

NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18
BATCHES = (1, 2, 5)  # numbers of images at once
TOLERANCE = 1e-4
SEED = 0


class OnnxMismatch(MritkError):
    """The ONNX network gives other numbers than torch."""


class _Outputs(nn.Module):
    """What stands in the graph: normalisation, network, and probabilities of the classes."""

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.model(pixels)
        return (outputs, outputs.softmax(dim=1)) if self.model.classes else (outputs,)


def require_onnx() -> None:
    """Refuse to begin without the packages that it takes.

    Raises:
        Unavailable: One of them is not installed.
    """
    for name in NEEDED:
        what = f"ONNX export needs the package {name}, which is not installed"
        import_extra(name, what, extra="onnx")


def to_onnx(model: TrainedModel) -> bytes:
    """Return the model as an ONNX file.

    Its input ``pixels`` is (N, C, *spatial) float32 in [0, 1], before normalisation, colours in the
    order red, green, blue; N is free. Its outputs are ``logits`` and ``probabilities``, both
    (N, classes), or ``values`` (N,) in the unit of the target.

    Raises:
        Unavailable: A package is missing.
        MritkError: The network cannot be expressed.
    """
    require_onnx()
    reasons = []
    # Some networks fix the number of images in the eyes of one exporter and not of the other;
    # :func:`check_onnx` proves whatever comes out.
    for exporter in (_by_export, _by_tracing):
        try:
            with _quiet():
                return _with_metadata(exporter(_Outputs(model).eval(), model), model.metadata)
        except Exception as error:
            reasons.append(_reason(error))
    raise MritkError(
        f"{model.architecture.name} cannot be expressed in ONNX: {reasons[0]}; export it with "
        f"--to safetensors"
    )


def _by_export(network: nn.Module, model: TrainedModel) -> Any:
    """Return the graph that torch.export makes of the network."""
    shapes = {"pixels": {0: torch.export.Dim("batch")}}
    program = _exported(network, model, dynamo=True, verbose=False, dynamic_shapes=shapes)
    return program.model_proto


def _by_tracing(network: nn.Module, model: TrainedModel) -> Any:
    """Return the graph of one pass through the network."""
    import onnx

    axes = {name: {0: "batch"} for name in ("pixels", *_names(model))}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _exported(network, model, f=path, dynamo=False, dynamic_axes=axes)
        return onnx.load(path)


def _exported(network: nn.Module, model: TrainedModel, **how: Any) -> Any:
    # Two images: a batch of one could be taken for a constant.
    example = (torch.zeros(2, *model.input_shape),)
    how |= {"input_names": ["pixels"], "output_names": _names(model), "opset_version": OPSET}
    return torch.onnx.export(network, example, **how)


def _names(model: TrainedModel) -> list[str]:
    return ["logits", "probabilities"] if model.classes else ["values"]


def _reason(error: BaseException) -> str:
    """Return the first line of what was wrong in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no reason given'}"


def _with_metadata(found: Any, metadata: Mapping[str, str]) -> bytes:
    import onnx

    onnx.helper.set_model_props(found, dict(metadata))
    return found.SerializeToString()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of itself from a person who can do nothing about it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def check_onnx(content: bytes, model: TrainedModel) -> float:
    """Compare an ONNX file with torch on random pixels; return the largest relative difference.

    It is the largest absolute difference of a batch over the largest absolute output of torch.

    Args:
        content: The ONNX file.
        model: What it was made from.

    Raises:
        Unavailable: onnxruntime is missing.
        OnnxMismatch: The difference passes 1e-4, or outputs are missing, of another shape, or no
            finite numbers.
    """
    require_onnx()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        worst = max(_difference(session, model, number) for number in BATCHES)
    except OnnxMismatch:
        raise
    except Exception as error:
        reason = one_line(error)[:300]
        raise OnnxMismatch(f"onnxruntime cannot run the exported network: {reason}") from error
    if not worst <= TOLERANCE:
        raise OnnxMismatch(
            f"the exported network differs from torch by {worst:.2g} (relative; at most "
            f"{TOLERANCE:g} is allowed), so it would not reproduce the scores of the trial; "
            "nothing was written; export it with --to safetensors"
        )
    return worst


def _difference(session: Any, model: TrainedModel, number: int) -> float:
    generator = torch.Generator().manual_seed(SEED + number)
    pixels = torch.rand(number, *model.input_shape, generator=generator)
    with torch.inference_mode():
        expected = [found.numpy() for found in _Outputs(model).eval()(pixels)]
    outputs = session.run(None, {"pixels": pixels.numpy()})
    differences = []
    for one, other in zip(expected, outputs, strict=True):
        if one.shape != other.shape:
            raise OnnxMismatch(f"the exported network returns {other.shape} instead of {one.shape}")
        largest = float(np.abs(one).max()) or 1.0
        differences.append(float(np.abs(one - other).max()) / largest)
    # NaN is larger than any difference.
    return float(np.max(differences))
