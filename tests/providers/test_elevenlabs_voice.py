"""ElevenLabs' voice over the socket for many contexts, against a double that speaks its protocol."""

import asyncio
from contextlib import aclosing

import pytest

from callbot.errors import ConfigurationError, InvalidState, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.registry import voice
from callbot.providers.tts import context_socket, context_sockets
from callbot.providers.tts.context_voice import ContextVoice
from callbot.providers.tts.elevenlabs import Choice
from tests.doubles.elevenlabs import VOICE, ElevenLabsDouble, hum
from tests.doubles.plan import Fault, Plan
from tests.providers.vendor_voices import (
    ELEVENLABS,
    TEXT,
    Speaking,
    audio_of,
    failure,
    given_up,
    models_for,
    nothing_left,
    of_each_endpoint,
    refused_and_then_spoken,
    spoken,
    stamped,
    two_hundred_interruptions,
    until,
    words_of,
)

NAME = ELEVENLABS.voice


@pytest.fixture
def speaking(plan: Plan, pool: InferencePool) -> Speaking:
    return ELEVENLABS.speaking(plan, pool)


def contexts(plan: Plan) -> list[str]:
    """Those that were opened, in order."""
    return [asked["context_id"] for asked in plan.of("tts-multi") if asked.get("text") == " "]


def connections(plan: Plan) -> int:
    return sum("handshake" in asked for asked in plan.of("tts-multi"))


# --- what it asks for, and what it makes of the answer -------------------------------------------


async def test_a_text_is_spoken_with_the_times_of_its_words(speaker: ContextVoice):
    pieces = await spoken(speaker)
    assert audio_of(pieces) == hum(TEXT)
    assert len(pieces) > 3
    begin = 0.0
    position = 0
    for piece in pieces:
        assert [word.word for word in piece.words] == piece.text.split()
        for word in piece.words:
            position = TEXT.index(word.word, position)
            assert word.start + begin == pytest.approx(position * 0.06, abs=0.003)
            assert word.end + begin == pytest.approx((position + len(word.word)) * 0.06, abs=0.003)
            position += len(word.word)
        begin += piece.seconds
    assert words_of(pieces) == TEXT.split()


async def test_it_asks_for_the_call_s_own_format_and_closes_every_context(speaker: ContextVoice, plan: Plan):
    await spoken(speaker, "  Hello\nthere. ")
    handshake, *messages = plan.of("tts-multi")
    assert handshake["handshake"] == {
        "model_id": "eleven_flash_v2_5",
        "output_format": "ulaw_8000",
        "auto_mode": "true",
        "sync_alignment": "true",
        "apply_text_normalization": "off",
        "inactivity_timeout": "180",
        "language_code": "en",
    }
    assert messages == [
        {"text": " ", "context_id": "c1"},
        {"text": "Hello there. ", "context_id": "c1", "flush": True},
        {"context_id": "c1", "close_context": True},
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("elevenlabs", ("eleven_flash_v2_5", VOICE, "en")),
        ("elevenlabs:eleven_flash_v2", ("eleven_flash_v2", VOICE, "en")),
        ("elevenlabs:/abc", ("eleven_flash_v2_5", "abc", "en")),
        ("elevenlabs:eleven_turbo_v2_5/abc/es", ("eleven_turbo_v2_5", "abc", "es")),
    ],
)
def test_a_name_chooses_model_voice_and_language(name: str, expected: tuple[str, str, str]):
    choice = Choice.of(name)
    assert (choice.model, choice.voice, choice.language) == expected


def test_a_name_of_too_many_parts_is_refused_with_what_to_write():
    with pytest.raises(ConfigurationError, match="write elevenlabs:model/voice/language"):
        Choice.of("elevenlabs:a/b/c/d")


async def test_the_spelling_of_the_documentation_s_samples_is_understood_too(speaking: Speaking):
    async with speaking(old_spelling=True) as speaker:
        pieces = await spoken(speaker)
    assert audio_of(pieces) == hum(TEXT)
    assert words_of(pieces) == TEXT.split()
    assert all(word.end > word.start for piece in pieces for word in piece.words)


