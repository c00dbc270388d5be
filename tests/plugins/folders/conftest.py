"""Writers of the files that people have: NIfTI in any orientation, heads, BIDS datasets."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

# For each direction that an axis of a file may run to: the axis of a volume (D, H, W) as mritk
# gives it, whether it runs the same way, and the direction in world coordinates (x to the right,
# y to anterior, z to superior).
DIRECTIONS = {
    "S": (0, True, (0, 0, 1)),
    "I": (0, False, (0, 0, -1)),
    "P": (1, True, (0, -1, 0)),
    "A": (1, False, (0, 1, 0)),
    "L": (2, True, (-1, 0, 0)),
    "R": (2, False, (1, 0, 0)),
}

# Of a file's three axes.
ORIENTATIONS = [
    "".join(codes)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*axes)
]

VOLUME = np.random.default_rng(0).integers(1, 1000, (4, 5, 6)).astype(np.int16)


@pytest.fixture
def write_nifti():
    """Store ``volume`` (D, H, W) with the axes of the file running to ``codes``."""

    def write(path, volume, codes="RAS", *, slope=None, inter=0.0, turn=None, kind=None):
        stored, affine = volume, np.eye(4)
        for column, code in enumerate(codes):
            axis, same, direction = DIRECTIONS[code]
            stored = stored if same else np.flip(stored, axis)
            affine[:3, column] = np.asarray(direction) * (1.0 + column / 4)
            # Whatever its order, a voxel stays where it is.
            last = 0 if direction[2 - axis] > 0 else volume.shape[axis] - 1
            affine[:3, 3] -= affine[:3, column] * last
        stored = stored.transpose([DIRECTIONS[code][0] for code in codes])
        if turn is not None:
            affine[:3, :3] = turn @ affine[:3, :3]
        affine[:3, 3] += (-11.0, 7.0, 3.0)
        image = (kind or nib.Nifti1Image)(np.ascontiguousarray(stored), affine)
        if slope is not None:
            image.header.set_slope_inter(slope, inter)
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, path)
        if slope is not None:  # saving computes its own scale, so the wanted one is written over
            _write_scale(path, slope, inter)
        return path

    return write


def _write_scale(path, slope, inter):
    assert path.suffix == ".nii", "patched in place"
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, inter], dtype="<f4").tobytes()
    path.write_bytes(content)


@pytest.fixture
def make_head():
    """Make a ball in dark noise, (D, H, W) int16, with a bright band where the class says."""

    def make(label=0, seed=0, shape=(20, 24, 22)):
        rng = np.random.default_rng(seed)
        grid = np.meshgrid(*[np.linspace(-1.2, 1.2, side) for side in shape], indexing="ij")
        inside = sum(axis**2 for axis in grid) < 1
        # Every head has an anatomy of its own; balls that differ in noise alone would be copies.
        anatomy = gaussian_filter(rng.normal(size=shape), 1.5)
        anatomy *= 150 / anatomy.std()
        head = rng.integers(0, 20, shape) + inside * (500 + anatomy.clip(-300, 300))
        band = (grid[1] < 0) == bool(label)
        return (head + (inside & band) * 500).astype(np.int16)

    return make


@pytest.fixture
def tree(tmp_path):
    """Create empty files, and a folder for each name that ends with a slash."""

    def write(*names):
        root = tmp_path / "set"
        for name in names:
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return root

    return write


@pytest.fixture
def cases(tmp_path, write_nifti):
    """Two volumes and their label maps, in files of other orientations."""
    volumes = np.random.default_rng(0).integers(1, 200, (2, 4, 5, 6)).astype(np.int16)
    maps = volumes // 100 * (volumes > 150)
    for name, volume, labels in zip("ab", volumes, maps, strict=True):
        write_nifti(tmp_path / f"{name}.nii", volume, "RAS")
        write_nifti(tmp_path / f"{name}-mask.nii.gz", labels, "LPI")
    (tmp_path / "t.csv").write_text("path,mask\na.nii,a-mask.nii.gz\nb.nii,b-mask.nii.gz\n")
    return tmp_path / "t.csv", maps
