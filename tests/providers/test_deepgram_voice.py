"""Deepgram's ``/v1/speak`` as a voice, against the double."""

import asyncio
import math
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.playback import Clip, Playback
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech
from callbot.providers.registry import Models, voice
from callbot.providers.tts import deepgram_sockets
from callbot.providers.tts.deepgram import DeepgramVoice
from callbot.providers.tts.deepgram_sockets import FLUSHES
from callbot.speaking import speak as speak_clips
from callbot.vendors import Accounts, Unconfigured
from tests.doubles.deepgram import DeepgramDouble
from tests.doubles.deepgram_speak import Speaking
from tests.doubles.plan import Fault, Plan
from tests.providers.deepgram_audio import CHARACTER_BYTES, speak
from tests.providers.deepgram_ears import gone

NAME = "deepgram:aura-2-thalia-en"
TEXT = "Thanks for waiting. Your order is on its way, and it should arrive on Thursday."


@asynccontextmanager
async def vendor(
    pool: InferencePool, *faults: Fault, key: str = "dg-key", **conduct: Any
) -> AsyncIterator[tuple[DeepgramVoice, Plan]]:
    plan = Plan()
    plan.add("speak", *faults)
    async with DeepgramDouble(plan, speak=speak, **conduct) as double:
        models = Models(pool, cache=Path(), accounts=Accounts.of({"deepgram": key}, {"deepgram": double.url}))
        thalia = voice(NAME, models)
        assert isinstance(thalia, DeepgramVoice)
        try:
            yield thalia, plan
        finally:
            await models.aclose()
            await gone(plan)


async def spoken(thalia: DeepgramVoice, text: str) -> list[Speech]:
    async with asyncio.timeout(5):
        return [speech async for speech in thalia.speak(text)]


def read(audio: bytes) -> str:
    """What the audio says: the double's bytes are those of the text."""
    return audio[::CHARACTER_BYTES].decode()


def joined(speeches: list[Speech]) -> tuple[list[str], str]:
    return (
        " ".join(speech.text for speech in speeches).split(),
        read(b"".join(speech.audio for speech in speeches)),
    )


async def speak_into(found: list[Speech], thalia: DeepgramVoice) -> None:
    async for speech in thalia.speak(TEXT):
        found.append(speech)


async def failure(thalia: DeepgramVoice, text: str = TEXT) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await spoken(thalia, text)
    assert failed.value.provider == NAME
    assert "dg-key" not in str(failed.value)
    assert "Thursday" not in str(failed.value)
    return failed.value


async def test_the_text_is_spoken_in_chunks_that_have_its_words_in_order(pool: InferencePool):
    async with vendor(pool) as (thalia, plan):
        speeches = await spoken(thalia, TEXT)
    words, audio = joined(speeches)
    assert words == TEXT.split()
    assert audio == TEXT.replace(". Y", ".Y")
    assert all(speech.audio and speech.words == () for speech in speeches)
    assert plan.of("speak") == [{"model": "aura-2-thalia-en", "encoding": "mulaw", "sample_rate": "8000"}]
    kinds = [message["type"] for message in plan.of("speak message")]
    assert kinds == ["Speak", "Flush", "Speak", "Flush", "Close"]


async def test_the_first_chunk_is_short_and_later_ones_are_worth_a_mark(pool: InferencePool):
    async with vendor(pool) as (thalia, _):
        first, *rest = await spoken(thalia, "Your order is on its way, and it should arrive on Thursday.")
    assert 0.1 <= first.seconds < 0.3
    assert all(speech.seconds >= 0.4 for speech in rest[:-1])
    assert len(rest) > 5


async def test_the_words_of_a_chunk_have_been_spoken_by_its_end(pool: InferencePool):
    """The double speaks 60 ms a character, faster than what is taken for slow."""
    async with vendor(pool) as (thalia, _):
        speeches = await spoken(thalia, "Your order is on its way, and it should arrive on Thursday.")
    heard, audio = "", b""
    for speech in speeches:
        heard, audio = f"{heard} {speech.text}".strip(), audio + speech.audio
        assert read(audio).startswith(heard)
        assert len(read(audio).split()) - len(heard.split()) <= 4  # and not much is left out


async def test_a_sentence_starts_on_the_connection_of_the_one_before(pool: InferencePool):
    async with vendor(pool) as (thalia, plan):
        for text in ("One moment, please.", "I am looking.", "There it is."):
            assert joined(await spoken(thalia, text)) == (text.split(), text)
    assert len(plan.of("speak")) == 1


