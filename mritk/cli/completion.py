"""``mritk completion``: the script that makes a shell complete names."""

from __future__ import annotations

import click

from mritk.cli.tell import echo

INSTALL = {
    "bash": 'eval "$(mritk completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(mritk completion zsh)"    # in ~/.zshrc',
    "fish": "mritk completion fish | source   # in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(INSTALL.values()))
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell completion script: commands, names of plugins, trials, metrics, columns."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click knows every shell of the choice
    root = context.find_root().command
    echo(kind(root, {}, "mritk", "_MRITK_COMPLETE").source())
    if shell == "bash":
        echo("# Names such as ARCH@WEIGHTS and PREFIX:PATH are one word.")
        echo('COMP_WORDBREAKS="${COMP_WORDBREAKS//[@:]/}"')
