"""Deepgram's recognisers behind ``/v1/listen`` (Nova): ``deepgram:nova-3``.

The vendor's documentation: https://developers.deepgram.com/docs, pages finalize, audio-keep-alive,
understand-endpointing-interim-results, utterance-end, nova-3-language-prompting.
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

DEFAULT_MODEL: Final = "nova-3"
KEEP_ALIVE_AFTER: Final = 4.0
"""Without audio or a message for 10 s the vendor hangs up (NET-0001)."""
LEAD_IN: Final = SILENCE * 800
"""Keep-alives do not count until some audio has come, and the caller may be silent for long at first."""
PATIENCE: Final = 0.6
"""``Finalize`` is answered in 0.1 to 0.2 s, but need not be when there is little audio."""
_ENDPOINTING_MS: Final = 300
_UTTERANCE_END_MS: Final = 1000
_NEARLY: Final = 0.05
"""Seconds by which the vendor's idea of how much audio came may differ from ours."""
_MULTILINGUAL: Final = frozenset(
    "af ar be bg bn bs ca cs da de el en es et fa fi fr gl gu he hi hr hu id it ja kn ko lt lv mk mr ms nl "  # noqa: SIM905
    "no pl pt ro ru sk sl sr sv ta te th tl tr uk vi xh zh zu".split()
)
"""What Nova-3 tells apart: a hint at any other is a refusal of the connection."""

_FINALIZE, _KEEP_ALIVE, _CLOSE_STREAM = (
    json.dumps({"type": kind}) for kind in ("Finalize", "KeepAlive", "CloseStream")
)


@dataclass(frozen=True, slots=True)
class _Segment:
    """Words that will not change any more, or of the open segment, that may."""

    text: str
    confidence: float | None
    language: str | None

    @property
    def words(self) -> int:
        return len(self.text.split())


@dataclass(slots=True, eq=False)
class _Utterance:
    """``begins`` and ``flushed_at`` in seconds of the stream."""

    number: int
    begins: float
    segments: list[_Segment] = field(default_factory=list)
    open_segment: _Segment | None = None
    flushed_at: float = -1.0
    answer: Transcribed | None = None

    def told(self, *, final: bool, whole: bool = True) -> Transcribed:
        """``whole``: with the words that may still change."""
        segments = [*self.segments, self.open_segment] if whole and self.open_segment else self.segments
        spoken = [segment for segment in segments if segment.text]
        return Transcribed(
            self.number,
            " ".join(segment.text for segment in spoken),
            final,
            _most_spoken(spoken),
            _mean_confidence(spoken),
        )


