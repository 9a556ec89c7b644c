"""The command line: `python -m fallback_exec demo`, and `timeline`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fallback_exec import InvalidConfigError, _files
from fallback_exec.demo import run_demo, usual_vendors
from fallback_exec.events import Event
from fallback_exec.recorder import Recorder, load
from fallback_exec.timeline import timeline

_PROGRAM = "python -m fallback_exec"
# What shells give for a program that wrote into a closed pipe: 128 and the number of SIGPIPE, 13.
_OUTPUT_CLOSED = 141
_UNUSABLE = 2  # as argparse ends where arguments cannot be used
# Each call under way holds two sockets, its own and the vendor's; many systems allow a process 1024 files.
_MOST_WORKERS = 256
_BARS = 100  # in the width of a picture: each is some five pixels wide
_STANDARD_INPUT = "-"


if TYPE_CHECKING:
    _Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class _UnusableError(Exception):
    """A file cannot be used; the text says which one, and why."""


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
        code: int = arguments.run(arguments)
    except _UnusableError as error:
        sys.stderr.write(f"{_PROGRAM}: error: {error}\n")
        return _UNUSABLE
    except BrokenPipeError:
        # Whoever read has left, `head` for one. What is still buffered goes nowhere, or Python would complain
        # of it at exit.
        _discard(sys.stdout.fileno())
        return _OUTPUT_CLOSED
    return code


def _demo(arguments: argparse.Namespace) -> int:
    recorder = Recorder()
    code = run_demo(
        usual_vendors(arguments.seed),
        calls=arguments.calls,
        workers=arguments.workers,
        out=sys.stdout,
        listeners=[recorder] if "record" in arguments else [],
    )
    if "record" in arguments:
        with _written(arguments.record), _files.replacing(arguments.record, "x") as file:
            recorder.dump(file)
    return code


def _timeline(arguments: argparse.Namespace) -> int:
    try:
        from fallback_exec import plot  # noqa: PLC0415  # needs an extra, which the demo does not
    except ImportError as error:
        raise _UnusableError(str(error)) from error
    events = _events_of_all(arguments.files)
    if not events:
        raise _UnusableError(f"no events in {', '.join(arguments.files)}")
    try:
        with _written(arguments.output):
            plot.save(timeline(events, seconds=None, buckets=_BARS), arguments.output)
    except InvalidConfigError as error:
        raise _UnusableError(_rule(error)) from error
    return 0


def _events_of_all(names: Iterable[str]) -> list[Event]:
    """Return each event once: records of one process overlap, and a forked child has its parent's events."""
    told: dict[object, Event] = {}
    for name in names:
        times: Counter[object] = Counter()  # a chain may pass over a provider twice in a moment
        for event in _events_of(name):
            what = (type(event), event.execution_id, event.time, event.provider, event.attempt_num)
            times[what] += 1
            told.setdefault((what, times[what]), event)
    return list(told.values())


def _events_of(name: str) -> list[Event]:
    try:
        if name == _STANDARD_INPUT:
            return load(sys.stdin or ())  # None where it is closed
        with open(name, encoding="utf-8") as file:
            return load(file)
    except InvalidConfigError as error:
        raise _UnusableError(f"{name}: {_rule(error)}") from error
    except UnicodeDecodeError as error:
        raise _UnusableError(f"{name}: not in UTF-8") from error
    except OSError as error:
        raise _UnusableError(f"{name}: {error.strerror}") from error


def _rule(error: InvalidConfigError) -> str:
    return str(error).removeprefix("invalid config: ")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    """Say of which file it is that it cannot be written."""
    try:
        yield
    except OSError as error:
        raise _UnusableError(f"cannot write {path}: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Fallback execution across providers.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_timeline(commands)
    return parser


def _add_demo(commands: _Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="watch providers fail, cool down and come back",
        description="Start three HTTP vendors on loopback that fail as vendors do, and send them requests "
        "from many threads. Exit code: 0 if every request was answered, 1 if not, 130 after Ctrl-C, 2 if the "
        "record cannot be written.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--calls", type=_calls, default=400, metavar="N", help="how many requests to send")
    demo.add_argument("--workers", type=_workers, default=16, metavar="N", help="how many threads send them")
    demo.add_argument(
        "--seed", type=_whole, default=1, metavar="N", help="where the vendors' random draws start"
    )
    demo.add_argument(
        "--record",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="where to write what happened, as JSON lines that the command timeline draws",
    )
    demo.set_defaults(run=_demo)


def _add_timeline(commands: _Commands) -> None:
    drawing = commands.add_parser(
        "timeline",
        help="draw what a recorder has written",
        description="Draw the events of a Recorder: who answered when, who failed, and who was cooling down. "
        "Needs the extra fallback-exec[plot]. Exit code: 0, or 2 if a file cannot be used; then nothing is "
        "written.",
    )
    drawing.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="JSON lines, as Recorder.dump() writes them; - reads standard input",
    )
    drawing.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="the picture: its name ends in .svg, .png or .pdf",
    )
    drawing.set_defaults(run=_timeline)


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
