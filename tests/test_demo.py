"""The demo: its vendors over real sockets, its numbers, its display, and its ends, good and bad."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import fallback_exec.__main__ as command_line
from fallback_exec import Attempt, BreakerCooldownTracker, ExecuteConfig, NoProvidersError, Outcome
from fallback_exec.demo.behaviour import Behaviour, Bursty, Flaky, Reply, Steady
from fallback_exec.demo.client import VendorClient, VendorError
from fallback_exec.demo.display import LiveLine, PlainLines, Progress, display_for, states
from fallback_exec.demo.report import percentile, rows, table, verdict
from fallback_exec.demo.traffic import Call, Traffic
from fallback_exec.demo.vendors import HOST, Vendor
from fallback_exec.events import ExecutionFinished
from fallback_exec.recorder import load
from fallback_exec.timeline import timeline

PATIENCE = 30.0  # seconds after which a test gives up; none of them needs so long
QUICK = (0.0, 0.001)
LONG = (60.0, 60.0)

Table = dict[str, dict[str, str]]


def ask(vendor: Vendor, timeout: float = PATIENCE) -> str:
    return VendorClient(vendor.name, vendor.port).ask("hello", timeout=timeout)


def ask_until_answered(vendor: Vendor) -> list[str]:
    """Ask again and again; return the names of the errors on the way to the first answer."""
    errors = []
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        try:
            ask(vendor)
        except (OSError, VendorError) as error:
            errors.append(type(error).__name__)
        else:
            return errors
    pytest.fail(f"no answer, only {set(errors)}")


def answers(behaviour: Behaviour, count: int, pause: float) -> list[Reply]:
    """Return the first decisions to answer, with a pause, in seconds, after each refusal."""
    found: list[Reply] = []
    while len(found) < count:
        reply = behaviour.decide()
        if reply.status == 200:
            found.append(reply)
        else:
            time.sleep(pause)
    return found


def broken_vendors(seed: int) -> list[Vendor]:
    """Return a chain that never answers."""
    return [
        Vendor("grok", Flaky(f"{seed}", delay=QUICK, reset_share=1.0, stamina=(99, 99), outage=LONG)),
        Vendor("laozhang", Bursty(f"{seed}", delay=QUICK, quota=(0, 0), pause=LONG)),
    ]


def table_of(output: str) -> Table:
    """Read the table that the demo printed."""
    lines = output.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("provider "))
    headings = re.split(r"  +", lines[start])
    body = lines[start + 1 : lines.index("", start)]
    return {line.split()[0]: dict(zip(headings[1:], line.split()[1:], strict=True)) for line in body}


def demo_process(*options: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    root = Path(command_line.__file__).parents[1]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-m", "fallback_exec", "demo", *options],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths, "TERM": "xterm"},
    )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every server and every worker has ended when a test has."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class TestSteady:
    def test_answers_every_request(self) -> None:
        """A steady vendor answers whatever comes, with its name."""
        with Vendor("laozhang", Steady("1", delay=QUICK)) as vendor:
            assert [ask(vendor) for _ in range(20)] == ["laozhang"] * 20


class TestBursty:
    def test_refuses_with_429_once_its_quota_is_used_up(self) -> None:
        """After its quota a bursty vendor answers 429, and says in whole seconds when to come back."""
        with Vendor("gemini", Bursty("1", delay=QUICK, quota=(2, 2), pause=LONG)) as vendor:
            assert [ask(vendor), ask(vendor)] == ["gemini", "gemini"]
            for _ in range(3):
                with pytest.raises(VendorError, match="HTTP 429 Too Many Requests") as caught:
                    ask(vendor)
                assert caught.value.status_code == 429
                assert 1 <= int(caught.value.headers["retry-after"]) <= 60

    def test_the_seconds_are_not_rounded_up_for_a_rounding_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The difference of two readings of the clock may be off by as little as a float can be."""
        monkeypatch.setattr("fallback_exec.demo.behaviour.time", SimpleNamespace(monotonic=lambda: 4.4))
        assert 4.4 + 60 - 4.4 > 60
        with Vendor("gemini", Bursty("1", delay=QUICK, quota=(0, 0), pause=LONG)) as vendor:
            with pytest.raises(VendorError) as caught:
                ask(vendor)
            assert caught.value.headers["retry-after"] == "60"

    def test_answers_again_after_the_burst(self) -> None:
        """A burst of refusals ends by itself."""
        with Vendor("gemini", Bursty("1", delay=QUICK, quota=(1, 1), pause=(0.1, 0.1))) as vendor:
            ask(vendor)
            assert set(ask_until_answered(vendor)) == {"VendorError"}

    def test_same_seed_answers_alike_whatever_the_number_of_refusals(self) -> None:
        """The answers of one seed are the same however many callers are refused in between."""
        pestered, spared, other = (
            Bursty(seed, delay=(0.1, 0.2), quota=(2, 4), pause=(0.01, 0.02)) for seed in ("1", "1", "2")
        )
        first = answers(pestered, 12, pause=0.0)
        assert first == answers(spared, 12, pause=0.02)
        assert first != answers(other, 12, pause=0.02)


