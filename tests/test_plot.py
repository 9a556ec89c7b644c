"""Pictures of timelines, and the command that draws them."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import StepPatch

import fallback_exec
import fallback_exec.__main__ as command_line
from fallback_exec import InvalidConfigError, Outcome
from fallback_exec.events import AttemptFailed, AttemptSucceeded, CooldownStarted, Event
from fallback_exec.plot import draw, save
from fallback_exec.recorder import Recorder, load
from fallback_exec.timeline import Bucket, Lane, Span, Timeline, timeline

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
SVG = "{http://www.w3.org/2000/svg}"


def moment(seconds: float) -> dt.datetime:
    """Return the moment so many seconds after the beginning."""
    return NOW + dt.timedelta(seconds=seconds)


def lane(provider: str = "gemini", *buckets: Bucket, cooldowns: tuple[Span, ...] = ()) -> Lane:
    """Return a lane with those buckets."""
    answers, failures, skips, _ = (
        sum(column)
        for column in zip(*((b.answers, b.failures, b.skips, b.fallbacks) for b in buckets), strict=True)
    )
    return Lane(provider, buckets, cooldowns, answers, failures, skips, 0.5)


def minute(*lanes: Lane) -> Timeline:
    """Return a timeline of a minute in which there was that."""
    return Timeline(NOW, moment(60), 60 / len(lanes[0].buckets) if lanes else 60.0, lanes)


QUIET = Bucket(0, 0, 0, 0)
USUAL = minute(
    lane("gemini", Bucket(4, 2, 0, 0), QUIET, Bucket(0, 0, 3, 0), cooldowns=(Span(moment(15), moment(45)),)),
    lane("laozhang", QUIET, Bucket(2, 0, 0, 2), Bucket(1200, 1, 0, 3)),
)


def svg_of(drawn: Timeline, path: Path) -> ET.Element:
    """Return what is drawn into an SVG."""
    save(drawn, path / "out.svg")
    return ET.parse(path / "out.svg").getroot()


def texts_of(root: ET.Element) -> list[str]:
    """Return the texts that an SVG shows, in the order in which they are drawn."""
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def steps_of(figure: Figure) -> list[list[float]]:
    """Return how high the bars of each series are, below or above what they stand on, in parts of a lane."""
    steps = []
    for patch in figure.axes[0].patches:
        if isinstance(patch, StepPatch):
            values, _, baseline = patch.get_data()
            steps.append([round(float(each), 6) for each in baseline - np.asarray(values)])
    return steps


@pytest.fixture(autouse=True)
def settings_stay() -> Iterator[None]:
    """Nothing here changes what matplotlib does elsewhere."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