async def test_a_voice_that_knows_no_times_is_cut_between_words_all_the_same(speaking: Speaking):
    async with speaking(aligned=False) as speaker:
        pieces = await spoken(speaker)
    assert audio_of(pieces) == hum(TEXT)
    assert words_of(pieces) == TEXT.split()
    assert len(pieces) > 3
    assert not any(piece.words for piece in pieces)


# --- sockets -------------------------------------------------------------------------------------


async def test_calls_share_one_socket_and_more_than_five_texts_another(speaking: Speaking, plan: Plan):
    async with speaking(between=0.01) as speaker:
        texts = [f"This is call number {number}." for number in range(12)]
        answers = await asyncio.gather(*(spoken(speaker, text) for text in texts))
        assert [audio_of(pieces) for pieces in answers] == [hum(text) for text in texts]
        assert connections(plan) == 3
        await spoken(speaker)
        assert connections(plan) == 3


async def test_two_voices_of_one_name_share_their_sockets(plan: Plan, pool: InferencePool):
    async with nothing_left(plan), ElevenLabsDouble(plan) as double:
        models = models_for(double, pool)
        for _ in range(2):
            await spoken(voice(NAME, models))
        await models.aclose()
    assert connections(plan) == 1


async def test_a_socket_can_be_opened_ahead(speaker: ContextVoice, plan: Plan):
    await speaker.connect()
    assert plan.open == 1
    await spoken(speaker)
    assert connections(plan) == 1


async def test_opening_ahead_tells_what_is_wrong(speaking: Speaking):
    async with speaking(key="wrong") as speaker:
        _, error = await failure(speaker)
        assert error.trouble is Trouble.AUTH
        with pytest.raises(type(error), match="401"):
            await speaker.connect()


async def test_a_closed_context_has_its_place_until_its_last_message(speaking: Speaking, plan: Plan):
    """A sixth context would end the socket (agents-js#1985)."""
    async with speaking(between=0.05) as speaker:
        for _ in range(6):
            async with aclosing(speaker.speak(TEXT)) as pieces:
                await anext(pieces)
        assert connections(plan) == 2
        assert plan.open == 2


async def test_a_socket_that_the_vendor_closes_in_idleness_is_opened_again(speaking: Speaking, plan: Plan):
    async with speaking(idle=0.1) as speaker:
        await spoken(speaker)
        await until(lambda: connections(plan) == 2)
        await until(lambda: plan.open == 0)
        await asyncio.sleep(0.05)
        assert connections(plan) == 2  # that one was of no use
        assert audio_of(await spoken(speaker)) == hum(TEXT)


