"""Say what is wrong with a hook that pluggy refuses: name or argument, its line, a remedy."""

from __future__ import annotations

import pluggy

from mritk.plugins.loaded import place_of_function


def misfit_of(plugin: object, manager: pluggy.PluginManager) -> str:
    """Return the first unknown hook or argument of a plugin in one line; empty without one."""
    from difflib import get_close_matches

    specified = {
        name: caller.spec.argnames for name, caller in vars(manager.hook).items() if caller.spec
    }
    for member in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, member)
        if options is None or options["optionalhook"]:
            continue
        hook, function = options["specname"] or member, getattr(plugin, member)
        if hook not in specified:
            near = get_close_matches(hook, specified, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(specified)}"
            return f"unknown hook {hook!r} ({place_of_function(function)}); {hint}"
        # What pluggy compares: without self, what has a default, and what is not positional.
        asked = pluggy.HookImpl(plugin, "", function, options).argnames
        unknown = [name for name in asked if name not in specified[hook]]
        if unknown:
            return (
                f"{hook} has no argument {unknown[0]!r} ({place_of_function(function)}); it may "
                f"take {', '.join(specified[hook]) or 'none'}"
            )
    return ""