class TestDraw:
    """What is in a picture."""

    def test_bars_are_as_high_as_what_they_count(self) -> None:
        """Answers stand on the line, those after a fallback on the others; failures hang from it."""
        drawn = minute(
            lane("a", Bucket(14, 0, 0, 0), Bucket(6, 1, 0, 2)), lane("b", Bucket(2, 2, 0, 2), QUIET)
        )
        assert steps_of(draw(drawn)) == [
            [0.7, 0.2],
            [0.0, 0.1],
            [0.0, -0.05],
            [0.0, 0.0],
            [0.1, 0.0],
            [-0.1, 0.0],
        ]

    def test_no_bar_is_too_low_to_be_seen(self) -> None:
        """One failure among a thousand answers is what one looks for."""
        assert steps_of(draw(minute(lane("a", Bucket(1000, 1, 0, 0))))) == [[0.799201], [0.0], [-0.04]]

    @pytest.mark.parametrize(
        "bucket", [Bucket(1, 0, 0, 0), Bucket(0, 1, 0, 0), Bucket(9, 90, 0, 3), Bucket(900, 1, 0, 1), QUIET]
    )
    def test_bars_stay_in_their_lane(self, bucket: Bucket) -> None:
        """Whether there are many answers or many failures, they end above the line of a cooldown."""
        patches = draw(minute(lane("a", bucket), lane("b", bucket))).axes[0].patches
        heights = [y for patch in patches for _, y in np.asarray(patch.get_path().vertices)]
        in_lane = [height % 1.0 for height in heights if np.isfinite(height)]
        assert min(in_lane) > 0.0
        assert max(in_lane) <= 0.901

    def test_names_and_sums_stand_beside_the_lanes(self, tmp_path: Path) -> None:
        """As text, which can be found and read aloud."""
        texts = texts_of(svg_of(USUAL, tmp_path))
        assert [text for text in texts if text in {"gemini", "laozhang"}] == ["gemini", "laozhang"]
        assert {"answers 4 (50%)", "failures 2", "skips 3", "answers 1,202 (50%)"} <= set(texts)

    def test_no_share_is_shown_of_no_answers(self, tmp_path: Path) -> None:
        """There is none."""
        nothing = Lane("gemini", (Bucket(0, 1, 0, 0),), (), 0, 1, 0, None)
        assert "answers 0" in texts_of(svg_of(minute(nothing), tmp_path))

    def test_a_legend_says_what_is_what(self, tmp_path: Path) -> None:
        """Of all that is drawn."""
        texts = texts_of(svg_of(USUAL, tmp_path))
        assert texts[-4:] == ["answers", "answers after a fallback", "failures", "cooling down"]

    @pytest.mark.parametrize(
        ("seconds", "labels", "others"),
        [
            (0.6, ["12:00:00.0", "12:00:00.1"], {"2026-01-01", "UTC; one bar: 0.3 s"}),
            (6, ["12:00:00", "12:00:01"], {"2026-01-01", "UTC; one bar: 3 s"}),
            (238, ["12:00", "12:01"], {"2026-01-01", "UTC; one bar: 119 s"}),
            (3600, ["12:00", "12:10"], {"2026-01-01", "UTC; one bar: 30.0 min"}),
            (36 * 3600, ["12:00", "18:00", "2026-01-02"], {"UTC; one bar: 18.0 h"}),
            (4 * 86400, ["01-02", "01-03"], {"2026", "UTC; one bar: 48.0 h"}),
        ],
    )
    def test_the_axis_tells_the_time(
        self, seconds: float, labels: list[str], others: set[str], tmp_path: Path
    ) -> None:
        """In UTC and without a word of any language, as exactly as the span asks for."""
        drawn = Timeline(NOW, moment(seconds), seconds / 2, (lane("a", QUIET, QUIET),))
        texts = texts_of(svg_of(drawn, tmp_path))
        assert texts[: len(labels)] == labels
        assert others <= set(texts)

    def test_cooldowns_are_bands(self) -> None:
        """From their beginning to their end, over the lane and underlined."""
        figure = draw(USUAL)
        axes = figure.axes[0]
        begins, ends = axes.get_xlim()
        bands = [
            [
                [round(60 * (x - begins) / (ends - begins), 3), round(y, 6)]
                for x, y in np.asarray(path.vertices)[:3]
            ]
            for collection in axes.collections
            for path in collection.get_paths()
            if len(np.asarray(path.vertices)) == 5
        ]
        assert bands == [
            [[15.0, 0.04], [15.0, 0.96], [45.0, 0.96]],
            [[15.0, 0.9], [15.0, 0.96], [45.0, 0.96]],
        ]

    def test_differences_are_seen_without_colours(self) -> None:
        """In grey, what answers, what fell back, and what cooled down have lightnesses that are far apart."""
        figure = draw(USUAL)
        shades = {
            str(handle.get_label()): float(np.dot(handle.get_facecolor()[:3], (0.299, 0.587, 0.114)))
            for handle in figure.legends[0].get_patches()
        }
        assert shades["answers"] < 0.45 < shades["failures"] < 0.55 < shades["answers after a fallback"]
        assert shades["cooling down"] > 0.85

    def test_of_no_lanes_can_be_drawn(self) -> None:
        """There is nothing in it, and nothing is raised."""
        assert steps_of(draw(minute())) == []


