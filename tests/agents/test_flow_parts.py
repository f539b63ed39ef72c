"""The small parts under the flow: templates, words, state, tools, passages, and the core's purity."""

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from callbot.agents import knowledge
from callbot.agents.flow_state import Held, State, Wait
from callbot.agents.knowledge import NO_DOCUMENTS
from callbot.agents.matching import Understanding
from callbot.agents.templates import fill, names, sentences
from callbot.agents.tools import NotFound, ToolFailed, Tools
from callbot.agents.vectors import KeptVectors
from callbot.agents.wording import after, contains, without, words
from callbot.business import Business
from callbot.demo import FOLDER
from callbot.demo.shop import Shop
from callbot.errors import ConfigurationError, InvalidState
from callbot.providers.ports import Embedder

AGENTS = Path(knowledge.__file__).parent
CORE = [
    *["agreeing", "answers", "diversions", "filling", "flow_state", "flows", "heard", "ranking"],
    *["slot_answers", "stepping", "templates", "walk", "walker", "wording"],
]
EDGE = {
    "asyncio",
    "time",
    "random",
    "datetime.now",
    "numpy",
    "yaml",
    "threading",
    "os",
    "socket",
    "structlog",
}


@pytest.mark.parametrize("module", CORE)
def test_the_walkers_modules_import_no_loop_no_clock_and_no_vendor(module: str) -> None:
    tree = ast.parse((AGENTS / f"{module}.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in imported} & EDGE
    assert not {
        name for name in imported if name.endswith((".matching", ".flow_brain", ".vectors", ".tools"))
    }


# --- templates and words -------------------------------------------------------------------------------


def test_a_sentence_with_an_unknown_value_is_left_out() -> None:
    values = {"day": "Monday", "order.when": None}
    assert fill("On {day}.", values.get) == "On Monday."
    assert fill("It comes {order.when}.", values.get) is None
    assert fill("Braces {like This} stay.", values.get) == "Braces {like This} stay."


def test_placeholders_are_named_in_order() -> None:
    assert names("{b} and {a.c} and {b}") == ("b", "a.c", "b")


def test_text_is_split_where_a_sentence_ends() -> None:
    assert sentences("It's $62.50. Is that right? ¿Sí?") == ("It's $62.50.", "Is that right?", "¿Sí?")
    assert sentences("See example.com for more.") == ("See example.com for more.",)


def test_words_have_no_accents_but_keep_their_enye() -> None:
    assert words("¡Mañana, CAFÉ-Móvil! It’s 3.") == ("mañana", "cafe", "movil", "it's", "3")


@given(st.text())
def test_any_text_has_words_that_are_their_own_words(text: str) -> None:
    said = words(text)
    assert words(" ".join(said)) == said


def test_fillers_are_taken_out_unless_nothing_else_was_said() -> None:
    fillers = {("um",), ("good", "morning"), ("good",)}
    assert without(("um", "good", "morning", "my", "bill"), fillers) == ("my", "bill")
    assert without(("um", "um"), fillers) == ("um", "um")
    assert contains(("a", "b", "c"), ("b", "c"))
    assert not contains(("a", "b", "c"), ("a", "c"))
    assert not contains(("a",), ())


@given(st.lists(st.sampled_from(["Yes.", "and", "when,", "Sí…", "it's"])), st.integers(0, 5))
def test_what_follows_an_opening_is_the_rest_as_it_was_said(tokens: list[str], place: int) -> None:
    opening, rest = " ".join(tokens[:place]), " ".join(tokens[place:])
    assert after(f"{opening} {rest}", opening) == rest


def test_nothing_follows_an_opening_that_was_not_said() -> None:
    assert after("Yes. And when?", "YES and") == "when?"
    assert after("Yes", "yes please") is None
    assert after("No.", "yes") is None


# --- state ---------------------------------------------------------------------------------------------

WAITS = st.builds(
    Wait,
    kind=st.sampled_from(["ask", "listen", "check"]),
    node=st.text(),
    slot=st.text(),
    misses=st.integers(0, 3),
    names=st.lists(st.text()).map(tuple),
)
VALUES = st.none() | st.booleans() | st.integers() | st.text()


@given(
    st.builds(
        State,
        wait=WAITS,
        paused=st.lists(WAITS, max_size=3),
        slots=st.dictionaries(st.text(), st.builds(Held, value=VALUES, spoken=st.text())),
        results=st.dictionaries(st.text(), st.dictionaries(st.text(), VALUES)),
    )
)
def test_a_state_comes_back_from_json_as_it_was(state: State) -> None:
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_a_copy_of_a_state_shares_nothing() -> None:
    state = State(Wait("listen", "start"), results={"order": {"status": "shipped"}})
    copy = state.copy()
    copy.results["order"]["status"] = "lost"
    copy.said.append("Hello.")
    assert state.results == {"order": {"status": "shipped"}}
    assert state.said == []


# --- tools ---------------------------------------------------------------------------------------------


class Counted(TypedDict):
    number: int


def counting(*, fails_first: bool = False) -> tuple[Tools, list[str]]:
    runs: list[str] = []
    tools = Tools()

    async def change(what: str, note: str = "") -> Counted | None:
        runs.append(what)
        if fails_first and len(runs) == 1:
            raise ToolFailed("down")
        return Counted(number=len(runs))

    async def look(what: str) -> Counted | None:
        runs.append(what)
        return None

    tools.add(change, changes_data=True)
    tools.add(look)
    return tools, runs


def test_a_tool_knows_its_arguments_and_results() -> None:
    tools, _ = counting()
    tool = tools["change"]
    assert (tool.arguments, tool.required, tool.returns) == (("what", "note"), ("what",), ("number",))
    assert tool.changes_data
    assert not tools["look"].changes_data


def test_a_tool_that_does_not_say_what_it_returns_is_refused() -> None:
    async def silent(what: str) -> None: ...

    with pytest.raises(InvalidState, match="'silent' must be annotated"):
        Tools().add(silent)


async def test_a_change_is_made_once_per_key_and_a_look_up_each_time() -> None:
    tools, runs = counting()
    first = await tools.run("change", {"what": "a"}, "key 1")
    assert await tools.run("change", {"what": "a"}, "key 1") == first
    assert await tools.run("change", {"what": "a"}, "key 2") == {"number": 2}
    await tools.run("look", {"what": "b"}, "key 3")
    await tools.run("look", {"what": "b"}, "key 3")
    assert runs == ["a", "a", "b", "b"]


async def test_a_change_that_failed_can_be_tried_again() -> None:
    tools, _ = counting(fails_first=True)
    with pytest.raises(ToolFailed):
        await tools.run("change", {"what": "a"}, "key")
    assert await tools.run("change", {"what": "a"}, "key") == {"number": 2}


async def test_the_shop_numbers_its_orders_from_l1001_and_finds_them_again() -> None:
    shop = Shop.read(FOLDER / "records")
    first = await shop.place_order("mini", 1)
    second = await shop.place_order("mesh", 2, "ann@example.com")
    assert first == {"order_id": "L1001", "total": "$49.00"}
    assert second == {"order_id": "L1002", "total": "$258.00"}
    found = await shop.find_order("l1002")
    assert not isinstance(found, NotFound)
    assert (found["product"], found["status"]) == ("Lark Mesh kit", "placed")
    with pytest.raises(ToolFailed):
        await shop.place_order("yacht", 1)


async def test_the_shop_knows_plans_by_the_month_and_homes_by_their_router() -> None:
    shop = Shop.read(FOLDER / "records")
    plan = await shop.find_product("fiber_500")
    flat = await shop.find_product("", "flat")
    assert plan is not None
    assert plan["price"] == "$45.00 a month"
    assert flat is not None
    assert flat["name"] == "Lark Mini router"
    assert await shop.find_product("", "") is None
    visit = await shop.book_visit("2026-11-24")
    assert visit is not None
    assert visit["reference"] in shop.bookings


# --- passages and vectors -------------------------------------------------------------------------------


def test_a_set_of_documents_without_passages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("language: en\npassages: {}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="there are no passages"):
        knowledge.load(tmp_path / "none.yaml")


def test_a_passage_is_spoken_one_sentence_at_a_time() -> None:
    passage = knowledge.load(FOLDER / "documents" / "en.yaml").passages["moving"]
    assert passage.answer == (
        "Just tell us 14 days before you move.",
        "Moving your connection is free once a year.",
    )


class Counting:
    """Embeds by the length of the text, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[len(text), float(query)] for text in texts], dtype=np.float32)


@dataclass
class Both:
    """Tells ``listener`` what ``embedder`` embeds."""

    listener: Counting
    embedder: Embedder

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        self.listener.asked += texts
        return self.embedder.embed(texts, query=query)


def test_a_sentence_is_embedded_once_even_across_processes(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "vectors.npz"
    first = Counting()
    kept = KeptVectors(first, file, model="m")
    vectors = kept.embed(["a", "bb", "a"], query=True)
    assert vectors.tolist() == [[1, 1], [2, 1], [1, 1]]
    kept.save()
    second = Counting()
    again = KeptVectors(second, file, model="m")
    assert again.embed(["bb", "a"], query=True).tolist() == [[2, 1], [1, 1]]
    assert second.asked == []
    assert again.embed(["a"], query=False).tolist() == [[1, 0]]
    assert KeptVectors(second, file, model="other").embed(["a"], query=True).tolist() == [[1, 1]]
    assert second.asked == ["a", "a"]


@pytest.mark.models
def test_what_callers_say_is_never_kept(embedder: Embedder, kept: Embedder, business: Business) -> None:
    asked = Counting()
    flow = business.flows["recepcion"]
    understanding = Understanding(flow, NO_DOCUMENTS, embedder, kept=Both(asked, kept))
    understanding.rank("mi número es el cinco cinco cinco")
    assert asked.asked == [text for text in asked.asked if "cinco cinco" not in text] != []


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_a_damaged_file_of_vectors_is_made_again(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "vectors.npz"
    file.write_bytes(content)
    kept = KeptVectors(Counting(), file, model="m")
    kept.embed(["a"], query=True)
    kept.save()
    assert KeptVectors(Counting(), file, model="m").embed(["a"], query=True).tolist() == [[1, 1]]