class TestFlaky:
    def test_resets_the_connection_instead_of_answering(self) -> None:
        """A reset is a real one: the caller's read fails with ECONNRESET, it does not just find the end."""
        behaviour = Flaky("1", delay=QUICK, reset_share=1.0, stamina=(9, 9), outage=LONG)
        with Vendor("grok", behaviour) as vendor, pytest.raises(ConnectionResetError) as caught:
            ask(vendor)
        assert caught.type is ConnectionResetError  # http.client's own subclass stands for a mere end of data

    def test_resets_a_share_of_the_requests(self) -> None:
        """Between outages the given share of the requests, no more, is reset."""
        behaviour = Flaky("1", delay=QUICK, reset_share=0.2, stamina=(999, 999), outage=LONG)
        resets = sum(behaviour.decide().status is None for _ in range(500))
        assert 50 < resets < 150

    def test_refuses_connections_while_it_is_down(self) -> None:
        """During an outage nothing listens on the vendor's port."""
        behaviour = Flaky("1", delay=QUICK, reset_share=0.0, stamina=(1, 1), outage=LONG)
        with Vendor("grok", behaviour) as vendor:
            assert ask(vendor) == "grok"
            with pytest.raises(ConnectionResetError):
                ask(vendor)
            assert refusals(vendor, 3) == 3

    def test_keeps_its_port_while_it_is_down(self) -> None:
        """During an outage nobody else gets the port, so the vendor can come back on it."""
        # Reset connections and refused ones leave nothing behind on the port that would hold it instead.
        behaviour = Flaky("1", delay=QUICK, reset_share=0.0, stamina=(0, 0), outage=LONG)
        with Vendor("grok", behaviour) as vendor:
            with pytest.raises(ConnectionResetError):
                ask(vendor)
            assert refusals(vendor, 1) == 1
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind((HOST, vendor.port))

    def test_comes_back_after_an_outage(self) -> None:
        """After an outage the vendor answers on the port it had before, until the next one."""
        behaviour = Flaky("1", delay=QUICK, reset_share=0.0, stamina=(1, 1), outage=(0.1, 0.1))
        with Vendor("grok", behaviour) as vendor:
            port = vendor.port
            assert ask_until_answered(vendor) == []
            for _ in range(2):
                assert "ConnectionResetError" in ask_until_answered(vendor)
            assert vendor.port == port

    def test_same_seed_decides_alike(self) -> None:
        """The decisions of one seed are the same ones in the same order; another seed has others."""
        first, again, other = (
            Flaky(seed, delay=(0.2, 0.4), reset_share=0.3, stamina=(3, 9), outage=(1, 2))
            for seed in ("1", "1", "2")
        )
        decisions = [first.decide() for _ in range(100)]
        assert decisions == [again.decide() for _ in range(100)]
        assert decisions != [other.decide() for _ in range(100)]


def refusals(vendor: Vendor, count: int) -> int:
    """Ask until so many connections were refused; a server that goes down may still take a last one."""
    refused = 0
    give_up = time.monotonic() + PATIENCE
    while refused < count and time.monotonic() < give_up:
        try:
            ask(vendor)
        except ConnectionRefusedError:
            refused += 1
        except ConnectionResetError:
            assert refused == 0
    return refused


