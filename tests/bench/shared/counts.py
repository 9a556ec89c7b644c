"""What the server has counted."""

from __future__ import annotations

import attrs

from real_servers import Server


@attrs.frozen
class Count:
    """What happened since something, or what has to be paid.

    Attributes:
        round_trips: How often the server has read a request, or several that were sent together.
        scripts: How many scripts it was asked for.
        commands: How many commands it has carried out, within scripts, too.
    """

    round_trips: int
    scripts: int
    commands: int


class Counter:
    """Counts what others than itself ask of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._last = self._read()

    def since(self) -> Count:
        """Return what was asked since this was last asked, or since the beginning."""
        last, self._last = self._last, self._read()
        now = self._last
        # This one's own question has been read, too, and is not counted as carried out yet.
        return Count(
            now.round_trips - last.round_trips - 1, now.scripts - last.scripts, now.commands - last.commands
        )

    def _read(self) -> Count:
        info = self._server.client.info("all")
        calls = {name: stat["calls"] for name, stat in info.items() if name.startswith("cmdstat_")}
        calls.pop("cmdstat_info", None)
        scripts = calls.get("cmdstat_eval", 0) + calls.get("cmdstat_evalsha", 0)
        return Count(info["total_reads_processed"], scripts, sum(calls.values()))
