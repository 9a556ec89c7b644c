"""The command line: `python -m fallback_exec demo`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fallback_exec.demo import run_demo, usual_vendors

# What shells give for a program that wrote into a closed pipe: 128 and the number of SIGPIPE, 13.
_OUTPUT_CLOSED = 141
# Each call under way holds two sockets, its own and the vendor's; many systems allow a process 1024 files.
_MOST_WORKERS = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments, without the program's name; None takes those of the process.

    Returns:
        The exit code.

    Raises:
        SystemExit: Help was asked for (code 0), or the arguments are wrong (code 2).
    """
    arguments = _parser().parse_args(argv)
    try:
        return run_demo(
            usual_vendors(arguments.seed), calls=arguments.calls, workers=arguments.workers, out=sys.stdout
        )
    except BrokenPipeError:
        # Whoever read has left, `head` for one. What is still buffered goes nowhere, or Python would complain
        # of it at exit.
        _discard(sys.stdout.fileno())
        return _OUTPUT_CLOSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fallback_exec", description="Fallback execution across providers."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="watch providers fail, cool down and come back",
        description="Start three HTTP vendors on loopback that fail as vendors do, and send them requests "
        "from many threads. Exit code: 0 if every request was answered, 1 if not, 130 after Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--calls", type=_calls, default=400, metavar="N", help="how many requests to send")
    demo.add_argument("--workers", type=_workers, default=16, metavar="N", help="how many threads send them")
    demo.add_argument(
        "--seed", type=_whole, default=1, metavar="N", help="where the vendors' random draws start"
    )
    return parser


def _calls(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text!r}")
    return number


def _workers(text: str) -> int:
    number = _whole(text)
    if not 1 <= number <= _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {_MOST_WORKERS}, got {text!r}")
    return number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def _discard(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
