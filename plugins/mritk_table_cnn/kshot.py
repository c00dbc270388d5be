"""The protocols ``kshot_0`` to ``kshot_80``: one recipe, k training images per class."""

from __future__ import annotations

from mritk import packaged_text

SHOTS = (0, 5, 10, 15, 20, 40, 80)
# Every k sees this many images of each class in all, so that k alone differs and not the number of
# steps: where classes are even in number. Of an odd number, k = 5 and 15 leave an incomplete last
# batch, which is dropped: of three classes they see 533 and 707.
SEEN_PER_CLASS = 800
STAGES = "# stages"


def kshot_text(shots: int) -> str:
    """Return the TOML text of the protocol for ``shots`` images per class; 0: no training."""
    template = packaged_text(__package__, "protocols", "kshot.toml")
    if shots == 0:
        return template.replace(STAGES, "stages = []")
    epochs = round(SEEN_PER_CLASS / shots)
    return template.replace("shots = 0", f"shots = {shots}").replace(
        STAGES, f'[[parameters.stages]]\nname = "all"\nepochs = {epochs}\nlearning_rate = 3e-4'
    )