class TestVendor:
    def test_hurried_vendor_answers_at_once(self) -> None:
        """`hurry()` ends the delays, of a request in hand too."""
        heard: list[str] = []
        with Vendor("laozhang", Steady("1", delay=LONG)) as vendor:
            caller = threading.Thread(target=lambda: heard.append(ask(vendor)))
            caller.start()
            vendor.hurry()
            caller.join(PATIENCE)
        assert heard == ["laozhang"]

    def test_leaving_the_block_answers_what_is_in_hand(self) -> None:
        """A vendor that closes answers the requests that it has read, and no thread of it is left."""
        decided = threading.Event()

        class Noted(Steady):
            def _decide_locked(self) -> Reply:
                decided.set()
                return super()._decide_locked()

        heard: list[str] = []
        with Vendor("laozhang", Noted("1", delay=LONG)) as vendor:
            caller = threading.Thread(target=lambda: heard.append(ask(vendor)))
            caller.start()
            assert decided.wait(PATIENCE)
        caller.join(PATIENCE)
        assert heard == ["laozhang"]

    def test_caller_that_hangs_up_is_no_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A caller that is gone before the answer makes the server print no traceback, and no log line."""
        with Vendor("laozhang", Steady("1", delay=LONG)) as vendor:
            caller = socket.create_connection((HOST, vendor.port), timeout=PATIENCE)
            caller.sendall(b"POST / HTTP/1.0\r\n\r\n")
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.close()
        assert capfd.readouterr() == ("", "")


class TestVendorClient:
    def test_gives_up_after_its_timeout(self) -> None:
        """A vendor slower than the timeout is a TimeoutError."""
        with Vendor("grok", Steady("1", delay=LONG)) as vendor, pytest.raises(TimeoutError):
            ask(vendor, timeout=0.05)

    def test_error_names_the_status(self) -> None:
        """The error's text is the status and its meaning, as far as that is known."""
        headers = http.client.HTTPMessage()
        assert str(VendorError(503, headers)) == "HTTP 503 Service Unavailable"
        assert str(VendorError(599, headers)) == "HTTP 599 unknown status"


class TestTraffic:
    def test_dead_worker_is_not_hidden(self) -> None:
        """What is no provider's failure comes out when the block is left."""
        with pytest.raises(NoProvidersError), Traffic([], ExecuteConfig(), calls=1, workers=1):
            pass

    def test_stopped_traffic_sends_no_further_call(self) -> None:
        """After `stop()` the calls under way end, and no other begins."""
        with Vendor("laozhang", Steady("1", delay=LONG)) as vendor:
            provider = VendorClient(vendor.name, vendor.port)
            with Traffic([provider], ExecuteConfig(), calls=100, workers=2) as traffic:
                assert not traffic.wait(0.0)
                traffic.stop()
                vendor.hurry()
        assert len(traffic.done) <= 2


class TestReport:
    @pytest.mark.parametrize(
        ("latencies", "p50", "p99"),
        [
            ([3.0], 3.0, 3.0),
            ([1.0, 2.0], 1.0, 2.0),
            (list(range(1, 101)), 50, 99),
            (list(range(1, 201)), 100, 198),
        ],
    )
    def test_percentile_is_the_nearest_rank(self, latencies: list[float], p50: float, p99: float) -> None:
        """A percentile is one of the latencies: the least that so many per cent do not exceed."""
        assert (percentile(latencies, 50), percentile(latencies, 99)) == (p50, p99)

    def test_rows_add_up_the_attempts(self) -> None:
        """Each outcome lands in its column; what is neither an answer nor a skip is a failure."""
        outcomes = [Outcome.SUCCESS, Outcome.FAILURE, Outcome.REJECTED, Outcome.NEUTRAL, Outcome.SKIPPED]
        attempts = [Attempt("grok", outcome, None, 0.25, 0.0) for outcome in outcomes]
        (row,) = rows(["grok"], [Call(attempts)], {})
        assert (row.attempts, row.answers, row.failures, row.skips, row.cooldowns) == (4, 1, 3, 1, 0)
        assert row.latencies == [0.25]

    def test_table_has_dashes_where_nothing_was_measured(self) -> None:
        """A provider that never answered has no latencies to show."""
        assert table(rows(["grok"], [], {})).splitlines() == [
            "provider  attempts  answers  failures  skips  cooldowns  p50 ms  p99 ms",
            "grok             0        0         0      0          0       -       -",
        ]

    def test_verdict_says_what_the_first_failure_was(self) -> None:
        """Requests that failed altogether are counted, and the first of them explains itself."""
        calls = [Call(()), Call((), OSError("first")), Call((), OSError("second"))]
        assert verdict(calls, 1.5).splitlines() == [
            "3 requests in 1.5 s: 1 answered, 2 failed altogether.",
            "The first that failed: first",
        ]


