from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from callbot.media_stream.playback import Clip, Playback, clips
from callbot.providers.ports import WordTime


def clip(text: str, *, turn: int = 1, word_seconds: float = 0.5) -> Clip:
    words = text.split()
    times = tuple(WordTime(w, i * word_seconds, (i + 1) * word_seconds) for i, w in enumerate(words))
    return Clip(turn, text, b"\xff" * round(len(words) * word_seconds * 8000), times)


def test_a_clip_is_heard_when_its_mark_comes_back() -> None:
    playback = Playback()
    first = playback.send(clip("one two"), 0.0)
    second = playback.send(clip("three four"), 0.1)
    assert (first.plays_at, second.plays_at) == (0.0, 1.0)
    assert playback.heard(1) == ""
    assert playback.marked(first.mark, 1.0)
    assert playback.heard(1) == "one two"
    assert playback.marked(second.mark, 2.0)
    assert playback.heard(1) == "one two three four"
    assert not playback.playing


def test_a_mark_that_was_lost_is_made_good_by_the_next_one() -> None:
    playback = Playback()
    playback.send(clip("one"), 0.0)
    second = playback.send(clip("two"), 0.0)
    assert playback.marked(second.mark, 1.0)
    assert playback.heard(1) == "one two"


def test_clear_counts_only_words_that_had_time_to_end() -> None:
    playback = Playback()
    playback.send(clip("one two three four"), 10.0)
    cut = playback.clear(11.2)
    assert playback.heard(1) == "one two"
    assert [c.text for c in cut.rest] == ["three four"]


def test_what_is_resumed_starts_at_the_beginning_of_the_word_that_was_cut() -> None:
    playback = Playback()
    playback.send(clip("one two three"), 0.0)
    playback.send(clip("four five"), 0.0)
    rest = playback.clear(0.7).rest
    assert [c.text for c in rest] == ["two three", "four five"]
    assert len(rest[0].audio) == 8000
    assert rest[0].words[0].start == 0.0
    for part in rest:
        last = playback.send(part, 1.0)
    playback.marked(last.mark, 3.0)
    assert playback.heard(1) == "one two three four five"


def test_marks_flushed_by_clear_prove_nothing() -> None:
    playback = Playback()
    sent = playback.send(clip("never heard"), 0.0)
    playback.clear(0.1)
    assert not playback.marked(sent.mark, 0.11)
    assert playback.heard(1) == ""


def test_a_mark_tells_when_the_next_clip_really_begins() -> None:
    playback = Playback()
    first = playback.send(clip("one two"), 0.0)
    playback.send(clip("three four"), 0.0)
    playback.marked(first.mark, 1.4)  # the carrier was 0.4 s late
    playback.clear(2.0)
    assert playback.heard(1) == "one two three"


def test_a_clip_without_words_is_heard_whole_or_not_at_all() -> None:
    playback = Playback()
    playback.send(Clip(1, "some words", b"\xff" * 8000), 0.0)
    cut = playback.clear(0.9)
    assert playback.heard(1) == ""
    assert [c.text for c in cut.rest] == ["some words"]


def test_turns_are_counted_apart() -> None:
    playback = Playback()
    a = playback.send(clip("one", turn=1), 0.0)
    b = playback.send(clip("two", turn=3), 0.0)
    assert playback.turn == 1
    playback.marked(a.mark, 0.5)
    assert playback.turn == 3
    playback.marked(b.mark, 1.0)
    assert (playback.heard(1), playback.heard(3)) == ("one", "two")


def test_marks_that_never_come_are_made_up_for() -> None:
    playback = Playback()
    playback.send(clip("one"), 0.0)
    playback.lapse(5.0)
    assert playback.heard(1) == "one"
    assert playback.remaining(5.0) == 0.0


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_cutting_a_sentence_loses_neither_audio_nor_words(lengths: list[int]) -> None:
    words, at = [], 0.0
    for i, length in enumerate(lengths):
        words.append(WordTime(f"w{i}", at, at + length * 0.05))
        at += length * 0.05 + 0.02
    audio = bytes(i % 251 for i in range(round(at * 8000)))
    parts = clips(1, "ignored", audio, words)
    assert b"".join(part.audio for part in parts) == audio
    assert [w.word for part in parts for w in part.words] == [w.word for w in words]
    assert all(len(part.audio) >= 0.4 * 8000 - 2 for part in parts) or len(parts) == 1


class Ledger(RuleBasedStateMachine):
    """A carrier that plays what it is sent, against the ledger that believes only marks."""

    def __init__(self) -> None:
        super().__init__()
        self.playback = Playback()
        self.now = 0.0
        self.intended: list[str] = []
        self.queue: list[tuple[str, Clip]] = []
        self.played_to = 0.0
        self.counter = 0

    @rule(words=st.integers(1, 6), gap=st.floats(0, 1))
    def send(self, words: int, gap: float) -> None:
        self.now += gap
        self._play()
        text = " ".join(f"w{self.counter + i}" for i in range(words))
        self.counter += words
        self.intended += text.split()
        piece = clip(text, word_seconds=0.25)
        if not self.queue:
            self.played_to = self.now
        self.queue.append((self.playback.send(piece, self.now).mark, piece))

    @rule(passed=st.floats(0, 3))
    def wait(self, passed: float) -> None:
        self.now += passed
        self._play()

    @precondition(lambda self: self.queue)
    @rule(resume=st.booleans())
    def clear(self, resume: bool) -> None:
        self._play()
        rest = self.playback.clear(self.now).rest
        for mark, _ in self.queue:  # the carrier flushes the marks
            assert not self.playback.marked(mark, self.now)
        self.queue = []
        if resume:
            self.played_to = self.now
            self.queue = [(self.playback.send(part, self.now).mark, part) for part in rest]
        else:
            unheard = sum(len(part.text.split()) for part in rest)
            del self.intended[len(self.intended) - unheard :]

    def _play(self) -> None:
        while self.queue and self.played_to + len(self.queue[0][1].audio) / 8000 <= self.now:
            mark, piece = self.queue.pop(0)
            self.played_to += len(piece.audio) / 8000
            assert self.playback.marked(mark, self.played_to)

    @invariant()
    def heard_is_a_prefix_of_what_was_intended(self) -> None:
        heard = self.playback.heard(1).split()
        assert heard == self.intended[: len(heard)]

    @invariant()
    def the_ledger_knows_whether_something_plays(self) -> None:
        assert self.playback.playing == bool(self.queue)


TestLedger = Ledger.TestCase