async def test_a_connection_can_be_opened_before_it_is_needed(pool: InferencePool):
    async with vendor(pool) as (thalia, plan):
        await thalia.connect()
        assert len(plan.of("speak")) == 1
        await spoken(thalia, TEXT)
        assert len(plan.of("speak")) == 1


async def test_calls_that_speak_at_once_have_connections_of_their_own(pool: InferencePool):
    texts = [
        f"You are number {number} in the line." for number in ("one", "two", "three", "four", "five", "six")
    ]
    async with vendor(pool) as (thalia, plan):
        together = await asyncio.gather(*(spoken(thalia, text) for text in texts))
        assert [joined(speeches)[1] for speeches in together] == texts
        assert len(plan.of("speak")) == 6
        await asyncio.sleep(0.02)
        assert plan.open == deepgram_sockets.MOST_KEPT


@pytest.mark.parametrize("text", ["", "  ", "—", "...", "?!"])
async def test_what_cannot_be_spoken_is_not_sent(text: str, pool: InferencePool):
    async with vendor(pool) as (thalia, plan):
        words = " ".join(speech.text for speech in await spoken(thalia, text)).split()
    assert words == text.split()
    assert not plan.asked


async def test_a_dash_goes_with_the_words_beside_it(pool: InferencePool):
    text = "Hello. ... It is here. ?!"
    async with vendor(pool) as (thalia, plan):
        words, _ = joined(await spoken(thalia, text))
    assert words == text.split()
    assert sum(message["type"] == "Flush" for message in plan.of("speak message")) == 2


async def test_a_text_of_many_sentences_stays_below_the_vendors_limit_of_flushes(pool: InferencePool):
    text = " ".join(f"This is sentence {number}." for number in range(30))
    async with vendor(pool) as (thalia, plan):
        words, _ = joined(await spoken(thalia, text))
        assert words == text.split()
        assert sum(message["type"] == "Flush" for message in plan.of("speak message")) == FLUSHES
        await spoken(thalia, "Another one.")
    assert len(plan.of("speak")) == 2  # the first takes no more for a while


async def test_a_connection_that_has_said_enough_for_now_is_not_asked_for_more(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deepgram_sockets, "CHARACTERS", 100)
    async with vendor(pool) as (thalia, plan):
        for _ in range(2):
            await spoken(thalia, TEXT)
        assert len(plan.of("speak")) == 2
        monkeypatch.setattr(deepgram_sockets, "WINDOW", 0.0)
        await spoken(thalia, TEXT)
    assert len(plan.of("speak")) == 2


