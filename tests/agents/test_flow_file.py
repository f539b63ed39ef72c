"""Flows are data: what is wrong in them is said with file, line, and what to write instead."""

from pathlib import Path

import pytest

from callbot.agents import flow_file
from callbot.agents.flows import Ask, Check, UseTool
from callbot.agents.tools import Tools
from callbot.demo import FOLDER
from callbot.demo.shop import Shop
from callbot.errors import ConfigurationError

GOOD = """\
name: desk
title: Ada
role: reception
instructions: Take bookings.
greeting: "{business}, this is {agent.title}. Hello!"
voice: hibari
tools: [find_order, book_visit]
handoffs: [other]
flow:
  start: listen
  can_do: visits
  human: listen
  slots:
    day:
      kind: date
      about: the day
      ask: Which day?
    order_id:
      kind: order_id
      about: the order
      ask: Which order?
  intents:
    visit:
      next: ask_day
      examples: [I want a visit]
    order:
      next: ask_order
      examples: [Where is my order]
    other:
      next: give
      examples: [I want another]
  nodes:
    listen:
      listen: true
    ask_day:
      ask: day
      next: confirm
    confirm:
      check: Is {day} right?
      slots: [day]
      next: book
    book:
      tool: book_visit
      with: {day: "{day}"}
      as: visit
      next: done
      missing: listen
    done:
      say: Your reference is {visit.reference}.
      next: listen
    ask_order:
      ask: order_id
      next: find
    find:
      tool: find_order
      with: {order_id: "{order_id}"}
      as: order
      next: which
      missing: listen
    which:
      branch: order.status
      when: {shipped: listen, delayed: give}
      else: listen
    give:
      hand_over: other
      reason: you'd like another
"""


@pytest.fixture
def tools() -> Tools:
    return Shop.read(FOLDER / "records").tools()


def load(folder: Path, text: str, tools: Tools) -> tuple[object, object]:
    path = folder / "agents" / "desk.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return flow_file.load(path, business="Acme", tools=tools, agents=("desk", "other"))