class TestDisplay:
    def test_line_tells_each_state_and_remaining_cooldown(self) -> None:
        """Open providers show how long they still cool down; unknown ones are closed."""
        tracker = BreakerCooldownTracker(fail_max=1, reset_timeout=5)
        tracker.record_failure("grok", OSError())
        tracker.record_failure("gemini", OSError())
        tracker.breaker("gemini").half_open()
        progress = Progress(7, 400, states(["gemini", "grok", "laozhang"], tracker.snapshot()))
        assert re.fullmatch(
            r"  7/400 calls \| gemini half-open  \| grok open [45]\.\d s \| laozhang closed", progress.line
        )

    def test_live_line_fits_the_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A line is redrawn in place, cleared to its end, and never as wide as the terminal."""
        monkeypatch.setenv("COLUMNS", "20")
        out = Terminal()
        display = display_for(out)
        display.show(Progress(1, 9, ("short",)))
        display.show(Progress(2, 9, ("x" * 50,)))
        display.finish()
        assert out.getvalue() == "\r1/9 calls | short\x1b[K\r2/9 calls | xxxxxxx\x1b[K\n"

    def test_plain_lines_come_at_each_tenth(self) -> None:
        """A pipe gets a line a tenth of the calls, however often there is something to show."""
        out = io.StringIO()
        display = display_for(out)
        for done in (0, 1, 3, 4, 5, 7, 8, 30, 31, 40, 40):
            display.show(Progress(done, 40, ()))
        display.finish()
        assert out.getvalue() == " 4/40 calls\n 8/40 calls\n30/40 calls\n40/40 calls\n"

    def test_dumb_terminal_gets_plain_lines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal that cannot clear a line is treated as a file."""
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(display_for(Terminal()), PlainLines)
        monkeypatch.setenv("TERM", "xterm")
        assert isinstance(display_for(Terminal()), LiveLine)


