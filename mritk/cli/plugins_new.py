"""``mritk plugins new``: write the package of a plugin that works, to be changed by its author."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from shlex import quote
from string import Template

import click

from mritk.cli.app import App, pass_app, plugin_option
from mritk.cli.tell import echo
from mritk.errors import UsageError

PREFIX = "mritk_"
NAME = re.compile(r"[a-z][a-z0-9_]*")
# What to type to use a plugin of each kind.
USE = {
    "backbone": "mritk run -b $name -b small_cnn",
    "dataset": "mritk run -d $name -b small_cnn",
    "augmentation": "mritk run -a $name -a none -b small_cnn",
    "method": "mritk run --protocol $name",
    "metric": "mritk leaderboard --metric $name --metric accuracy",
}


@dataclass(frozen=True)
class NewPlugin:
    """The package of a plugin that is not written yet.

    Attributes:
        name: Name of the plugin and of what it provides.
        kind: What it provides.
    """

    name: str
    kind: str

    @classmethod
    def of(cls, text: str, kind: str) -> NewPlugin:
        """Return the plugin called ``text``, with or without ``mritk-`` in front.

        Raises:
            UsageError: That cannot be the name of a module.
        """
        name = text.lower().replace("-", "_").removeprefix(PREFIX)
        if not NAME.fullmatch(name) or keyword.iskeyword(name):
            raise UsageError(
                f"{text!r} cannot be the name of a plugin; use letters, digits, _ and -, a letter "
                f"first, such as wide-net"
            )
        return cls(name, kind)

    @property
    def module(self) -> str:
        """Name of the module."""
        return PREFIX + self.name

    @property
    def distribution(self) -> str:
        """Name of the distribution and of its folder."""
        return self.module.replace("_", "-")

    def texts(self) -> dict[str, str]:
        """Return the text of every file, by its path in the package."""
        from mritk.hookspecs import INTERFACE

        words = {
            "name": self.name,
            "kind": self.kind,
            "module": self.module,
            "distribution": self.distribution,
            "interface": f"{INTERFACE[0]}.{INTERFACE[1]}",
        }
        words["run"] = Template(USE[self.kind]).substitute(words)
        sources = {
            "pyproject.toml": "pyproject.toml.txt",
            "README.md": "README.md",
            ".gitignore": "gitignore",
            ".github/workflows/test.yml": "test.yml",
            f"{self.module}.py": f"{self.kind}.py.txt",
            f"tests/test_{self.name}.py": f"{self.kind}_test.py.txt",
        }
        folder = files("mritk.cli") / "template"
        return {
            path: Template((folder / source).read_text(encoding="utf-8")).substitute(words)
            for path, source in sources.items()
        }


@click.command(short_help="Write the package of a new plugin.")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(USE)),
    required=True,
    help="What the plugin provides.",
)
@click.option(
    "-o",
    "--output",
    "parent",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder in which the package is made.  [default: here]",
)
@plugin_option
@pass_app
def new(app: App, name: str, kind: str, parent: Path) -> None:
    """Write an installable package with a plugin of this NAME, which works as it is.

    One module with an example to be replaced, a test that makes mritk's checks, an entry point, a
    README and a workflow for continuous integration. Nothing that exists is overwritten.

    \b
    mritk plugins new wide-net --kind backbone
    """
    plugin = NewPlugin.of(name, kind)
    _require_free(app, plugin)
    folder = parent / plugin.distribution
    if folder.exists():
        raise UsageError(f"{folder} exists already; remove it, or choose another name or --output")
    for path, text in plugin.texts().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    use = Template(USE[kind]).substitute(name=plugin.name)
    echo(f"{folder} is written; change {plugin.module}.py. Next:")
    echo(f"  python -m pip install -e {quote(f'{folder}[test]')}    install it")
    echo(f"  pytest {quote(str(folder))}    run its tests")
    echo(f"  mritk plugins check {plugin.name}    make all checks")
    echo(f"  {use}    use it")


def _require_free(app: App, plugin: NewPlugin) -> None:
    """Refuse a name that a plugin has already: two of one name cannot be loaded together."""
    registry = app.registry
    for loaded in (*registry.plugins, *registry.left_out):
        if plugin.name == loaded.origin.plugin:
            raise UsageError(
                f"there is a plugin {plugin.name} already, of {loaded.origin.distribution}; choose "
                f"another name"
            )
