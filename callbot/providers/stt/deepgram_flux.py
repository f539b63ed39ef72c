"""Deepgram's recognisers behind ``/v2/listen`` (Flux), which judge whether a turn is over:
``deepgram-flux:flux-general-en``.

The vendor's documentation: https://developers.deepgram.com/docs/flux, pages state, force-end-turn,
configuration, flux-nova-3-comparison.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import RATE, SILENCE
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models
from callbot.providers.sockets import secure
from callbot.providers.stt.flushes import Flushes
from callbot.providers.stt.socket_ears import SocketEars, Wire
from callbot.vendors import Account

ENGLISH: Final = "flux-general-en"
SEVERAL: Final = "flux-general-multi"
TURN_OVER: Final = 0.7
"""From this confidence on the vendor ends a turn."""
_EAGER: Final = 0.5
_TURN_OVER_AFTER_MS: Final = 5000
PADDING: Final = SILENCE * 2000
"""News comes for every 0.25 s of audio: this makes it come for what was sent before."""
PATIENCE: Final = 0.6
_HEARD: Final = frozenset(("de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru"))
"""Languages of ``SEVERAL``. It finds them out without a hint, too."""
_NEARLY, _QUIET = 0.05, 0.3
"""Seconds that may be missing before a flush: any time, and when the vendor takes the turn for over."""

_FORCE_END_TURN, _CLOSE_STREAM = (json.dumps({"type": kind}) for kind in ("ForceEndTurn", "CloseStream"))


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the vendor calls a turn, as far as it knows it."""

    text: str
    confidence: float | None
    language: str | None
    over: float


@dataclass(slots=True, eq=False)
class _Utterance:
    """One of ours, ``begins`` seconds into the stream. The vendor may end a turn while ours goes on."""

    number: int
    begins: float
    turns: dict[int, _Turn] = field(default_factory=dict)
    answered: bool = False
    told: Transcribed | None = None

    def news(self, *, final: bool) -> Transcribed:
        spoken = [self.turns[index] for index in sorted(self.turns) if self.turns[index].text]
        if not spoken:
            return Transcribed(self.number, "", final)
        known = [turn.confidence for turn in spoken if turn.confidence is not None]
        return Transcribed(
            self.number,
            " ".join(turn.text for turn in spoken),
            final,
            spoken[-1].language,
            sum(known) / len(known) if known else None,
            spoken[-1].over,
        )


