"""The input contracts that RadImageNet's sources and users give for the same weights.

They contradict one another, and the question has stayed open in the project's issues (18, 20).
The PyTorch files belong to the PyTorch notebook, so its contract is the default; the others have
names of their own, so that a benchmark can settle which is best instead of taking a side. All use
the same size and interpolation: they differ in the arithmetic of the pixels alone. Grey images are
repeated into three channels, so that the channel order decides only which mean goes where.
"""

from __future__ import annotations

from mritk import InputContract

# Caffe's ImageNet means in BGR order, in grey levels of 255. Keras subtracts them first and
# divides by 255 afterwards, which is the same as dividing both.
CAFFE_MEAN = (103.939 / 255, 116.779 / 255, 123.68 / 255)

UNIT = (1.0, 1.0, 1.0)

# Name of the weights: the contract, and where it comes from.
CONTRACTS: dict[str, tuple[InputContract, str]] = {
    "radimagenet": (
        InputContract(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        "the official PyTorch notebook: (x - 127.5) * 2 / 255",
    ),
    "radimagenet_caffe": (
        InputContract(224, CAFFE_MEAN, UNIT, channel_order="BGR"),
        "the official Keras scripts: caffe mode, then / 255",
    ),
    "radimagenet_monai": (
        InputContract(224, (0.406, 0.456, 0.485), UNIT, channel_order="BGR"),
        "MONAI's wrapper: [0, 1] minus the ImageNet mean in BGR order",
    ),
    "radimagenet_imagenet": (
        InputContract(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "a published comparison (arXiv:2511.18326): ImageNet mean and std",
    ),
}
