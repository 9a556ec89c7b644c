"""Files that are written whole or not at all, where they are files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextlib.contextmanager
def replacing(path: Path, mode: str) -> Iterator[IO[Any]]:
    """Give a file to write, which takes the place of `path` when the block ends, unless by an exception.

    A device or a pipe is written to instead: a record may go to `/dev/null`, which has to stay what it is.

    Args:
        path: Where the file will be, or a link to that place. What is there stays there until then.
        mode: That of `open()`: `"x"` for text, `"xb"` for bytes.

    Raises:
        OSError: The file cannot be written, or cannot be there.
    """
    encoding = None if "b" in mode else "utf-8"
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open(mode.replace("x", "w"), encoding=encoding) as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # resolve() raises for links that go in a circle
    part = path.parent / f".{uuid4().hex}.part"  # beside it: a file can be moved within a file system alone
    try:
        with part.open(mode, encoding=encoding) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