class DeepgramDialect:
    """A ``Dialect`` and ``Patient``.

    The vendor cuts the stream into segments; those that are final are joined. An utterance of ours ends
    one, because a ``Finalize`` goes out with each flush. Its answer is known when final segments reach the
    place of the flush. When none does, because too little audio was left, the vendor's own judgement that
    nobody spoke for a while will do, and in the end what is known by then.
    """

    cuts: bool = True
    keep_alive_after: float | None = KEEP_ALIVE_AFTER
    patience = PATIENCE

    def __init__(self, name: str, account: Account, model: str, languages: Sequence[str]) -> None:
        self.name = name
        self.url = f"{account.socket_url}/v1/listen?{urlencode(_query(model, languages), doseq=True)}"
        self.headers: Mapping[str, str] = {"Authorization": f"Token {account.key}"}
        self._sent = len(LEAD_IN)
        self._flushed_to = self._sent
        self._final_to = 0.0
        self._utterances: deque[_Utterance] = deque(maxlen=8)
        self._flushes: Flushes[_Utterance] = Flushes()

    # --- to the vendor ---------------------------------------------------------------------------

    def opened(self) -> Iterable[Wire]:
        return [LEAD_IN]

    def start(self, utterance: int) -> Iterable[Wire]:
        self._utterances.append(_Utterance(utterance, self._sent / RATE))
        if self._sent == self._flushed_to:
            return []
        self._flushed_to = self._sent
        return [_FINALIZE]  # no segment shall hold words of two utterances

    def audio(self, audio: bytes) -> Iterable[Wire]:
        self._sent += len(audio)
        return [audio]

    def flush(self) -> Iterable[Wire]:
        if not self._utterances:
            return []
        utterance = self._utterances[-1]
        self._flushed_to = self._sent
        utterance.flushed_at = self._sent / RATE
        utterance.answer = None
        self._flushes.add(utterance, utterance.flushed_at, begins=utterance.begins)
        return [_FINALIZE]

    def keep_alive(self) -> Iterable[Wire]:
        return [_KEEP_ALIVE]

    def closing(self) -> Iterable[Wire]:
        return [_CLOSE_STREAM]

    # --- from the vendor -------------------------------------------------------------------------

    def overdue(self) -> Iterable[Transcribed]:
        return list(self._answer(self._flushes.overdue(), whole=True))

    def received(self, message: Wire) -> Iterable[Transcribed]:
        try:
            said = json.loads(message)
            match said["type"]:
                case "Results":
                    return list(self._results(said))
                case "UtteranceEnd":
                    silent_to = float(said["last_word_end"]) + _UTTERANCE_END_MS / 1000
                    return list(self._answer(self._flushes.covered(silent_to, slack=_NEARLY), whole=True))
                case "Error":
                    raise ProviderError(
                        f"{self.name}: {said.get('variant', 'Error')}",
                        retryable=False,
                        trouble=Trouble.REJECTED,
                        provider=self.name,
                    )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise ProviderError(
                f"{self.name}: a message that is not as documented ({type(error).__name__})",
                retryable=True,
                trouble=Trouble.BAD_FORMAT,
                provider=self.name,
            ) from error
        return []

    def _results(self, said: Mapping[str, Any]) -> Iterator[Transcribed]:
        start, duration = float(said["start"]), float(said["duration"])
        alternatives = said["channel"]["alternatives"]
        best = alternatives[0] if alternatives else {"transcript": ""}
        segment = _Segment(
            str(best["transcript"]).strip(), _number(best.get("confidence")), _first(best.get("languages"))
        )
        utterance = self._utterance_at(start + duration / 2)
        if not said.get("is_final"):
            if utterance is not None and start >= self._final_to - _NEARLY:
                utterance.open_segment = segment
                yield from self._news_of(utterance, final=False)
            return
        if duration and start + duration <= self._final_to:
            return  # told before
        self._final_to = end = start + duration
        if utterance is not None:
            utterance.open_segment = None
            utterance.segments.append(segment)
        # what the vendor takes for all it got, or for followed by silence, may lack a little of the flush
        slack = _ENDPOINTING_MS / 1000 if said.get("from_finalize") or said.get("speech_final") else _NEARLY
        answered = self._flushes.covered(end, slack=slack)
        yield from self._answer(answered, whole=False)
        if utterance is not None and utterance not in answered:
            yield from self._news_of(utterance, final=end <= utterance.flushed_at + slack)

    def _utterance_at(self, moment: float) -> _Utterance | None:
        """None for the silence before the first."""
        return next((found for found in reversed(self._utterances) if found.begins <= moment), None)

    def _answer(self, utterances: Iterable[_Utterance], *, whole: bool) -> Iterator[Transcribed]:
        for utterance in utterances:
            utterance.answer = utterance.told(final=True, whole=whole)
            yield utterance.answer

    def _news_of(self, utterance: _Utterance, *, final: bool) -> Iterator[Transcribed]:
        """``final``: words from before a flush that was answered without them are its answer, too."""
        if final and utterance.answer is not None:
            told = utterance.told(final=True, whole=False)
            if told.text != utterance.answer.text:
                utterance.answer = told
                yield told
        elif utterance is self._utterances[-1]:
            told = utterance.told(final=False)
            if told.text:
                yield told


@dataclass(frozen=True, slots=True)
class DeepgramHearing:
    """A ``Hearing``: each call has a connection of its own."""

    name: str
    account: Account
    model: str

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        return SocketEars(DeepgramDialect(self.name, self.account, self.model, languages))


def hearing(name: str, models: Models) -> DeepgramHearing:
    """For the registry: ``deepgram``, or ``deepgram:`` and a model. Raises ``Unconfigured``."""
    account = models.accounts["deepgram"]
    secure(account.socket_url)
    return DeepgramHearing(name, account, name.partition(":")[2] or DEFAULT_MODEL)


def _query(model: str, languages: Sequence[str]) -> dict[str, str | int | list[str]]:
    query: dict[str, str | int | list[str]] = {
        "model": model,
        "encoding": "mulaw",
        "sample_rate": RATE,
        "channels": 1,
        "interim_results": "true",
        "smart_format": "true",
        "vad_events": "true",
        "endpointing": _ENDPOINTING_MS,
        "utterance_end_ms": _UTTERANCE_END_MS,
    }
    if len(languages) > 1 and _hears_several(model, languages):
        query["language"] = "multi"
        if model in ("nova-3", "nova-3-general"):
            query["language_hint"] = [language for language in languages if _base(language) in _MULTILINGUAL]
    elif languages:
        query["language"] = languages[0]
    return query


def _base(language: str) -> str:
    return language.partition("-")[0].lower()


def _hears_several(model: str, languages: Sequence[str]) -> bool:
    """Nova-3 tells 55 languages apart, Nova-2 English and Spanish; older models hear one that is named."""
    return model.startswith("nova-3") or (model.startswith("nova-2") and set(languages) <= {"en", "es"})


def _most_spoken(segments: Sequence[_Segment]) -> str | None:
    words: dict[str, int] = {}
    for segment in segments:
        if segment.language is not None:
            words[segment.language] = words.get(segment.language, 0) + segment.words
    return max(words, key=lambda language: words[language]) if words else None


def _mean_confidence(segments: Sequence[_Segment]) -> float | None:
    known = [(segment.confidence, segment.words) for segment in segments if segment.confidence is not None]
    words = sum(count for _, count in known)
    return sum(confidence * count for confidence, count in known) / words if words else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _first(languages: object) -> str | None:
    """Of BCP-47 tags, the most frequent first, to ISO 639-1."""
    if isinstance(languages, list) and languages:
        return str(languages[0]).partition("-")[0].lower()
    return None
