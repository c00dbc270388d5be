"""A command that runs one module of mritk by itself, without packages.

It begins within a fraction of a second, and nothing that is installed can harm it.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Where mritk is installed, there is what else is, such as modules named like some of the library:
# it comes last.
ROOT = Path(__file__).parents[2]
CODE = "import sys, runpy; sys.path.append({!r}); runpy.run_module({!r}, run_name='__main__')"


def isolated(module: str) -> list[str]:
    """Return the command, to which arguments are added; the module imports the library alone."""
    return [sys.executable, "-I", "-S", "-c", CODE.format(str(ROOT), module)]
