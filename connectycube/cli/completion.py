"""Print what makes a shell complete the words of ``connectycube``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .commands import COMPLETION
from .shell import Shell, command, pass_shell, root

__all__ = ["completion"]


@command()
@click.argument("shell_name", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@pass_shell
def completion(shell: Shell, shell_name: str) -> None:
    """Print a script that makes SHELL (bash, zsh or fish) complete commands, options and profiles.

    \b
    bash, in ~/.bashrc   eval "$(connectycube completion bash)"
    zsh, in ~/.zshrc     eval "$(connectycube completion zsh)"
    fish, once           connectycube completion fish >
                         ~/.config/fish/completions/connectycube.fish
    """
    found = get_completion_class(shell_name)
    assert found is not None
    script = found(root, {}, "connectycube", COMPLETION)
    # Its source() would ask for the version of the shell, which may be another than the one to be completed.
    shell.output.line(script.source_template % script.source_vars())
