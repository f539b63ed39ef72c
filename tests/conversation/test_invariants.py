"""The turn machine under generated calls: whatever happens, in whatever order, these hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from callbot.agents.brain import Answer, Did, EndCall, Expect, Expecting, HandOff
from callbot.call import Disposition, EndedBy
from callbot.conversation.effects import (
    Effect,
    HangUp,
    ReleaseReply,
    SayMeanwhile,
    StartReply,
    StopReply,
)
from callbot.conversation.events import (
    Acted,
    Filled,
    HungUp,
    Meant,
    Pressed,
    ReplyFailed,
    ReplyFinished,
    Spoke,
)
from callbot.media_stream.vad import SpeechHeld, SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from callbot.providers.ports import Transcribed
from tests.conversation.script import Script, clip

WORDS = ("yes", "okay", "wait what about Saturday", "my number is", "I want to buy a router", "", "mhm")
SENTENCES = ("We open at eight in the morning.", "What is your number?", "One moment.")


class Call(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.script = Script()
        self.meant: dict[int, str] = {}
        self.finished: set[int] = set()
        self.speaking = False
        self.paused: float | None = None
        self.said: dict[int, str] = {}
        self.seen = 0
        self.filled = 0

    # --- the caller ---

    @precondition(lambda self: not self.speaking)
    @rule()
    def caller_starts(self) -> None:
        self.speaking = True
        self.script.tell(SpeechStarted(self.script.now))

    @precondition(lambda self: self.speaking and self.paused is None)
    @rule(held=st.sampled_from([0.064, 0.16, 0.32, 0.608, 0.992]), hum=st.booleans())
    def caller_goes_on(self, held: float, hum: bool) -> None:
        self.script.wait(0.1)
        self.script.tell(SpeechHeld(self.script.now, held, hum))

    @precondition(lambda self: self.speaking and self.paused is None)
    @rule(ago=st.floats(0.05, 0.2))
    def caller_pauses(self, ago: float) -> None:
        self.script.wait(0.2)
        self.paused = self.script.now - ago
        self.script.tell(SpeechPaused(self.paused))

    @precondition(lambda self: self.paused is not None)
    @rule()
    def caller_resumes(self) -> None:
        self.paused = None
        self.script.tell(SpeechResumed(self.script.now))

    @precondition(lambda self: self.speaking)
    @rule(ago=st.floats(0.05, 0.2))
    def caller_stops(self, ago: float) -> None:
        at, self.paused = self.paused, None
        self.speaking = False
        self.script.wait(0.2 if at is None else 0.06)
        self.script.tell(SpeechStopped(self.script.now - ago if at is None else at))

    @rule(text=st.sampled_from(WORDS), final=st.booleans(), back=st.integers(0, 2))
    def words_come(self, text: str, final: bool, back: int) -> None:
        utterance = self.script.conversation._utterance - back
        self.script.tell(Transcribed(utterance, text, final=final))

    @rule(digit=st.sampled_from("0123456789#"))
    def key(self, digit: str) -> None:
        self.script.tell(Pressed(digit))

    # --- the reply ---

    def newest(self) -> int:
        return self.script.turn

    @rule(sentence=st.sampled_from(SENTENCES), old=st.booleans())
    def reply_speaks(self, sentence: str, old: bool) -> None:
        turn = self.newest() - (2 if old else 0)
        if turn in self.finished:
            return
        self.script.tell(Meant(turn, sentence))
        self.script.tell(Spoke(turn, clip(turn, sentence)))
        self.meant[turn] = f"{self.meant.get(turn, '')} {sentence}".strip()

    @rule(
        action=st.sampled_from(
            [
                Expect(Expecting.YES_NO),
                Expect(Expecting.DIGITS, "phone", r"\d{7}"),
                HandOff("sales", "wants sales", "I want to buy"),
                EndCall(Disposition.RESOLVED),
                Did("find_order", {}, {}),
            ]
        )
    )
    def reply_acts(self, action: object) -> None:
        if self.newest() not in self.finished:
            self.script.tell(Acted(self.newest(), action))  # type: ignore[arg-type]

    @rule()
    def what_was_to_be_said_meanwhile_is_ready(self) -> None:
        asked = [effect for effect in self.script.effects if isinstance(effect, SayMeanwhile)]
        for effect in asked[self.filled :]:
            text = "One moment, please."
            self.script.tell(Filled(effect.turn, text, (clip(effect.turn, text),)))
        self.filled = len(asked)

    @rule(fails=st.booleans())
    def reply_ends(self, fails: bool) -> None:
        turn = self.newest()
        if turn not in self.finished:
            self.finished.add(turn)
            self.script.tell(ReplyFailed(turn, "broke") if fails else ReplyFinished(turn))

    # --- the line ---

    @rule(seconds=st.floats(0.01, 12))
    def time_passes(self, seconds: float) -> None:
        self.script.wait(seconds)

    @rule()
    def marks_are_lost(self) -> None:
        self.script.marks.clear()

    @rule(by=st.sampled_from(EndedBy))
    def hang_up(self, by: EndedBy) -> None:
        self.script.tell(HungUp(by))

    # --- what must hold ---

    @invariant()
    def heard_is_a_prefix_of_what_was_to_be_said(self) -> None:
        conversation = self.script.conversation
        texts = {turn.number: turn.text for turn in conversation.transcript.turns if turn.who == "agent"}
        if conversation._reply is not None:
            texts[conversation._reply.number] = conversation._reply.text
        for turn, text in texts.items():
            heard = conversation.playback.heard(turn).split()
            assert heard == text.split()[: len(heard)]

    @invariant()
    def every_turn_of_the_caller_is_answered_once(self) -> None:
        answers = [
            effect.turn
            for effect in self.script.effects
            if isinstance(effect, ReleaseReply)
            or (isinstance(effect, StartReply) and isinstance(effect.request, Answer) and not effect.ahead)
        ]
        assert len(answers) == len(set(answers))

    @invariant()
    def what_is_held_back_is_not_heard(self) -> None:
        conversation = self.script.conversation
        held = conversation._ahead.reply
        if held is not None:
            assert conversation._reply is None
            assert held.silent
            assert not conversation.playback.heard(held.number)

    @invariant()
    def at_most_one_reply_is_open(self) -> None:
        effects: list[Effect] = self.script.effects[self.seen :]
        self.seen = len(self.script.effects)
        for effect in effects:
            if isinstance(effect, StopReply):
                assert effect.turn <= self.newest()

    @invariant()
    def never_silent_and_waiting_for_ever(self) -> None:
        conversation = self.script.conversation
        if conversation.ended:
            return
        assert conversation.deadline is not None
        if not self.speaking:
            assert conversation.deadline <= self.script.now + 31

    @invariant()
    def the_end_comes_once(self) -> None:
        assert (
            sum(isinstance(effect, HangUp) for effect in self.script.effects)
            == self.script.conversation.ended
        )

    def teardown(self) -> None:
        """Left alone, every call ends by itself."""
        conversation, step = self.script.conversation, 0
        while not conversation.ended and step < 2000:
            step += 1
            before = len(self.script.effects)
            assert conversation.deadline is not None
            self.script.until(max(self.script.now, conversation.deadline) + 0.01)
            if any(isinstance(e, StartReply) for e in self.script.effects[before:]):
                self.script.tell(ReplyFailed(self.newest(), "nobody answers"))
        assert conversation.ended


TestCall = Call.TestCase
TestCall.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
