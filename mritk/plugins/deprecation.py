"""What of the plugin interface is on its way out, told to authors with file and line.

A hook or an argument that will go is marked in :mod:`mritk.plugins.hookspecs`:
``@hookspec(warn_on_impl=PluginDeprecationWarning(…))``, or ``warn_on_impl_args={name: …}``. pluggy
then shows the warning at the function of the plugin that implements it.
"""

from __future__ import annotations


class PluginDeprecationWarning(FutureWarning):
    """A plugin uses something that a later release will not have.

    A ``FutureWarning``, so that Python shows it to whoever runs the plugin, once per place.

    Attributes:
        removed_in: The release that will not have it.
    """

    def __init__(self, what: str, *, instead: str, removed_in: str) -> None:
        self.removed_in = removed_in
        super().__init__(f"{what} will be removed in mritk {removed_in}; {instead}")