class FluxDialect:
    """A ``Dialect`` and ``Patient``.

    Utterances are ours: a flush is answered from the newest news once that covers the audio before it,
    and a new utterance ends the vendor's turn, so that it begins with an empty text. How sure the vendor
    is that the turn is over comes with every event; after the final another one comes when it changes its
    mind (EagerEndOfTurn, TurnResumed, EndOfTurn).

    There is no message to keep the connection alive: the WebSocket's own pings, one in 20 s, do.
    """

    cuts: bool = False
    keep_alive_after: float | None = None
    patience = PATIENCE

    def __init__(self, name: str, account: Account, model: str, languages: Sequence[str]) -> None:
        self.name = name
        self.url = f"{account.socket_url}/v2/listen?{urlencode(_query(model, languages), doseq=True)}"
        self.headers: Mapping[str, str] = {"Authorization": f"Token {account.key}"}
        self._sent = 0
        self._utterances: deque[_Utterance] = deque(maxlen=8)
        self._of_turn: dict[int, _Utterance] = {}
        self._flushes: Flushes[_Utterance] = Flushes()

    # --- to the vendor ---------------------------------------------------------------------------

    def opened(self) -> Iterable[Wire]:
        return []

    def start(self, utterance: int) -> Iterable[Wire]:
        self._utterances.append(_Utterance(utterance, self._sent / RATE))
        return [_FORCE_END_TURN] if self._sent else []  # ignored when no turn is open

    def audio(self, audio: bytes) -> Iterable[Wire]:
        self._sent += len(audio)
        return [audio]

    def flush(self) -> Iterable[Wire]:
        if not self._utterances:
            return []
        utterance = self._utterances[-1]
        self._flushes.add(utterance, self._sent / RATE, begins=utterance.begins)
        self._sent += len(PADDING)
        return [PADDING]

    def keep_alive(self) -> Iterable[Wire]:
        return []

    def closing(self) -> Iterable[Wire]:
        return [_CLOSE_STREAM]

    # --- from the vendor -------------------------------------------------------------------------

    def overdue(self) -> Iterable[Transcribed]:
        return list(self._answer(self._flushes.overdue()))

    def received(self, message: Wire) -> Iterable[Transcribed]:
        try:
            said = json.loads(message)
            if said["type"] == "TurnInfo":
                return list(self._turn_info(said))
            if said["type"] == "Error":
                raise ProviderError(
                    f"{self.name}: {said['code']}",
                    retryable=True,
                    trouble=Trouble.UNAVAILABLE,
                    provider=self.name,
                )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProviderError(
                f"{self.name}: a message that is not as documented ({type(error).__name__})",
                retryable=True,
                trouble=Trouble.BAD_FORMAT,
                provider=self.name,
            ) from error
        return []

    def _turn_info(self, said: Mapping[str, Any]) -> Iterator[Transcribed]:
        index, end = int(said["turn_index"]), float(said["audio_window_end"])
        event, text = said["event"], str(said["transcript"]).strip()
        over = float(said["end_of_turn_confidence"])
        if event == "EndOfTurn" and said.get("trigger") != "manual":
            over = max(over, TURN_OVER)  # it may be less sure, and have waited long enough
        utterance = self._utterance_of(index, end, text)
        if utterance is not None:
            turn = _Turn(text, _mean(said.get("words", ())), _first(said.get("languages")), over)
            utterance.turns[index] = turn
        ended = event in ("EagerEndOfTurn", "EndOfTurn")
        answered = self._flushes.covered(end, slack=_QUIET if ended else _NEARLY)
        yield from self._answer(answered)
        if utterance is not None and utterance not in answered:
            yield from self._news_of(utterance, judged=ended or event == "TurnResumed")

    def _utterance_of(self, index: int, end: float, text: str) -> _Utterance | None:
        """A turn belongs to the utterance in which its first word was heard."""
        if text and index not in self._of_turn:
            found = next((one for one in reversed(self._utterances) if one.begins < end), None)
            if found is not None:
                self._of_turn[index] = found
        return self._of_turn.get(index)

    def _answer(self, utterances: Iterable[_Utterance]) -> Iterator[Transcribed]:
        for utterance in utterances:
            utterance.answered = True
            utterance.told = utterance.news(final=True)
            yield utterance.told

    def _news_of(self, utterance: _Utterance, *, judged: bool) -> Iterator[Transcribed]:
        """``judged``: the vendor has made up its mind about the turn, which is news after a final, too."""
        past = utterance is not self._utterances[-1]
        final = judged and utterance.answered
        news, before = utterance.news(final=final), utterance.told
        if not news.text or (past and not final):
            return
        if (past or not judged) and before is not None and news.text == before.text:
            return  # only surer, or less so
        if news != before:
            utterance.told = news
            yield news


@dataclass(frozen=True, slots=True)
class FluxHearing:
    """A ``Hearing``: each call has a connection of its own. ``model`` is empty for whichever fits; the one
    that hears English alone is not asked to hear more."""

    name: str
    account: Account
    model: str

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        model = self.model or ENGLISH
        if model == ENGLISH and not set(languages) <= {"en"}:
            model = SEVERAL
        return SocketEars(FluxDialect(self.name, self.account, model, languages))


def hearing(name: str, models: Models) -> FluxHearing:
    """For the registry: ``deepgram-flux``, or ``deepgram-flux:`` and a model. Raises ``Unconfigured``."""
    account = models.accounts["deepgram"]
    secure(account.socket_url)
    return FluxHearing(name, account, name.partition(":")[2])


def _query(model: str, languages: Sequence[str]) -> dict[str, str | int | float | list[str]]:
    query: dict[str, str | int | float | list[str]] = {
        "model": model,
        "encoding": "mulaw",
        "sample_rate": RATE,
        "eot_threshold": TURN_OVER,
        "eager_eot_threshold": _EAGER,
        "eot_timeout_ms": _TURN_OVER_AFTER_MS,
    }
    if model == SEVERAL:
        query["language_hint"] = [one for one in languages if one.partition("-")[0].lower() in _HEARD]
    return query


def _mean(words: Sequence[Mapping[str, Any]]) -> float | None:
    known = [float(word["confidence"]) for word in words]
    return sum(known) / len(known) if known else None


def _first(languages: object) -> str | None:
    """Of BCP-47 tags, the most frequent first, to ISO 639-1."""
    if isinstance(languages, list) and languages:
        return str(languages[0]).partition("-")[0].lower()
    return None
