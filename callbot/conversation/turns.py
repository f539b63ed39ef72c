"""The two turns that can be open at once: the caller's, and the agent's reply."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from callbot.agents.brain import Action, Answer, EndCall, Expect, HandOff, Nudge, Request, TakeOver
from callbot.conversation import completeness
from callbot.conversation.completeness import Said
from callbot.conversation.effects import Phrase
from callbot.conversation.rules import TurnRules
from callbot.conversation.transcript import Turn
from callbot.media_stream.playback import Clip
from callbot.providers.ports import Transcribed

BLIP = 0.08
"""Sound shorter than this, in seconds, is a click and not a word."""


_UNHEARD_EDGES = 0.3
"""Seconds at both ends of a sound, together, that a detector may not count as speech."""


class Mishearing(StrEnum):
    """What is noticed of the caller's turns."""

    FORCED_FINAL = "forced_final"
    """No final came, and what was known was answered."""
    LATE_FINAL = "late_final_merged"
    """It came when its turn was over."""
    DEAF = "stt_deaf"
    """Speech, and nobody heard a word of it: the caller was asked to say it again."""
    PHANTOM = "phantom_dropped"
    """Sound, and no words in it."""
    BACKCHANNEL = "backchannel"
    """Words that do not take the floor."""
    RESUMED = "resumed"
    """We had stopped for it, and went on where we were."""
    ECHO = "echo_suppressed"
    """Our own voice."""
    BARGE_IN = "barge_in"
    """Words that took the floor: what of our reply the caller did not hear was cut."""
    LANGUAGE = "language_switched"
    """They speak another one, and another agent takes over."""


@dataclass(slots=True)
class CallerTurn:
    """The caller has the floor, or is taking it."""

    utterance: int
    started: float
    stopped: float | None = None
    """When they last fell silent; None while they speak."""
    pausing: float | None = None
    """The last sound before what may be silence, or only a dip in the sound."""
    early: Transcribed | None = None
    """The final of that, for which the recogniser was asked at once."""
    text: str = ""
    heard_at: float = 0.0
    """When the recogniser last told of it..."""
    confidence: float | None = None
    """...and how sure it was."""
    final: bool = False
    turn_over: float | None = None
    """How sure the recogniser is that the turn is over."""
    hummed: bool | None = None
    """Every look at the sound said that the mouth is closed; None before the first."""
    echo: bool = False
    """Some of what was recognised is our own voice; it is not in ``text``."""
    digits: str = ""
    keyed_at: float = 0.0
    hearing: bool = True
    lost: bool = False
    """The recognisers failed, and nobody hears it."""
    looked_at: float = 0.0
    """When we last looked whether the turn was over, and could not hear it."""
    judged: tuple[str, Expect, str, Said] | None = None
    """What the words looked like when they were last looked at, and after which question."""

    @property
    def speaking(self) -> bool:
        return self.stopped is None

    @property
    def known(self) -> bool:
        """The recogniser has told of it since the last sound: before, it cannot have heard the last word."""
        last_sound = self.pausing if self.stopped is None else self.stopped
        return last_sound is not None and self.heard_at >= last_sound

    @property
    def blip(self) -> bool:
        """So short and wordless that it cannot have been speech."""
        return self.stopped is not None and self.stopped - self.started < BLIP and not self.text

    def speaks_on(self) -> None:
        """It was not the end."""
        self.stopped = self.pausing = self.early = self.turn_over = None
        self.final = False

    def look_again(self, rules: TurnRules, now: float) -> bool:
        """Their turn would be over, had we heard their silence. Whether that is to be waited for."""
        if not self.hearing or self.stopped is None or now >= self.stopped + rules.unheard_for:
            return False
        self.looked_at = now
        return True

    def only_hummed(self, rules: TurnRules) -> bool:
        """A short hum: whatever words a recogniser makes of it, it was "mhm"."""
        if not self.hummed or self.stopped is None:
            return False
        return self.stopped - self.started < rules.hold_hum

    def ended_within(self, seconds: float, moment: float) -> bool:
        """The caller's last sound was so soon after ``moment``, or before."""
        return self.stopped is not None and self.stopped <= moment + seconds

    def half_heard(self, rules: TurnRules) -> bool:
        """What is known is not worth an answer: the recogniser itself hardly believes it, or they spoke on
        for long and nothing was heard of that."""
        if not self.text or self.stopped is None:
            return False
        if self._hardly_believed(rules):
            return True
        return not self.final and self.stopped - max(self.heard_at, self.started) >= rules.half_heard

    def phantom(self, rules: TurnRules) -> bool:
        """Nobody said these words: the sound was short, and the recogniser itself hardly believes them, or
        there are more of them than fit into it."""
        if not self.text or self.stopped is None:
            return False
        seconds = self.stopped - self.started
        letters = sum(letter.isalnum() for letter in self.text)
        too_many = letters > rules.most_letters * (seconds + _UNHEARD_EDGES)
        return seconds < rules.short_sound and (too_many or self._hardly_believed(rules))

    def _hardly_believed(self, rules: TurnRules) -> bool:
        return self.confidence is not None and self.confidence < rules.least_confidence

    def sound(self) -> dict[str, float]:
        """What there was to hear, for the records."""
        found: dict[str, float] = {}
        if self.stopped is not None:
            found["sound_ms"] = round((self.stopped - self.started) * 1000)
        if self.confidence is not None:
            found["confidence"] = round(self.confidence, 2)
        return found

    def wordless(self, rules: TurnRules) -> bool:
        """No word was heard where there must have been some."""
        if self.text or self.digits or self.echo or self.stopped is None:
            return False
        return self.lost or (not self.hummed and self.stopped - self.started >= rules.wordless_speech)

    def ends_at(self, rules: TurnRules, expect: Expect, language: str) -> float | None:
        """When the turn is over if nothing else happens; None while the caller speaks."""
        if self.digits:
            return self.keyed_at + rules.keys_end_after
        if self.stopped is None:
            return None
        if not self.final:
            wait = rules.forced_final_after if self.text else rules.wait(Said.NOTHING, expect.what)
            return self.stopped + wait
        return self.stopped + rules.wait(self.said(expect, language), expect.what, self.turn_over)

    def said(self, expect: Expect, language: str) -> Said:
        """What the words so far look like. It is asked after every event until the turn is over."""
        if self.judged is None or self.judged[:3] != (self.text, expect, language):
            said = completeness.said(self.text, expect.what, expect.complete, language)
            self.judged = (self.text, expect, language, said)
        return self.judged[3]


