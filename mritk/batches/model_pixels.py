"""New samples as a trained model takes them: brought to size and preprocessed as in its trial."""

from __future__ import annotations

import torch

from mritk.batches.resident import ResidentImages
from mritk.data.rank import of_rank
from mritk.data.samples import Samples
from mritk.errors import UsageError
from mritk.files.workspace import Workspace
from mritk.images.preprocessing import Preprocessing
from mritk.images.subset import Subset
from mritk.machine.usual_state import usual_torch
from mritk.model.model_file import TrainedModel
from mritk.protocol.stored import StoredProtocol
from mritk.text.listed import listed


@usual_torch()
def pixels_for(
    model: TrainedModel, samples: Samples, workspace: Workspace | None = None
) -> torch.Tensor:
    """Return samples as ``model`` takes them, of any dataset.

    They are resized and preprocessed by the protocol of the trial, with the interpolation of its
    weights, and decoded images are kept in the workspace as those of ``mritk run`` are.

    Args:
        model: From :func:`mritk.model.model_file.load_model`.
        samples: Images or volumes with the channels that the model was trained on; targets are not
            looked at. ``samples.only(rows)`` are some of them.
        workspace: Where decoded images are kept; None: that of the environment.

    Returns:
        (N, C, *spatial) float32 in [0, 1], on the CPU.

    Raises:
        UsageError: The samples have other dimensions or channels.
        UnreadableSamples: Some cannot be read.
    """
    dims = len(model.input_shape) - 1
    if samples.spatial_dims != dims:
        raise UsageError(
            f"the model takes samples with {dims} spatial dimensions, and these have "
            f"{samples.spatial_dims}"
        )
    if samples.channels != model.channels:
        raise UsageError(
            f"the model takes the channels {listed(model.channels) or 'grey or RGB'}, and these "
            f"samples have {listed(samples.channels) or 'grey or RGB'}"
        )
    protocol = StoredProtocol.from_json(model.metadata["protocol_json"])
    size = of_rank(dims, protocol.data["image_size"], protocol.data["volume_size"])
    contract = model.contract
    subset = Subset.of(
        samples,
        range(len(samples)),
        workspace or Workspace.from_environment(),
        Preprocessing(**protocol.data.get("preprocessing", {})),
    )
    images = subset.images(contract.grid(size or contract.size), contract.interpolation)
    resident = ResidentImages(images, dims, "cpu", channels_first=bool(samples.channels))
    return resident.batch(torch.arange(len(samples)))
