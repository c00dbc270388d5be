"""``mritk plugins new``: write the package of a plugin that works, to be changed by its author."""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from mritk.cli.app import App, UserPath, pass_app, plugin_option
from mritk.cli.tell import echo
from mritk.errors import UsageError
from mritk.files.user_path import as_typed

PREFIX = "mritk_"
NAME = re.compile(r"[a-z][a-z0-9_]*")
# What to type to use a plugin of each kind.
USE = {
    "backbone": "mritk run -b $name",
    "dataset": "mritk run -d $name",
    "augmentation": "mritk run -a $name -a none",
    "method": "mritk run --protocol $name",
    "metric": "mritk leaderboard --metric $name --metric accuracy",
    "command": "mritk $name mritk-results",
    "executor": "mritk run --executor $name --jobs 2",
    "explainer": "mritk list explainers",
    "tracker": "mritk run",
}


@dataclass(frozen=True)
class NewPlugin:
    """One plugin of a package that is not written yet: it, and what it provides, has this name."""

    name: str
    kind: str

    @property
    def module(self) -> str:
        return PREFIX + self.name

    @property
    def use(self) -> str:
        return Template(USE[self.kind]).substitute(name=self.name)


@dataclass(frozen=True)
class NewPackage:
    """A package of plugins that is not written yet; its name is without ``mritk-``."""

    name: str
    plugins: tuple[NewPlugin, ...]

    @classmethod
    def of(cls, text: str, kinds: Sequence[str]) -> NewPackage:
        """Return the package called ``text``, with or without ``mritk-`` in front.

        A plugin that is alone is called as its package; of several each bears its kind.

        Raises:
            UsageError: That cannot be the name of a module.
        """
        name = text.lower().replace("-", "_").removeprefix(PREFIX)
        if not NAME.fullmatch(name) or keyword.iskeyword(name):
            raise UsageError(
                f"{text!r} is not a valid plugin name; use letters, digits, _ and -, starting "
                "with a letter, such as wide-net"
            )
        kinds = list(dict.fromkeys(kinds))
        names = [name] if len(kinds) == 1 else [f"{name}_{kind}" for kind in kinds]
        return cls(name, tuple(map(NewPlugin, names, kinds)))

    @property
    def distribution(self) -> str:
        """Name of the distribution and of its folder."""
        return (PREFIX + self.name).replace("_", "-")

    def texts(self) -> dict[str, str]:
        """Return the text of every file, by its path in the package."""
        from mritk.plugins.hookspecs import INTERFACE

        plugins = self.plugins
        shared = {
            "distribution": self.distribution,
            "interface": f"{INTERFACE[0]}.{INTERFACE[1]}",
            "what": " and ".join(
                f"{'an' if plugin.kind[0] in 'aeiou' else 'a'} {plugin.kind}" for plugin in plugins
            ),
            "names": " ".join(plugin.name for plugin in plugins),
            "called": " and ".join(f"`{plugin.name}`" for plugin in plugins),
            "files": " and ".join(f"`{plugin.module}.py`" for plugin in plugins),
            "runs": "\n".join(plugin.use for plugin in plugins),
            "entries": "\n".join(f'{plugin.name} = "{plugin.module}"' for plugin in plugins),
            "modules": ", ".join(f'"{plugin.module}"' for plugin in plugins),
        }
        texts = {
            "pyproject.toml": _text("pyproject.toml.txt", shared),
            "README.md": _text("README.md", shared),
            ".gitignore": _text("gitignore", shared),
            ".github/workflows/test.yml": _text("test.yml", shared),
        }
        for plugin in plugins:
            words = shared | {"name": plugin.name, "module": plugin.module}
            texts[f"{plugin.module}.py"] = _text(f"{plugin.kind}.py.txt", words)
            texts[f"tests/test_{plugin.name}.py"] = _text(f"{plugin.kind}_test.py.txt", words)
        return texts

    def write(self, folder: Path) -> None:
        """Write all files; nothing is left behind where that fails.

        Raises:
            OSError: The folder cannot be written.
        """
        try:
            for path, text in self.texts().items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _text(source: str, words: dict[str, str]) -> str:
    template = (files("mritk.cli") / "template" / source).read_text(encoding="utf-8")
    return Template(template).substitute(words)


@click.command(short_help="Create a plugin package.")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(list(USE)),
    metavar="KIND",
    multiple=True,
    required=True,
    help=f"What the plugin provides: {', '.join(USE)}. Repeatable.",
)
@click.option(
    "-o",
    "--output",
    "parent",
    type=UserPath(file_okay=False),
    default=Path(),
    help="Parent folder of the package.  [default: .]",
)
@plugin_option
@pass_app
def new(app: App, name: str, kinds: tuple[str, ...], parent: Path) -> None:
    """Create an installable, working package with a plugin of this NAME.

    It has one module per kind with an example to replace, a test that runs mritk's checks, entry
    points, a README and a continuous-integration workflow. Existing files are not overwritten.

    \b
    mritk plugins new wide-net --kind backbone
    mritk plugins new our-lab --kind dataset --kind metric
    """
    package = NewPackage.of(name, kinds)
    _require_free(app, package)
    folder = parent / package.distribution
    if folder.exists():
        raise UsageError(f"{folder} already exists; remove it, or choose another name or --output")
    package.write(folder)
    changed = ", ".join(f"{plugin.module}.py" for plugin in package.plugins)
    names = " ".join(plugin.name for plugin in package.plugins)
    echo(f"{folder} was created; edit {changed}. Next:")
    echo(f"  python -m pip install -e {as_typed(f'{folder}[test]')}    install it")
    echo(f"  pytest {as_typed(folder)}    run its tests")
    echo(f"  mritk plugins check {names}    run all checks")
    for plugin in package.plugins:
        echo(f"  {plugin.use}    use {'it' if len(package.plugins) == 1 else plugin.name}")


def _require_free(app: App, package: NewPackage) -> None:
    """Refuse a name that is taken: two plugins, or two of what they provide, cannot share one."""
    names = {plugin.name for plugin in package.plugins}
    for origin in (p.origin for p in (*app.registry.plugins, *app.registry.left_out)):
        if origin.plugin in names:
            raise UsageError(
                f"a plugin {origin.plugin} already exists, from {origin.distribution}; "
                "choose another name"
            )
    for plugin in package.plugins:
        if plugin.name in _taken(app, plugin.kind):
            raise UsageError(f"the {plugin.kind} {plugin.name} already exists; choose another name")


def _taken(app: App, kind: str) -> Collection[str]:
    """Return the names that things of a kind have already; a method comes with its protocol."""
    from mritk.evaluate.metrics import all_metrics
    from mritk.plugins.loading import NOUNS, name_of

    if kind == "command":
        root = click.get_current_context().find_root()
        return root.command.list_commands(root) if isinstance(root.command, click.Group) else ()
    nouns = ("methods", "protocols") if kind == "method" else (f"{kind}s",)
    records = (r for noun in nouns for of in NOUNS.get(noun, ()) for r in app.registry.records(of))
    own = all_metrics() if kind == "metric" else ()
    return {*own, *map(name_of, records)}