class TestNames:
    """Providers may call themselves whatever they like."""

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("$a_b^2$", "$a_b^2$"),
            (r"$\frac{1}{", r"$\frac{1}{"),
            ("<script>alert('&')</script>", "<script>alert('&')</script>"),
            ("a\nb\x00", r"a\nb\x00"),
            ("\u202eevil", r"\u202eevil"),
            ("\ud800\ufffe\uffff", "\\ud800\ufffd\ufffd"),
            ("https://me:hunter2@gemini.example", "https://[redacted]@gemini.examp…"),
            ("x" * 32, "x" * 32),
            ("x" * 33, "x" * 31 + "…"),
            ("日本語", "日本語"),
        ],
    )
    def test_are_shown_literally(self, name: str, shown: str, tmp_path: Path) -> None:
        """Neither as formulas nor as tags; in one line, without credentials, and cut where they are long."""
        root = svg_of(minute(lane(name, Bucket(1, 0, 0, 0))), tmp_path)
        assert shown in texts_of(root)
        assert root[0].text is not None
        assert f" UTC: {shown}: answers 1," in root[0].text

    def test_are_shown_in_each_kind_of_file(self, tmp_path: Path) -> None:
        """None of them takes part of a name for a formula, and fails."""
        drawn = minute(lane(r"$\nonsense{$ 日本語", Bucket(1, 0, 0, 0)))
        for kind in ("png", "pdf", "svg"):
            save(drawn, tmp_path / f"out.{kind}")
        assert len(list(tmp_path.iterdir())) == 3