@pytest.mark.parametrize("limit", ["LONGEST_IDLE", "LONGEST_OPEN"])
async def test_a_connection_that_is_too_old_is_not_used(
    limit: str, pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    async with vendor(pool) as (thalia, plan):
        await spoken(thalia, TEXT)
        monkeypatch.setattr(deepgram_sockets, limit, 0.0)
        await spoken(thalia, TEXT)
    assert len(plan.of("speak")) == 2


async def test_a_flush_that_the_vendor_refuses_is_a_rate_limit(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tests.doubles.deepgram_speak.MOST_FLUSHES", 1)
    async with vendor(pool) as (thalia, _):
        error = await failure(thalia)
    assert (error.trouble, error.retryable) == (Trouble.RATE_LIMITED, True)


# --- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "trouble", "retryable"),
    [
        (Fault(refuse=True), Trouble.CONNECT, True),
        (Fault(status=401, code="INVALID_AUTH"), Trouble.AUTH, False),
        (Fault(status=402, code="PAYMENT_REQUIRED"), Trouble.QUOTA, False),
        (Fault(status=400, code="No such model"), Trouble.REJECTED, False),
        (Fault(status=503, code="unavailable"), Trouble.UNAVAILABLE, True),
        (Fault(cut_after=0), Trouble.CUT, True),
        (Fault(cut_after=2), Trouble.CUT, True),
        (Fault(close_after=2), Trouble.CUT, True),
        (Fault(close_after=2, close_code=1000), Trouble.CUT, True),
        (Fault(empty=True), Trouble.EMPTY, True),
        (Fault(garbage=True), Trouble.BAD_FORMAT, True),
    ],
)
async def test_a_failure_of_the_vendor_is_told_in_our_words_and_the_next_sentence_is_spoken(
    fault: Fault, trouble: Trouble, retryable: bool, pool: InferencePool
):
    async with vendor(pool, fault) as (thalia, _):
        error = await failure(thalia)
        assert joined(await spoken(thalia, "There it is."))[1] == "There it is."
    assert (error.trouble, error.retryable) == (trouble, retryable)


async def test_what_came_before_the_break_was_handed_on_with_a_prefix_of_the_words(pool: InferencePool):
    found: list[Speech] = []
    async with vendor(pool, Fault(cut_after=20)) as (thalia, _):
        with pytest.raises(ProviderError):
            await speak_into(found, thalia)
    words, audio = joined(found)
    assert 2 < len(words) < len(TEXT.split())
    assert words == TEXT.split()[: len(words)]
    assert audio.startswith("Thanks for waiting.Your order")


async def test_too_many_requests_say_when_to_come_back(pool: InferencePool):
    async with vendor(pool, Fault(status=429, code="TOO_MANY_REQUESTS", retry_after=3)) as (thalia, _):
        error = await failure(thalia)
    assert (error.trouble, error.retryable, error.retry_after) == (Trouble.RATE_LIMITED, True, 3)


async def test_a_wrong_key_is_told_without_it(pool: InferencePool):
    async with vendor(pool, key="dg-key-of-another") as (thalia, _):
        error = await failure(thalia)
    assert (error.trouble, error.retryable) == (Trouble.AUTH, False)


async def test_a_vendor_that_does_not_answer_the_handshake_is_given_up(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deepgram_sockets, "CONNECT_WITHIN", 0.1)
    async with vendor(pool, Fault(blackhole=True)) as (thalia, _):
        error = await failure(thalia)
    assert (error.trouble, error.retryable) == (Trouble.CONNECT, True)


@pytest.mark.parametrize("fault", [Fault(delay=0.1), Fault(dribble=0.002)])
async def test_a_slow_vendor_is_waited_for(fault: Fault, pool: InferencePool):
    async with vendor(pool, fault) as (thalia, _):
        assert joined(await spoken(thalia, TEXT))[0] == TEXT.split()


@pytest.mark.parametrize("fault", [Fault(silent=True), Fault(stall_after=0), Fault(stall_after=3)])
async def test_whoever_waits_for_a_vendor_that_is_silent_can_leave_and_its_connection_goes(
    fault: Fault, pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deepgram_sockets, "SUSPECT_AFTER", 0.05)
    async with vendor(pool, fault) as (thalia, plan):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await spoken(thalia, TEXT)
        assert joined(await spoken(thalia, "There it is."))[1] == "There it is."
        await asyncio.sleep(0.02)
        assert len(plan.of("speak")) == 2
        assert plan.open == 1


async def test_audio_at_another_rate_cannot_be_told(pool: InferencePool):
    """Nothing in the protocol or in mu-law says at which rate it is: it is heard at half the pace."""
    async with vendor(pool, Fault(wrong_rate=True)) as (thalia, _):
        speeches = await spoken(thalia, "There it is.")
    assert sum(len(speech.audio) for speech in speeches) == 2 * len(speak("There it is."))


async def test_a_connection_that_died_while_it_was_kept_costs_nothing(pool: InferencePool):
    async with vendor(pool, Fault(close_after=11)) as (thalia, plan):
        text = "There it is, you see."
        assert joined(await spoken(thalia, text))[1] == text
        assert joined(await spoken(thalia, TEXT))[0] == TEXT.split()
    assert len(plan.of("speak")) == 2


@pytest.mark.parametrize(
    ("message", "trouble"),
    [({}, Trouble.BAD_FORMAT), ({"type": "Error", "code": "X"}, Trouble.UNAVAILABLE)],
)
async def test_a_message_instead_of_audio_is_told_in_our_words(
    message: dict[str, str], trouble: Trouble, pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    async def flush(self: Speaking) -> None:
        await self.wire.tell(message)

    monkeypatch.setattr(Speaking, "_flush", flush)
    async with vendor(pool) as (thalia, _):
        assert (await failure(thalia)).trouble is trouble


# --- interruptions ---------------------------------------------------------------------------------


async def test_after_an_interruption_the_vendor_is_told_to_clear_and_the_connection_serves_again(
    pool: InferencePool,
):
    async with vendor(pool, Fault(dribble=0.002)) as (thalia, plan):
        async with aclosing(thalia.speak(TEXT)) as speeches:
            await anext(speeches)
        assert joined(await spoken(thalia, "There it is."))[1] == "There it is."
    kinds = [message["type"] for message in plan.of("speak message")]
    assert kinds == ["Speak", "Flush", "Speak", "Flush", "Clear", "Speak", "Flush", "Close"]
    assert len(plan.of("speak")) == 1


async def reply(
    thalia: DeepgramVoice, turn: int, sentence: str, *, stop_after: int, into: list[Clip]
) -> None:
    async with aclosing(speak_clips(thalia, turn, sentence)) as clips:
        async for clip in clips:
            into.append(clip)
            if len(into) >= stop_after:
                return


async def test_interrupted_two_hundred_times_what_was_heard_is_a_prefix_and_nothing_stale_is_spoken(
    pool: InferencePool,
):
    """Every text is made of letters of its own, so that audio of another would be noticed."""
    before = asyncio.all_tasks()
    chance = random.Random(4)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = 0
    async with vendor(pool, *[Fault(dribble=0.0005)] * 50) as (thalia, plan):
        for turn in range(200):
            letter = letters[turn % 26]
            sentence = " ".join(letter * chance.randint(2, 9) for _ in range(chance.randint(3, 25))) + "."
            clips: list[Clip] = []
            stop_after = chance.choice([0, chance.randint(0, 12), 1_000])
            speaking = asyncio.create_task(reply(thalia, turn, sentence, stop_after=stop_after, into=clips))
            if stop_after == 1_000:
                await asyncio.sleep(chance.uniform(0, 0.03))
                speaking.cancel()
            await asyncio.wait([speaking])
            assert speaking.cancelled() or speaking.exception() is None

            playback = Playback()
            sent = [playback.send(clip, 0.0) for clip in clips]
            audio = b"".join(clip.audio for clip in clips)
            said = read(audio)
            assert sentence.replace(" ", "").startswith(said.replace(" ", ""))  # nothing of another's
            moment = chance.uniform(0, 1.1) * len(audio) / 8000
            for clip in sent:
                if clip.ends_at <= moment:
                    assert playback.marked(clip.mark, clip.ends_at)
            playback.clear(moment)
            heard = playback.heard(turn)
            assert sentence.split()[: len(heard.split())] == heard.split()
            spoken_by_then = said[: round(moment * 8000 / CHARACTER_BYTES) + 1].replace(" ", "")
            assert spoken_by_then.startswith(heard.replace(" ", ""))
            words += len(heard.split())
        assert words > 100
        assert len(plan.of("speak")) < 50  # they were used again, as often as the vendor's limit lets them
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_voice_that_is_closed_while_it_speaks_keeps_no_connection(pool: InferencePool):
    async with vendor(pool, Fault(dribble=0.002)) as (thalia, plan):
        speeches = thalia.speak(TEXT)
        await anext(speeches)
        await thalia._sockets.aclose()
        assert plan.open == 1
        await speeches.aclose()
        await gone(plan)


async def test_connections_whose_goodbye_is_broken_off_are_gone_all_the_same(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    """So it is with Python 3.11.2, in which a time-out in a task that was cancelled is a cancellation."""
    begun = asyncio.Event()

    async def never(connection: ClientConnection) -> None:
        connection.transport.pause_reading()  # the vendor's own goodbye stays unread
        begun.set()
        await asyncio.sleep(math.inf)

    async with vendor(pool) as (thalia, plan):
        await asyncio.gather(spoken(thalia, TEXT), spoken(thalia, TEXT))
        assert plan.open == 2
        monkeypatch.setattr(ClientConnection, "close", never)
        closing = asyncio.create_task(thalia._sockets.aclose())
        await asyncio.wait_for(begun.wait(), 5)
        closing.cancel()
        await asyncio.wait([closing])
        await gone(plan)


def test_without_a_key_it_says_what_to_set(pool: InferencePool):
    with pytest.raises(Unconfigured, match="DEEPGRAM_API_KEY"):
        voice(NAME, Models(pool, cache=Path()))


def test_the_models_name_tells_the_language(pool: InferencePool):
    models = Models(pool, cache=Path(), accounts=Accounts.of({"deepgram": "k"}, {}))
    assert voice("deepgram", models).language == "en"
    assert voice("deepgram:aura-2-celeste-es", models).language == "es"
    assert voice(NAME, models)._sockets is voice(NAME, models)._sockets  # type: ignore[attr-defined]
