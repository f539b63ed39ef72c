"""What is shipped for operators speaks of numbers that exist, and all that exist are explained."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from callbot.carriers.twilio import webhooks
from callbot.media_stream import messages
from callbot.metrics.instruments import BAD_MESSAGES, REFUSALS, UNITS, Metrics
from callbot.providers.accounting import Port, Unit
from callbot.routing import intake
from tests.metrics.page import Page

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/callbot.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
METRICS = Metrics()
for port in Port:
    METRICS.expect(port, ["some:provider"])
PAGE = Page.of(METRICS)
SAMPLES = {name for name, _ in PAGE.samples}
EXPRESSIONS = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())),
    *((rule["alert"], rule["expr"]) for rule in RULES),
]


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bcallbot_\w+", expression))


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_number_in_the_dashboard_and_the_alerts_exists(title: str, expression: str):
    assert names_in(expression) - SAMPLES == set()
    assert names_in(expression)


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_label_in_the_dashboard_and_the_alerts_exists(title: str, expression: str):
    known = {label for _, labels in PAGE.samples for label, _ in labels} | {"instance"}
    grouped = {
        label
        for found in re.findall(r"\bby \(([^)]*)\)", expression)
        for label in found.replace(" ", "").split(",")
    }
    selected = set(re.findall(r"[{,]\s*(\w+)\s*=~?\s*\"", expression))
    assert (grouped | selected) - known == set()
    for label, value in re.findall(r"(\w+)=\"(\w+)\"", expression):
        assert any((label, value) in labels for _, labels in PAGE.samples), f"{label} is never {value}"


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_a_counter_is_read_by_its_growth_and_a_bucket_by_its_quantile(title: str, expression: str):
    for name in names_in(expression):
        if name.endswith(("_total", "_count", "_bucket")):
            assert re.search(rf"\b(rate|increase)\({name}\b", expression), name
    assert expression.count("(") == expression.count(")")


def test_every_number_is_on_the_dashboard():
    shown = {
        name for panel in PANELS for target in panel.get("targets", ()) for name in names_in(target["expr"])
    }
    bare = {re.sub("_(bucket|count|sum)$", "", name) for name in shown}
    all_of_them = {re.sub("_(bucket|count|sum)$", "", name) for name in SAMPLES}
    assert all_of_them - bare == {"callbot_calls_started_total", "callbot_calls_admitted_total"}


# --- the dashboard can be imported -------------------------------------------------------------------


def test_panels_have_ids_of_their_own_and_targets_letters_of_their_own():
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    for panel in PANELS:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(letters) == len(set(letters)), panel["title"]


def test_no_panel_lies_on_another_or_beside_the_grid():
    def covers(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    for panel in PANELS:
        assert all(0 <= x < 24 and y >= 0 for x, y in covers(panel)), panel["title"]
    for one, other in combinations(PANELS, 2):
        assert not covers(one) & covers(other), f"{one['title']} and {other['title']}"


def test_the_data_source_is_chosen_at_import_and_nothing_of_another_grafana_is_in_it():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    used = {
        source["uid"]
        for panel in PANELS
        for source in (panel.get("datasource"), *(t["datasource"] for t in panel.get("targets", ())))
        if source is not None
    }
    assert used == {"${datasource}"}
    assert DASHBOARD.get("id") is None
    assert DASHBOARD["schemaVersion"] >= 39


def test_the_rows_are_those_an_operator_looks_for():
    assert [panel["title"] for panel in PANELS if panel["type"] == "row"] == [
        "Calls and capacity",
        "Response",
        "Barge-in",
        "Media path",
        "Providers",
        "Queues and memory",
    ]


@pytest.mark.parametrize(
    ("title", "target"),
    [("Response", 1.5), ("From the decision to the first audio", 0.03), ("Barge-in", 0.15)],
)
def test_the_targets_are_drawn(title: str, target: float):
    (panel,) = [panel for panel in PANELS if panel["title"] == title and panel["type"] == "timeseries"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1] == {"color": "red", "value": target}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_how_urgent_it_is(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert re.fullmatch(r"Callbot\w+", rule["alert"])
    assert re.fullmatch(r"\d+[mh]", rule.get("for", "0m"))


def test_alerts_have_names_of_their_own():
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))


# --- and explained -----------------------------------------------------------------------------------


def test_the_docs_explain_every_number_and_no_other():
    rows = re.findall(
        r"^\| `(callbot_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|",
        (ROOT / "docs/metrics.md").read_text(),
        re.MULTILINE,
    )
    explained = {(name.removesuffix("_total"), labels, kind) for name, labels, kind in rows}
    assert len(explained) == len(rows)
    assert explained == {
        (family.name, ",".join(sorted(set(family.samples[0].labels) - {"le"})), family.type)
        for family in PAGE.families.values()
    }


def test_every_value_of_a_label_is_in_the_docs():
    text = (ROOT / "docs/metrics.md").read_text()
    values = {
        value for _, labels in PAGE.samples for label, value in labels if label not in ("le", "provider")
    }
    assert {value for value in values if f"`{value}`" not in text} == set()


# --- the closed lists are those of the code that counts ----------------------------------------------


def test_the_kinds_of_bad_messages_are_those_of_the_decoder():
    raised = re.findall(r"BadMessage\(([^,]*),", Path(messages.__file__).read_text())
    assert set(BAD_MESSAGES) == {kind for given in raised for kind in re.findall(r'"(\w+)"', given)}


def test_no_unit_belongs_to_two_ports():
    units = [unit for units in UNITS.values() for unit in units]
    assert len(units) == len(set(units))
    assert set(units) <= set(Unit)
    assert UNITS.keys() == set(Port)


def test_the_answers_to_refused_calls_are_the_ways_of_overflowing():
    ways = {way.__name__.lower() for way in (intake.Dial, intake.CallBack, intake.Busy, intake.Sorry)}
    assert set(REFUSALS) == ways | {"closed"}
    assert set(re.findall(r'refused\["(\w+)"\]', Path(webhooks.__file__).read_text())) == {"closed"}
