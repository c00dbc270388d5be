"""``mritk`` and ``python -m mritk``."""

import sys


def run() -> None:
    """Run the program and leave with its exit code."""
    from mritk.cli.main import main

    sys.exit(main())


if __name__ == "__main__":
    run()