@pytest.fixture(scope="module")
def piped_run() -> tuple[int, str]:
    """The exit code and the output of one run into something that is no terminal."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = command_line.main(["demo", "--calls", "60", "--workers", "8", "--seed", "7"])
    return code, out.getvalue()


class TestDemo:
    def test_answers_every_request(self, piped_run: tuple[int, str]) -> None:
        """Vendors fail and no request does: the exit code is 0."""
        code, output = piped_run
        assert code == 0
        assert re.search(
            r"^60 requests in \d+\.\d s: 60 answered, 0 failed altogether\.$", output, re.MULTILINE
        )

    def test_table_has_a_row_for_each_provider(self, piped_run: tuple[int, str]) -> None:
        """The table names the providers in order, and for each all that was asked for."""
        found = table_of(piped_run[1])
        assert list(found) == ["gemini", "grok", "laozhang"]
        for row in found.values():
            assert list(row) == ["attempts", "answers", "failures", "skips", "cooldowns", "p50 ms", "p99 ms"]

    def test_table_adds_up(self, piped_run: tuple[int, str]) -> None:
        """Each request reaches a provider, as an attempt or a skip, that those before it did not answer."""
        reaching = 60
        for row in table_of(piped_run[1]).values():
            attempts, answered, failures, skips = (
                int(row[column]) for column in ("attempts", "answers", "failures", "skips")
            )
            assert attempts == answered + failures
            assert attempts + skips == reaching
            reaching -= answered
        assert reaching == 0

    def test_vendors_fail_as_they_should(self, piped_run: tuple[int, str]) -> None:
        """The first vendor fails and cools down; the exempt terminus never does, and is never skipped."""
        found = table_of(piped_run[1])
        assert int(found["gemini"]["failures"]) >= 3
        assert int(found["gemini"]["skips"]) > 0
        assert int(found["gemini"]["cooldowns"]) > 0
        assert {found["laozhang"][column] for column in ("failures", "skips", "cooldowns")} == {"0"}
        assert int(found["gemini"]["p50 ms"]) <= int(found["gemini"]["p99 ms"])

    def test_piped_output_is_plain_lines(self, piped_run: tuple[int, str]) -> None:
        """Without a terminal there are no control characters, and a line at each tenth at most."""
        output = piped_run[1]
        assert not set(output) & {"\r", "\x1b"}
        lines = [line for line in output.splitlines() if " calls | " in line]
        assert 1 <= len(lines) <= 10
        assert lines[-1].startswith("60/60 calls | gemini ")
        for line in lines:
            assert re.search(r"\| gemini .*\| grok .*\| laozhang closed$", line)

    def test_library_log_leaves_the_output_alone(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Failures are shown by the demo, not logged across its lines."""
        assert command_line.main(["demo", "--calls", "30", "--workers", "30"]) == 0
        captured = capfd.readouterr()
        assert captured.err == ""
        assert "provider failed" not in captured.out

    def test_terminal_gets_one_line_that_redraws(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal all progress is drawn on one line, the last state of which stays."""
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "70")
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        assert command_line.main(["demo", "--calls", "6", "--workers", "2"]) == 0
        live, _, rest = out.getvalue().partition("\n")
        drawn = live.split("\r")
        assert drawn[0] == ""
        assert len(drawn) > 2
        for line in drawn[1:]:
            assert re.fullmatch(r"\d/6 calls \| gemini .*\x1b\[K", line)
            assert len(line.removesuffix("\x1b[K")) < 70
        assert drawn[-1].startswith("6/6")
        assert "\r" not in rest

    def test_real_terminal_gets_one_line_that_redraws(self) -> None:
        """The same holds for a terminal that the system provides."""
        pty = pytest.importorskip("pty")
        terminal, side = pty.openpty()
        with demo_process("--calls", "6", "--workers", "6", stdout=side) as process:
            os.close(side)
            output = b"".join(iter(lambda: read_terminal(terminal), b"")).decode()
            _, errors = process.communicate(timeout=PATIENCE)
        os.close(terminal)
        assert (process.returncode, errors) == (0, b"")
        live, _, rest = output.partition("\r\n")
        assert live.count("\r") == live.count("\x1b[K") >= 2
        assert table_of(rest.replace("\r\n", "\n")).keys() == {"gemini", "grok", "laozhang"}

    def test_failed_request_is_exit_code_1(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A request that nobody answered is counted, explained, and makes the demo fail."""
        monkeypatch.setattr(command_line, "usual_vendors", broken_vendors)
        assert command_line.main(["demo", "--calls", "5", "--workers", "2"]) == 1
        output = capsys.readouterr().out
        assert "0 answered, 5 failed altogether." in output
        assert "HTTP 429 Too Many Requests" in output
        assert table_of(output)["laozhang"] == {
            "attempts": "5",
            "answers": "0",
            "failures": "5",
            "skips": "0",
            "cooldowns": "0",
            "p50 ms": "-",
            "p99 ms": "-",
        }


class TestRecord:
    def test_has_all_that_happened(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What the events of the file add up to is what the table says."""
        path = tmp_path / "demo.jsonl"
        assert command_line.main(["demo", "--calls", "40", "--workers", "8", "--record", str(path)]) == 0
        with path.open() as file:
            events = load(file)
        assert sum(isinstance(event, ExecutionFinished) for event in events) == 40
        lanes = {lane.provider: lane for lane in timeline(events, seconds=None).lanes}
        for name, row in table_of(capsys.readouterr().out).items():
            lane = lanes[name]
            assert [row["answers"], row["failures"], row["skips"]] == [
                str(lane.answers),
                str(lane.failures),
                str(lane.skips),
            ]
        assert os.listdir(tmp_path) == ["demo.jsonl"]

    def test_is_written_only_when_asked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By itself the demo leaves nothing behind, and has no listener."""
        given: list[object] = []

        def run_demo(*_: object, listeners: list[object], **__: object) -> int:
            given.append(listeners)
            return 0

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(command_line, "run_demo", run_demo)
        assert command_line.main(["demo"]) == 0
        assert (given, os.listdir(tmp_path)) == ([[]], [])

    def test_that_cannot_be_written_is_exit_code_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The table is shown all the same."""
        path = tmp_path / "no" / "demo.jsonl"
        assert command_line.main(["demo", "--calls", "3", "--workers", "3", "--record", str(path)]) == 2
        output, errors = capsys.readouterr()
        assert "3 answered, 0 failed altogether." in output
        assert errors == f"python -m fallback_exec: error: cannot write {path}: No such file or directory\n"

    def test_is_written_after_ctrl_c(self, tmp_path: Path) -> None:
        """As the table is, of what was done."""
        path = tmp_path / "demo.jsonl"
        with demo_process("--calls", "200", "--workers", "8", "--record", str(path)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (130, b"")
        with path.open() as file:
            finished = [event for event in load(file) if isinstance(event, ExecutionFinished)]
        assert 8 <= len(finished) < 200


class TestInterruption:
    def test_ctrl_c_ends_with_the_table_so_far(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C, even twice, stops the sending; what was done is shown, and nothing of it failed."""

        class Interrupting(io.StringIO):
            def write(self, text: str) -> int:
                signal.raise_signal(signal.SIGINT)
                return super().write(text)

        before = signal.getsignal(signal.SIGINT)
        out = Interrupting()
        monkeypatch.setattr(sys, "stdout", out)
        assert command_line.main(["demo", "--calls", "40", "--workers", "4"]) == 130
        assert signal.getsignal(signal.SIGINT) is before
        made = int(
            re.findall(r"^Interrupted: (\d+) of 40 calls were made\.$", out.getvalue(), re.MULTILINE)[0]
        )
        assert 4 <= made < 40
        assert f"{made} answered, 0 failed altogether." in out.getvalue()
        assert sum(int(row["answers"]) for row in table_of(out.getvalue()).values()) == made

    def test_ctrl_c_twice_in_a_process_of_its_own(self) -> None:
        """The process ends with 130 and its table, with no traceback and no thread that hangs."""
        with demo_process("--calls", "200", "--workers", "8") as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=PATIENCE)
        assert b"/200 calls | gemini " in first
        assert (process.returncode, errors) == (130, b"")
        assert b"Interrupted: " in output
        assert table_of(output.decode()).keys() == {"gemini", "grok", "laozhang"}


class TestClosedPipe:
    def test_ends_quietly_in_a_process_of_its_own(self) -> None:
        """A reader that leaves, as `head` does, ends the demo without a word."""
        with demo_process("--calls", "60", "--workers", "16") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            errors = process.stderr.read()
            code = process.wait(PATIENCE)
        assert (code, errors) == (141, b"")

    def test_stops_the_traffic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """When nobody reads any more, the servers and workers end, and later output goes nowhere."""
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            monkeypatch.setattr(sys, "stdout", out)
            assert command_line.main(["demo", "--calls", "100", "--workers", "10"]) == 141
            out.write("later")
            out.flush()


class TestCommandLine:
    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (["--calls", "0"], "argument --calls: must be at least 1, got '0'"),
            (["--calls", "many"], "argument --calls: must be a whole number, got 'many'"),
            (["--workers", "-1"], "argument --workers: must be from 1 to 256, got '-1'"),
            (["--workers", "257"], "argument --workers: must be from 1 to 256, got '257'"),
            (["--seed", "x"], "argument --seed: must be a whole number, got 'x'"),
        ],
    )
    def test_bad_option_is_named_with_its_value(
        self, options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A bad value ends with code 2 and says which option it was for, what it must be and what it is."""
        with pytest.raises(SystemExit) as caught:
            command_line.main(["demo", *options])
        assert caught.value.code == 2
        assert complaint in capsys.readouterr().err

    def test_command_is_required(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a command the usage is shown, with code 2."""
        with pytest.raises(SystemExit) as caught:
            command_line.main([])
        assert caught.value.code == 2
        assert "COMMAND" in capsys.readouterr().err

    def test_runs_as_a_module(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Run as a program, the exit code is that of the demo."""
        monkeypatch.setattr(sys, "argv", ["fallback_exec", "demo", "--calls", "3", "--workers", "3"])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(command_line.__file__, run_name="__main__")
        assert caught.value.code == 0
        assert "3 answered, 0 failed altogether." in capsys.readouterr().out


def read_terminal(descriptor: int) -> bytes:
    """Read what a terminal shows; its end is an error on Linux."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