@dataclass(slots=True)
class AgentTurn:
    """A reply: asked for, being made, being heard."""

    number: int
    agent: str
    request: Request | Phrase
    asked_at: float
    """When its brain was."""
    answers: float | None = None
    """When the caller's speech that this answers ended."""
    sentences: list[str] = field(default_factory=list)
    held: deque[Clip] = field(default_factory=deque)
    """Ready and not sent: the caller is speaking, or may be."""
    meant_at: float | None = None
    """When its first sentence was there..."""
    spoke_at: float | None = None
    """...and the first sound of it."""
    first_sent: float | None = None
    last_news: float = 0.0
    paused: bool = False
    paused_at: float = 0.0
    cut: float = 0.0
    """When that was, and how many seconds of what had been sent were not played for it."""
    done: bool = False
    failed: bool = False
    changed: bool = False
    """A tool of it has changed data: it cannot be taken back."""
    hand_off: HandOff | None = None
    given_at: float = 0.0
    """When that was decided."""
    ending: EndCall | None = None
    acted: list[Action] = field(default_factory=list)
    """What the brain did while the caller's turn was not over yet: it is done when it is."""
    waiting_since: float = 0.0
    """The caller's last sound, or ours."""
    steps: int = 0
    """How often the caller was asked for patience since then."""
    words_sent: int = 0
    fillers: list[tuple[int, str]] = field(default_factory=list)
    """What was said meanwhile, and after how many words of the reply."""

    def means(self, sentence: str, now: float) -> None:
        """Its next sentence is there."""
        self.sentences.append(sentence)
        self.last_news = now
        if self.meant_at is None:
            self.meant_at = now

    def speaks(self, clip: Clip, now: float) -> bool:
        """Its next sound is there. Whether it is the first."""
        self.held.append(clip)
        self.last_news = now
        first = self.spoke_at is None
        if first:
            self.spoke_at = now
        return first

    def take_back(self, rest: Sequence[Clip]) -> None:
        """So much of what was sent has not been heard: it is to be sent again, but for what was said
        meanwhile."""
        unheard = [clip for clip in rest if not clip.filler]
        self.held.extendleft(reversed(unheard))
        self.words_sent -= sum(len(clip.text.split()) for clip in unheard)
        if cut := sum(len(clip.text.split()) for clip in rest if clip.filler):
            place, text = self.fillers.pop()
            if heard := text.split()[:-cut]:
                self.fillers.append((place, " ".join(heard)))

    def turn(self, now: float, *, heard: str, interrupted: bool) -> Turn:
        """What it was, now that it is over."""
        response = None
        if self.answers is not None and self.first_sent is not None:
            response = round((self.first_sent - self.answers) * 1000)
        return Turn(
            self.number,
            "agent",
            self.text,
            now if self.first_sent is None else self.first_sent,
            now,
            agent=self.agent,
            heard=heard,
            interrupted=interrupted,
            response_ms=response,
        )

    @property
    def text(self) -> str:
        """All that was to be said, in its order."""
        words = " ".join(self.sentences).split()
        for place, filler in reversed(self.fillers):
            words[place:place] = filler.split()
        return " ".join(words)

    @property
    def nudge(self) -> bool:
        return isinstance(self.request, Nudge)

    @property
    def silent(self) -> bool:
        """Nothing of it has been sent."""
        return self.first_sent is None

    @property
    def answered(self) -> str:
        """The caller's words that this reply was asked to answer."""
        match self.request:
            case Answer(text):
                return text
            case TakeOver(packet):
                return packet.pending
        return ""
