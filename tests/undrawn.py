"""Networks whose random starts are not drawn, because a file replaces them, or is refused."""

from __future__ import annotations

from torch.overrides import TorchFunctionMode

DRAWN = {"uniform_", "normal_", "erfinv_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_"}


class Undrawn(TorchFunctionMode):
    """Within it, networks start from zeros: to draw millions of numbers takes seconds."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Return zeros where numbers were to be drawn."""
        kwargs = kwargs or {}
        if function.__name__ in DRAWN:
            return (kwargs["tensor"] if "tensor" in kwargs else args[0]).detach().zero_()
        return function(*args, **kwargs)