def test_a_good_file_becomes_an_agent_and_a_flow(tmp_path: Path, tools: Tools) -> None:
    (tmp_path / "agents").mkdir()
    path = tmp_path / "agents" / "desk.yaml"
    path.write_text(GOOD, encoding="utf-8")
    agent, flow = flow_file.load(path, business="Acme", tools=tools, agents=("desk", "other"))
    assert agent.greeting == ("Acme, this is Ada.", "Hello!")
    assert flow.nodes["ask_day"].step == Ask("day", "confirm")
    assert flow.nodes["confirm"].step == Check(("Is {day} right?",), ("day",), "book")
    book = flow.nodes["book"].step
    assert isinstance(book, UseTool)
    assert book.changes
    assert flow.commands["goodbye"].examples
    assert flow.phrases["goodbye"] == ("Thank you for calling Acme.", "Goodbye!")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("next: confirm", "next: confrim", "there is no node 'confrim'; did you mean 'confirm'?"),
        ("start: listen", "start: nowhere", "there is no node 'nowhere'; write one of: ask_day"),
        ("ask: day\n", "ask: dya\n", "there is no slot 'dya'; did you mean 'day'?"),
        ("slots: [day]", "slots: [dy]", "there is no slot 'dy'; did you mean 'day'?"),
        ("hand_over: other", "hand_over: sales", "there is no agent 'sales'; write one of: other"),
        ("handoffs: [other]", "handoffs: [others]", "there is no agent 'others'; did you mean 'other'?"),
        (
            "tools: [find_order,",
            "tools: [find_oder,",
            "there is no tool 'find_oder'; did you mean 'find_order'?",
        ),
        ("tool: find_order", "tool: find_product", "there is no tool 'find_product'"),
        ("Is {day} right?", "Is {dayy} right?", "there is no value 'dayy'; did you mean 'day'?"),
        ("{visit.reference}", "{visit.number}", "there is no value 'visit.number'"),
        (
            "branch: order.status",
            "branch: order.state",
            "there is no value 'order.state'; did you mean 'order.status'?",
        ),
        ('with: {day: "{day}"}', 'with: {dayy: "{day}"}', "there is no argument 'dayy'; did you mean 'day'?"),
        ("kind: date", "kind: dates", "'dates' is not known; write one of order_id"),
        ("about: the day\n", "abuot: the day\n", "there is no key 'abuot'; did you mean 'about'?"),
        (
            "    listen:\n      listen: true\n",
            "    listen: {listen: true}\n    lost:\n      listen: true\n",
            "nothing leads to node 'lost'",
        ),
        ("      next: confirm", "      next: book", "without the caller's yes; put a node with 'check: ...'"),
        (
            "      listen: true\n",
            "      listen: true\n      ask: day\n      next: give\n",
            "does both 'ask' and 'listen'; make it two",
        ),
        ("      listen: true\n", "      say: Hello.\n", "node 'listen' leads nowhere; add 'next: ...'"),
        (
            "      ask: order_id\n      next: find\n",
            "      ask: order_id\n",
            "'next' is missing; add a line 'next: ...'",
        ),
        (
            "      reason: you'd like another\n",
            "      reason: x\n      question: y\n",
            "'question' belongs to try",
        ),
        ("kind: date\n", "kind: choice\n", "is a choice without options"),
        ("voice: hibari", "voice: hibari\nlanguage: xx", "there is no language 'xx'"),
        ("role: reception", "role: reception\nrole: again", "'role' is written twice"),
        ('greeting: "{business}', 'greeting: "{day}', "there is no value 'day'"),
        (
            "  start: listen",
            "  include: [shared/none.yaml]\n  start: listen",
            "there is no file 'shared/none.yaml'",
        ),
        ("      kind: date\n", "      kind: date\n      early: '(('\n", "not a regular expression"),
        ("role: reception", "role: [", "this is not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_write(
    tmp_path: Path, tools: Tools, written: str, instead: str, said: str
) -> None:
    assert written in GOOD
    broken = GOOD.replace(written, instead, 1)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, broken, tools)
    problem = next(line for line in str(caught.value).splitlines() if said in line)
    file, line, _ = problem.split(":", 2)
    assert file == "agents/desk.yaml"
    near = line_of(GOOD, written)
    assert near - 3 <= int(line) <= near + 5


def test_all_mistakes_are_named_at_once(tmp_path: Path, tools: Tools) -> None:
    broken = GOOD.replace("next: confirm", "next: confrim").replace("hand_over: other", "hand_over: sales")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, broken, tools)
    assert "'confrim'" in str(caught.value)
    assert "'sales'" in str(caught.value)


def test_a_mistake_in_an_included_part_names_that_file(tmp_path: Path, tools: Tools) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "more.yaml").write_text("nodes:\n  extra:\n    next: nowhere\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"shared/more\.yaml:3: there is no node 'nowhere'"):
        load(tmp_path, GOOD.replace("  start:", "  include: [shared/more.yaml]\n  start:"), tools)


def test_yes_no_on_and_off_are_words(tmp_path: Path, tools: Tools) -> None:
    text = GOOD.replace("when: {shipped: listen, delayed: give}", "when: {yes: listen, off: give}")
    _, flow = load(tmp_path, text, tools)
    assert set(flow.nodes["which"].step.when) == {"yes", "off"}  # type: ignore[attr-defined]


def test_a_file_that_is_not_there_or_not_text_is_said_so(tmp_path: Path, tools: Tools) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        flow_file.load(tmp_path / "none.yaml", business="Acme", tools=tools, agents=())
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigurationError, match="byte 6 is not UTF-8"):
        flow_file.load(tmp_path / "bytes.yaml", business="Acme", tools=tools, agents=())