class TestSave:
    """Files."""

    @pytest.mark.parametrize(
        ("name", "beginning"),
        [("out.svg", b"<?xml"), ("out.png", b"\x89PNG"), ("out.pdf", b"%PDF"), ("a.b.SVG", b"<?xml")],
    )
    def test_writes_what_the_name_says(self, name: str, beginning: bytes, tmp_path: Path) -> None:
        """By its suffix, whether in capitals or not."""
        save(USUAL, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(beginning)
        assert os.listdir(tmp_path) == [name]

    @pytest.mark.parametrize("name", ["out.gif", "out", ".svg", "svg"])
    def test_refuses_what_it_cannot_write(self, name: str, tmp_path: Path) -> None:
        """The kinds that there are are named."""
        with pytest.raises(InvalidConfigError) as caught:
            save(USUAL, tmp_path / name)
        assert str(caught.value) == f"invalid config: path must end in one of .pdf, .png, .svg, got {name!r}"
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
    def test_the_same_timeline_is_the_same_file(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At any time, and whatever the user's settings are."""
        save(USUAL, str(tmp_path / f"1.{kind}"))
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
        with mpl.rc_context({"font.size": 30.0, "svg.hashsalt": "mine", "axes.facecolor": "red"}):
            save(USUAL, tmp_path / f"2.{kind}")
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()

    def test_a_png_is_as_wide_as_two_screens_need(self, tmp_path: Path) -> None:
        """1600 pixels, in all of which there is something on white."""
        save(USUAL, tmp_path / "out.png")
        pixels = imread(tmp_path / "out.png")
        assert pixels.shape == (540, 1600, 4)
        assert {tuple(pixels[y, x]) for y in (0, -1) for x in (0, -1)} == {(1.0, 1.0, 1.0, 1.0)}

    def test_an_svg_describes_itself(self, tmp_path: Path) -> None:
        """Its title says in words what it shows."""
        root = svg_of(USUAL, tmp_path)
        assert (root[0].tag, root[0].text) == (
            f"{SVG}title",
            (
                "Providers from 2026-01-01 12:00:00 to 2026-01-01 12:01:00 UTC: "
                "gemini: answers 4, failures 2, skips 3; laozhang: answers 1202, failures 1, skips 0"
            ),
        )

    def test_an_svg_loads_nothing(self, tmp_path: Path) -> None:
        """No script, no style and no picture from elsewhere."""
        root = svg_of(USUAL, tmp_path)
        kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert not kinds & {"script", "image", "foreignObject", "a"}
        links = [value for each in root.iter() for key, value in each.attrib.items() if key.endswith("href")]
        assert [link for link in links if not link.startswith("#")] == []

    def test_a_file_is_replaced(self, tmp_path: Path) -> None:
        """What was there is gone."""
        (tmp_path / "out.svg").write_text("old")
        save(USUAL, tmp_path / "out.svg")
        assert (tmp_path / "out.svg").read_bytes().startswith(b"<?xml")

    def test_a_file_that_cannot_be_replaced_stays(self, tmp_path: Path) -> None:
        """Nor does anything stay beside it."""
        (tmp_path / "out.svg").mkdir()
        with pytest.raises(OSError, match="directory"):
            save(USUAL, tmp_path / "out.svg")
        assert os.listdir(tmp_path) == ["out.svg"]

    def test_no_window_and_no_list_of_figures_is_used(self) -> None:
        """`pyplot` keeps what it draws, for everybody."""
        program = "import sys, fallback_exec.plot; print('matplotlib.pyplot' in sys.modules)"
        assert python("-c", program) == (0, "False\n", "")


def python(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Run Python, as `run()` does."""
    return run(sys.executable, *arguments, stdin=stdin)


def run(*command: str, stdin: str = "", cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
    """Run a program; return its exit code, and what it wrote on standard output and on standard error."""
    root = Path(command_line.__file__).parents[1]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )
    return done.returncode, done.stdout, done.stderr


def event_of(kind: type[Event], seconds: float, provider: str, **facts: object) -> Event:
    usual: Mapping[str, Any] = {"execution_id": "1", "attempt_num": 1, "latency": 0.1, "error": None}
    return kind(**{**usual, "time": moment(seconds), "provider": provider, **facts})


def lines(*names: str) -> str:
    """Return the lines of a failure and an answer of each."""
    recorder, file = Recorder(1e9), io.StringIO()
    for place, name in enumerate(names):
        error = OSError("down")
        recorder(
            event_of(
                AttemptFailed,
                10 * place,
                name,
                error=error,
                outcome=Outcome.FAILURE,
                was_terminus=False,
                cooldown_remaining=5.0,
            )
        )
        recorder(event_of(CooldownStarted, 10 * place, name, error=error, cooldown_remaining=5.0))
        recorder(
            event_of(AttemptSucceeded, 10 * place + 9, name, outcome=Outcome.SUCCESS, was_terminus=False)
        )
    recorder.dump(file)
    return file.getvalue()


class TestCommand:
    """`python -m fallback_exec timeline`."""

    def run(self, *arguments: str | Path) -> int:
        return command_line.main(["timeline", *map(str, arguments)])

    def test_draws_all_events_of_a_file(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """From the first to the last, however long ago, and without a word."""
        (tmp_path / "events.jsonl").write_text(lines("gemini", "grok"))
        assert self.run(tmp_path / "events.jsonl", "-o", tmp_path / "out.svg") == 0
        root = ET.parse(tmp_path / "out.svg").getroot()
        assert root[0].text == (
            "Providers from 2026-01-01 12:00:00 to 2026-01-01 12:00:19 UTC: "
            "gemini: answers 1, failures 1, skips 0; grok: answers 1, failures 1, skips 0"
        )
        assert "UTC; one bar: 0.19 s" in texts_of(root)
        assert capfd.readouterr() == ("", "")

    def test_draws_several_files_as_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of several processes, and standard input, whatever their order."""
        (tmp_path / "1").write_text(lines("gemini").replace('"execution_id": "', '"execution_id": "another-'))
        (tmp_path / "2").write_text(lines("gemini", "grok"))
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines("laozhang")))
        assert self.run(tmp_path / "2", "-", tmp_path / "1", "--output", tmp_path / "out.svg") == 0
        title = ET.parse(tmp_path / "out.svg").getroot()[0].text
        assert re.findall(r"(\w+): answers (\d)", f"{title}") == [
            ("gemini", "2"),
            ("laozhang", "1"),
            ("grok", "1"),
        ]

    def test_draws_as_the_library_does(self, tmp_path: Path) -> None:
        """Nothing more stands in the file than there is in a timeline of a hundred parts."""
        (tmp_path / "events.jsonl").write_text(lines("gemini"))
        self.run(tmp_path / "events.jsonl", "-o", tmp_path / "1.svg")
        with (tmp_path / "events.jsonl").open() as file:
            save(timeline(load(file), seconds=None, buckets=100), tmp_path / "2.svg")
        assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()

    @pytest.mark.parametrize(
        ("content", "output", "complaint"),
        [
            (None, "out.svg", "{file}: No such file or directory"),
            (b"", "out.svg", "no events in {file}"),
            (b"\n\n", "out.svg", "no events in {file}"),
            (b"\xff", "out.svg", "{file}: not in UTF-8"),
            (
                b"\nhello\n",
                "out.svg",
                (
                    "{file}: line 2 must be an event of a Recorder: no JSON, Expecting value at character 1, "
                    "got 'hello'"
                ),
            ),
            (lines("a").encode(), "out.gif", "path must end in one of .pdf, .png, .svg, got 'out.gif'"),
            (lines("a").encode(), "no/out.svg", "cannot write {output}: No such file or directory"),
        ],
        ids=["missing", "empty", "blank", "binary", "bad line", "unknown suffix", "no directory"],
    )
    def test_what_cannot_be_used_is_named(
        self,
        content: bytes | None,
        output: str,
        complaint: str,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """With code 2 and one line; what was there before stays as it was."""
        file = tmp_path / "events.jsonl"
        if content is not None:
            file.write_bytes(content)
        (tmp_path / "out.svg").write_text("old")
        before = sorted(os.listdir(tmp_path))
        assert self.run(file, "-o", tmp_path / output) == 2
        expected = complaint.format(file=file, output=tmp_path / output)
        assert capfd.readouterr() == ("", f"python -m fallback_exec: error: {expected}\n")
        assert sorted(os.listdir(tmp_path)) == before
        assert (tmp_path / "out.svg").read_text() == "old"

    def test_one_bad_file_among_many_is_named(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """And none of them is drawn."""
        (tmp_path / "1").write_text(lines("gemini").replace('"execution_id": "', '"execution_id": "another-'))
        (tmp_path / "2").write_text(lines("gemini") + "{}\n")
        assert self.run(tmp_path / "1", tmp_path / "2", "-o", tmp_path / "out.svg") == 2
        assert f"error: {tmp_path / '2'}: line 4 must be an event" in capfd.readouterr().err
        assert sorted(os.listdir(tmp_path)) == ["1", "2"]

    @pytest.mark.parametrize("arguments", [[], ["events.jsonl"], ["-o", "out.svg"]])
    def test_arguments_are_required(self, arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        """What to draw, and where."""
        with pytest.raises(SystemExit) as caught:
            self.run(*arguments)
        assert caught.value.code == 2
        assert "the following arguments are required" in capfd.readouterr().err

    def test_needs_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Without it, the extra is named; nothing is read."""
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.delitem(sys.modules, "fallback_exec.plot")
        monkeypatch.delattr(fallback_exec, "plot")
        needs = 'fallback_exec.plot needs matplotlib: pip install "fallback-exec[plot]"'
        with pytest.raises(ImportError) as caught:
            importlib.import_module("fallback_exec.plot")
        assert (str(caught.value), caught.value.name) == (needs, "matplotlib")
        assert type(caught.value.__cause__) is ModuleNotFoundError
        assert self.run("-", "-o", tmp_path / "out.svg") == 2
        assert capfd.readouterr() == ("", f"python -m fallback_exec: error: {needs}\n")

    def test_works_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        """Also where no warning is let pass."""
        output = tmp_path / "out.svg"
        command = ["-W", "error", "-m", "fallback_exec", "timeline", "-", "-o", str(output)]
        assert python(*command, stdin=lines("日本語")) == (0, "", "")
        assert "日本語" in texts_of(ET.parse(output).getroot())


class TestPage:
    """docs/timeline.md; its Python is run with that of all pages."""

    def test_commands_work(self, tmp_path: Path) -> None:
        """In their order, one after the other; those with jq where it is installed."""
        page = (Path(__file__).parents[1] / "docs" / "timeline.md").read_text(encoding="utf-8")
        commands = re.findall(r"^\$ (.+)$", page, re.MULTILINE)
        assert len([command for command in commands if "jq" in command]) == 4
        usable = [command for command in commands if "jq" not in command or shutil.which("jq")]
        script = "\n".join(["set -e", 'python() { "$PYTHON" "$@"; }', *usable])
        code, output, errors = run("sh", "-c", script, cwd=tmp_path, PYTHON=sys.executable)
        assert (code, errors) == (0, "")
        assert sorted(os.listdir(tmp_path)) == ["demo.jsonl", "demo.pdf", "demo.png", "demo.svg"]
        table, *rows = re.findall(r"^laozhang +\d+ +(\d+) |^ +(\d+) laozhang$", output, re.MULTILINE)
        assert [row[1] for row in rows] == ([table[0]] if len(usable) == len(commands) else [])
