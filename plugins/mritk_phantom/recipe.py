"""What a phantom is a function of, and the name of its cache folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mritk import DataError

# Raise this with every change that alters a pixel: caches of older versions then stay unused.
GENERATOR_VERSION = 1

CLASSES = ("glioma", "meningioma", "none", "pituitary")
PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class Recipe:
    """The parameters of a phantom.

    Attributes:
        patients: Number of synthetic patients, a multiple of 4 so that classes and sites balance;
            with a multiple of 16 every class is scanned equally often at every site.
        size: Side of the square slices in pixels.
        resolution: Edge of a voxel of the volumes in mm.
        seed: Source of all randomness. Patient ``i`` depends on the seed and on ``i`` alone.
    """

    patients: int = 80
    size: int = 128
    resolution: int = 2
    seed: int = 152

    def __post_init__(self) -> None:
        """Refuse values that cannot give a balanced phantom."""
        if self.patients < 4 or self.patients % 4:
            raise DataError(
                "patients must be a multiple of 4, so that the four classes are balanced; got "
                f"patients={self.patients}"
            )
        if self.size < 16 or not 1 <= self.resolution <= 8:
            raise DataError(
                f"a phantom needs size >= 16 pixels and a resolution of 1 to 8 mm; "
                f"got size={self.size}, resolution={self.resolution}"
            )

    @property
    def as_json(self) -> str:
        """The generator version and all parameters as canonical JSON."""
        import json

        fields = {"generator": GENERATOR_VERSION, **asdict(self)}
        return json.dumps(fields, sort_keys=True)

    @property
    def key(self) -> str:
        """Name of the cache folder; it changes with the generator version and any parameter."""
        import hashlib

        digest = hashlib.sha256(self.as_json.encode()).hexdigest()[:12]
        return f"v{GENERATOR_VERSION}-{self.patients}x{self.size}-{digest}"
