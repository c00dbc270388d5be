"""``mritk`` and ``python -m mritk``: the process, from its first import to its exit code."""

import gc
import os
import sys

from mritk.cli.interrupt import Interrupt
from mritk.errors import ExitCode
from mritk.machine.cores import wait_without_spinning


def run() -> None:
    """Run the program and leave with its exit code."""
    gc.disable()  # nearly all that a start makes stays: looking for garbage in it is for nothing
    wait_without_spinning(os.environ)
    try:
        from mritk.cli.main import main
        from mritk.cli.streams import Streams

        Interrupt.install()
        streams = Streams()
        code = main(begin=_begin)
    except KeyboardInterrupt:  # while the program was being imported, or as it told of another
        _tell("interrupted")
        _leave(ExitCode.INTERRUPTED)
    Interrupt.uninstall()
    _leave(streams.finish(code, _tell))


def _begin() -> None:
    from mritk.cli.tell import log_to_stderr

    gc.freeze()
    gc.enable()
    log_to_stderr()


def _tell(line: str) -> None:
    print(f"mritk: {line}", file=sys.stderr, flush=True)


def _leave(code: int) -> None:
    from mritk.cli.warm_up import is_importing

    if is_importing():
        # The interpreter can neither stop an import nor survive one: libraries such as torch
        # register with it what it no longer takes, or run on while it is taken down.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
