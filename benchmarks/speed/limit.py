"""How near training comes to the machine's matrix-product rate.

    python -m benchmarks.speed.limit [--backbone ARCH] [--size PX] [--batch N] [--repeats N]
                                     [--matrix N] [--json FILE]

The rate of a large matrix product, all threads, is the practical limit of the processor (or GPU).
Against it stands the training step of each backbone: channels last, large blocks of memory kept,
nothing around it. A step counts as three times the operations of the forward pass, which torch
counts (the backward pass computes two products for each of the forward pass).
"""

from __future__ import annotations

import sys

import torch

from benchmarks.speed.bare_network import BareNetwork
from benchmarks.speed.command_line import BACKBONES, chosen_cases, command_line
from benchmarks.speed.measurement import interleaved, median_seconds, progress, ratio
from benchmarks.speed.report import Report, rounded, verdict
from mritk.machine.allocator import keep_large_blocks
from mritk.machine.device import choose_device, resolve_precision

CASES = [(backbone, 224) for backbone in BACKBONES]
GOALS = {
    ("convnext_tiny", 224): 0.75,
    ("efficientnetv2_s", 224): 0.65,
    ("densenet121", 224): 0.70,
    ("resnet18", 224): 0.90,
}
STEP_PER_FORWARD = 3


class MatrixProduct:
    """The product of two square matrices, float32 or, on GPUs that compute it, bfloat16."""

    def __init__(self, side: int, device: str) -> None:
        dtype = getattr(torch, resolve_precision("auto", device))
        self._device = device
        self._left = torch.randn(side, side, device=device).to(dtype)
        self._right = torch.randn(side, side, device=device).to(dtype)
        self._out = torch.empty_like(self._left)
        self.flops = 2 * side**3

    def __call__(self) -> None:
        """Compute it once, and wait for the device."""
        torch.mm(self._left, self._right, out=self._out)
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = command_line(
        __doc__ or "",
        cases="Default: five backbones at 224 px, two batches of images in each repetition.",
        batch=16,
        images=32,
        repeats=5,
    )
    parser.add_argument("--matrix", type=int, default=4096, metavar="N", help="default: 4096")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    keep_large_blocks()
    report = Report("benchmarks.speed.limit", options, device)
    product = MatrixProduct(options.matrix, device)
    steps = max(1, options.images // options.batch)
    for backbone, size in chosen_cases(options, CASES):
        progress(f"{backbone}, {size} px")
        network = BareNetwork(
            backbone, size=size, batch=options.batch, steps=steps, unseen=0, device=device
        )
        samples = interleaved({"product": product, "step": network.train}, options.repeats)
        images = steps * options.batch
        flops = STEP_PER_FORWARD * network.forward_flops * images
        share = flops / product.flops / ratio(samples["step"], samples["product"])
        report.add(
            {
                "backbone": backbone,
                "px": size,
                "batch": options.batch,
                "step, GFLOP per image": rounded(flops / images / 1e9),
                "images/s": rounded(images / median_seconds(samples["step"])),
                "step, GFLOP/s": rounded(flops / median_seconds(samples["step"]) / 1e9),
                "product, GFLOP/s": rounded(
                    product.flops / median_seconds(samples["product"]) / 1e9
                ),
                "share": round(share, 3),
                "goal": verdict(share, at_least=GOALS.get((backbone, size))),
            },
            product=samples["product"],
            step=samples["step"],
        )
    report.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