async def test_a_voice_that_is_not_used_any_more_is_not_kept_warm(
    speaking: Speaking, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(context_sockets, "STAY_WARM", 0.0)
    async with speaking(idle=0.1) as speaker:
        await spoken(speaker)
        await until(lambda: plan.open == 0)
        await asyncio.sleep(0.05)
        assert connections(plan) == 1


async def test_a_socket_that_dies_takes_only_its_own_texts_with_it(speaking: Speaking, plan: Plan):
    plan.add("tts-multi", Fault(), Fault(cut_after=3))
    async with speaking(between=0.02) as speaker:
        well = [asyncio.create_task(spoken(speaker)) for _ in range(5)]
        ill = [asyncio.create_task(failure(speaker)) for _ in range(2)]
        for task in well:
            assert audio_of(await task) == hum(TEXT)
        for task in ill:
            assert (await task)[1].trouble is Trouble.CUT
        assert audio_of(await spoken(speaker)) == hum(TEXT)


async def test_a_socket_that_gave_wrong_audio_ends_with_the_last_of_its_texts(speaking: Speaking, plan: Plan):
    plan.add("tts-context", Fault(wrong_rate=True), Fault(dribble=0.02))
    async with speaking() as speaker:
        ill = asyncio.create_task(failure(speaker))
        well = asyncio.create_task(spoken(speaker))
        assert (await ill)[1].trouble is Trouble.BAD_FORMAT
        assert plan.open == 1
        assert audio_of(await well) == hum(TEXT)
        await until(lambda: plan.open == 0)
        assert audio_of(await spoken(speaker)) == hum(TEXT)
        assert connections(plan) == 2


async def test_there_is_an_end_to_sockets(speaking: Speaking, plan: Plan, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context_sockets, "MOST_SOCKETS", 1)
    async with speaking(between=0.01) as speaker:
        well = [asyncio.create_task(spoken(speaker)) for _ in range(5)]
        await until(lambda: len(contexts(plan)) == 5)
        _, error = await failure(speaker)
        assert (error.trouble, error.retryable) == (Trouble.RATE_LIMITED, True)
        await asyncio.gather(*well)


async def test_a_socket_that_swallows_texts_is_left_for_another(
    speaking: Speaking, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(context_socket, "SUSPECT_AFTER", 0.05)
    plan.add("tts-multi", Fault(silent=True))
    async with speaking() as speaker:
        await given_up(speaker, after=0.1)
        await until(lambda: plan.open == 0)
        assert audio_of(await spoken(speaker)) == hum(TEXT)


async def test_a_context_that_never_ends_makes_its_socket_suspect(
    speaking: Speaking, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(context_socket, "FINAL_WITHIN", 0.05)
    plan.add("tts-context", Fault(stall_after=1))
    async with speaking() as speaker:
        async with aclosing(speaker.speak(TEXT)) as pieces:
            await anext(pieces)
        await asyncio.sleep(0.1)
        assert audio_of(await spoken(speaker)) == hum(TEXT)
        assert connections(plan) == 2
        await until(lambda: plan.open == 1)


async def test_after_the_close_it_does_not_speak(plan: Plan, pool: InferencePool):
    async with nothing_left(plan), ElevenLabsDouble(plan) as double:
        models = models_for(double, pool)
        speaker = voice(NAME, models)
        await models.aclose()
        with pytest.raises(InvalidState):
            await spoken(speaker)


# --- what goes wrong -----------------------------------------------------------------------------


REFUSALS = {
    "refused": (Fault(refuse=True), Trouble.CONNECT, True),
    "blackhole": (Fault(blackhole=True), Trouble.CONNECT, True),
    "wrong key": (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
    "no money": (Fault(status=401, code="quota_exceeded"), Trouble.QUOTA, False),
    "no voice": (Fault(status=404, code="voice_not_found"), Trouble.REJECTED, False),
    "too many": (Fault(status=429, code="too_many_concurrent_requests"), Trouble.RATE_LIMITED, True),
    "busy": (Fault(status=429, code="system_busy"), Trouble.RATE_LIMITED, True),
    "down": (Fault(status=503), Trouble.UNAVAILABLE, True),
    "told: no money": (Fault(code="quota_exceeded"), Trouble.QUOTA, False),
    "told: wrong key": (Fault(code="invalid_api_key"), Trouble.AUTH, False),
    "told: too many": (Fault(code="max_active_conversations"), Trouble.RATE_LIMITED, True),
    "told: something": (Fault(code="voice_id_does_not_exist"), Trouble.REJECTED, False),
    "cut at once": (Fault(cut_after=0), Trouble.CUT, True),
    "closed at once": (Fault(close_after=0), Trouble.CUT, True),
    "empty": (Fault(empty=True), Trouble.EMPTY, True),
    "garbage": (Fault(garbage=True), Trouble.BAD_FORMAT, True),
}


@pytest.mark.parametrize(
    ("endpoint", "fault", "trouble", "retryable"),
    of_each_endpoint(
        ELEVENLABS,
        REFUSALS,
        of_one_text=lambda fault: not (fault.refuse or fault.blackhole or fault.status),
    ),
)
async def test_a_refusal_is_told_in_our_words_and_the_next_text_is_spoken(
    speaking: Speaking,
    plan: Plan,
    endpoint: str,
    fault: Fault,
    trouble: Trouble,
    retryable: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(context_socket, "CONNECT_WITHIN", 0.2)
    plan.add(endpoint, fault)
    async with speaking() as speaker:
        await refused_and_then_spoken(speaker, trouble, retryable=retryable)


async def test_times_that_come_later_than_their_audio_are_no_wrong_audio(speaking: Speaking):
    async with speaking(lagging=True, chunk=0.6) as speaker:
        pieces = await spoken(speaker)
    assert audio_of(pieces) == hum(TEXT)
    assert words_of(pieces) == TEXT.split()


@pytest.mark.parametrize("endpoint", ["tts-multi", "tts-context"])
async def test_audio_of_another_rate_is_found_out_before_any_of_it_is_given(
    speaking: Speaking, plan: Plan, endpoint: str
):
    plan.add(endpoint, Fault(wrong_rate=True))
    async with speaking() as speaker:
        pieces, error = await failure(speaker)
        assert error.trouble is Trouble.BAD_FORMAT
        assert pieces == []


@pytest.mark.parametrize("endpoint", ["tts-multi", "tts-context"])
@pytest.mark.parametrize("fault", [Fault(stall_after=2), Fault(silent=True)], ids=["stalls", "silent"])
async def test_who_waits_no_longer_leaves_nothing_behind(
    speaking: Speaking, plan: Plan, endpoint: str, fault: Fault
):
    plan.add(endpoint, fault)
    async with speaking() as speaker:
        await given_up(speaker, after=0.1)


# --- interruptions -------------------------------------------------------------------------------


async def test_a_text_that_is_given_up_is_closed_and_its_late_audio_dropped(speaking: Speaking, plan: Plan):
    async with speaking(between=0.01) as speaker:
        async with aclosing(speaker.speak(TEXT)) as pieces:
            await anext(pieces)
        assert audio_of(await spoken(speaker, "Something else.")) == hum("Something else.")
        assert {"context_id": "c1", "close_context": True} in plan.of("tts-multi")
        assert contexts(plan) == ["c1", "c2"]
        assert connections(plan) == 1


async def test_two_hundred_interruptions(speaking: Speaking, plan: Plan):
    colours = ["red", "blue", "green", "white", "black", "brown", "grey", "pink", "golden", "silver"]
    names = ["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gail", "Hugo", "Ines", "Jack"]
    towns = ["Springfield", "Greenville"]
    said = [
        f"The {colour} parcel for {name} of {town} is on its way, and it takes a while."
        for colour in colours
        for name in names
        for town in towns
    ]
    async with speaking(speak=stamped, between=0.001) as speaker:
        await two_hundred_interruptions(speaker, said)
        sockets = speaker._sockets._sockets
        await until(lambda: not any(socket._contexts or socket._left for socket in sockets))
    closed = [asked["context_id"] for asked in plan.of("tts-multi") if asked.get("close_context")]
    assert len(closed) == len(contexts(plan))
    assert set(closed) == set(contexts(plan))


@pytest.mark.parametrize("delay", [0.0, 0.1])
async def test_a_context_is_closed_when_it_sounds_or_is_given_up_and_not_before(
    speaking: Speaking, plan: Plan, delay: float
):
    """A close that overtakes the beginning of the audio ends the context in silence (pipecat#4681)."""
    plan.add("tts-context", Fault(delay=delay), Fault(delay=60))
    close = {"context_id": "c1", "close_context": True}
    async with speaking() as speaker:
        pieces = speaker.speak("Yes.")
        async with aclosing(pieces):
            first = asyncio.create_task(anext(pieces))
            await until(lambda: contexts(plan) == ["c1"])
            await asyncio.sleep(delay / 2)
            assert delay == 0.0 or close not in plan.of("tts-multi")
            assert (await first).audio
            assert audio_of([first.result(), *[piece async for piece in pieces]]) == hum("Yes.")
            assert plan.of("tts-multi").count(close) == 1
        await given_up(speaker, after=0.05)
        await until(lambda: {"context_id": "c2", "close_context": True} in plan.of("tts-multi"))
        await until(lambda: not any(socket._left for socket in speaker._sockets._sockets))
