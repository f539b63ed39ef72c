"""The chart: well-formed, complete, and readable whatever was measured."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.chart import draw, labelled, main, nice, wrapped
from tests.bench.measurements import NOTHING, capacity, measured, spread

SVG = "{http://www.w3.org/2000/svg}"
BROKEN = measured(400, response=spread(300, 450, 840), faults={"underruns": 3})
FOUND = capacity(measured(1), measured(100), measured(200, cpu=1.25), BROKEN)


def drawn(*measurements: object) -> ElementTree.Element:
    found = capacity(*measurements) if measurements else FOUND  # type: ignore[arg-type]
    return ElementTree.fromstring(draw(found))


def texts(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_there_is_a_line_for_every_percentile_and_for_both_processes():
    svg = drawn()
    assert len(list(svg.iter(f"{SVG}polyline"))) == 5
    assert {"p50", "p95", "p99", "server", "generator"} <= set(texts(svg))


def test_every_step_has_its_point_and_value():
    titles = {title.text for title in drawn().iter(f"{SVG}title")}
    assert {"100 calls, p99: 20", "200 calls, server: 1.25", "400 calls, p50: 100"} <= titles


def test_where_it_broke_is_marked_with_the_reasons():
    svg = drawn()
    assert texts(svg).count("broke at 400") == 2
    assert any(
        (title.text or "").startswith("3 underruns; response p99") for title in svg.iter(f"{SVG}title")
    )


def test_what_broke_does_not_press_flat_what_held():
    svg = drawn()
    assert "80" in texts(svg)
    assert "p99 \u2191 640" in texts(svg)
    heights = [float(rect.attrib["cy"]) for rect in svg.iter(f"{SVG}circle")]
    assert min(heights) >= 0


def test_nothing_is_marked_where_nothing_broke():
    assert not any("broke at" in text for text in texts(drawn(measured(1), measured(100))))


def test_the_axes_and_the_machine_are_named():
    told = " ".join(texts(drawn()))
    for words in (
        "calls at once",
        "Response, ms more",
        "CPU, ms per call",
        "A processor, 2 cores",
        "0123abc",
    ):
        assert words in told


def test_both_colour_schemes_are_there_and_nothing_is_loaded():
    picture = draw(FOUND)
    assert "prefers-color-scheme: dark" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in picture


def test_a_step_without_figures_has_no_point():
    svg = drawn(measured(1), measured(100), measured(200, response=NOTHING))
    first = next(svg.iter(f"{SVG}polyline")).attrib["points"]
    assert len(first.split()) == 1


def test_one_call_is_no_chart():
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(capacity(measured(1)))


@given(st.floats(0.001, 1e6))
def test_a_scale_ends_at_a_round_number_that_is_not_far(value: float):
    assert value * (1 - 1e-6) <= nice(value) <= value * 2.0001


@given(st.lists(st.integers(2, 3000), min_size=1, max_size=20, unique=True))
def test_labels_never_touch_and_the_last_step_has_one(calls: list[int]):
    calls.sort()
    places = labelled(calls, lambda count: count / 8)
    assert places[-1] == calls[-1]
    assert all((b - a) / 8 >= 34 for a, b in pairwise(places))


@given(st.lists(st.text("abc", min_size=1, max_size=9), max_size=30))
def test_wrapped_lines_have_all_words_and_fit(words: list[str]):
    lines = list(wrapped(" ".join(words), 20))
    assert " ".join(lines).split() == words
    assert all(len(line) <= 20 for line in lines)


def test_the_command_draws_what_was_written(tmp_path: Path):
    result, chart = tmp_path / "result.json", tmp_path / "chart.svg"
    result.write_bytes(msgspec.json.encode(FOUND))
    assert main([str(result), str(chart)]) == 0
    assert chart.read_text() == draw(FOUND)


def test_the_command_says_what_it_cannot_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    result = tmp_path / "result.json"
    result.write_text("{}")
    assert main([str(result), str(tmp_path / "chart.svg")]) == 1
    assert main([str(tmp_path / "none.json"), "chart.svg"]) == 1
    assert main([]) == 2
    told = capsys.readouterr().err
    assert str(result) in told
    assert "usage" in told
