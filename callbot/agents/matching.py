"""What did the caller mean: utterances ranked against examples, by embedding and by words.

E5's cosines of any two sentences lie close together, so that they are centred first: the mean of all
examples is taken out of every vector, and what is left tells sentences apart. The words that an
utterance shares with an example (rare ones count more) and the phrases written for a topic are added
as evidence. Everything that is not ours competes too: commands, documents, and sentences about
things that no business desk knows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbot.agents.flows import Flow
from callbot.agents.knowledge import Documents
from callbot.agents.ranking import Candidate, Found, Ranking, Topic
from callbot.agents.thought import Retrieved
from callbot.agents.wording import contains, without, words
from callbot.providers.ports import Embedder

Key = tuple[Topic, str]


@dataclass(frozen=True, slots=True)
class Weights:
    """How evidence adds up. The values are measured on the table of utterances in the tests."""

    nearest: float = 0.9
    average: float = 0.1
    shared_words: float = 0.5
    phrase: float = 0.22
    floor: float = 0.30
    margin: float = 0.05


@dataclass(frozen=True, slots=True)
class _Example:
    key: Key
    text: str
    words: tuple[str, ...]


class Understanding:
    """Ranks utterances for one flow and its documents. Built once, shared by all calls; read only.

    Building embeds every example, which takes about 15 ms each, and ranking one utterance: both
    block, call them in a thread.
    """

    def __init__(
        self,
        flow: Flow,
        documents: Documents,
        embedder: Embedder,
        *,
        kept: Embedder | None = None,
        weights: Weights = Weights(),
    ) -> None:
        """``kept`` embeds the examples instead, from a file; what callers say never goes through it."""
        self._embedder = embedder
        self._weights = weights
        self._documents = documents
        self._fillers = frozenset(words(filler) for filler in flow.fillers)
        self._examples = tuple(
            _Example(key, text, self._content(text)) for key, text in _examples(flow, documents)
        )
        self._phrases = {
            key: tuple(words(phrase) for phrase in phrases)
            for key, phrases in _phrases(flow, documents).items()
        }
        vectors = (kept or embedder).embed([example.text for example in self._examples], query=True)
        self._mean = vectors.mean(axis=0)
        self._vectors = self._centred(vectors)
        self._rows: dict[Key, list[int]] = defaultdict(list)
        for row, example in enumerate(self._examples):
            self._rows[example.key].append(row)
        little = {word: 0.0 for text in flow.function_words for word in words(text)}
        self._rarity = _rarity([example.words for example in self._examples]) | little

    def rank(self, text: str) -> Ranking:
        """Every topic with its score, best first."""
        said = self._content(text)
        vector = self._centred(self._embedder.embed([text], query=True))[0]
        likeness = self._vectors @ vector
        shared = np.array([self._shared(said, example.words) for example in self._examples])
        candidates = [
            self._candidate(key, rows, said, words(text), likeness, shared)
            for key, rows in self._rows.items()
        ]
        candidates.sort(key=lambda item: (-item.literal, -item.score))
        best = candidates[0]
        second = candidates[1].score if len(candidates) > 1 else -1.0
        return Ranking(
            tuple(candidates),
            fits=best.topic is not Topic.NOTHING and (best.literal or best.score >= self._weights.floor),
            clear=best.literal or best.score - second >= self._weights.margin,
        )

    def find(self, query: str, passage: str = "") -> Found | None:
        """The passage called ``passage``, or else the one that answers ``query`` best, and how well it
        does; None when there are no documents."""
        documents = [item for item in self.rank(query).candidates if item.topic is Topic.DOCUMENT]
        best = next((item for item in documents if passage in ("", item.name)), None)
        if best is None:
            return None
        answer = self._documents.passages[best.name].answer
        return Found(self._documents.name, best.name, answer, round(best.score, 3))

    def retrieve(self, query: str, most: int = 2) -> tuple[Retrieved, ...]:
        """The passages that may answer ``query``, best first, as the documents say them."""
        if not self._documents.passages:
            return ()
        documents = [item for item in self.rank(query).candidates if item.topic is Topic.DOCUMENT]
        passages = self._documents.passages
        return tuple(
            Retrieved(
                self._documents.name,
                item.name,
                passages[item.name].title,
                passages[item.name].text,
                round(item.score, 3),
            )
            for item in documents[:most]
        )

    def _candidate(
        self,
        key: Key,
        rows: list[int],
        said: tuple[str, ...],
        all_words: tuple[str, ...],
        likeness: NDArray[np.float32],
        shared: NDArray[np.float64],
    ) -> Candidate:
        weights = self._weights
        near = np.sort((likeness + weights.shared_words * shared)[rows])[::-1]
        score = weights.nearest * float(near[0]) + weights.average * float(near[:3].mean())
        phrases = self._phrases.get(key, ())
        literal = any(item in (said, all_words) for item in phrases)
        phrase = literal or any(
            contains(all_words, item) or contains(said, item) for item in phrases if not self._is_filler(item)
        )
        return Candidate(key[0], key[1], score + weights.phrase * phrase, phrase, literal)

    def _is_filler(self, phrase: tuple[str, ...]) -> bool:
        """A phrase of nothing but fillers ("hello") counts only when it is all that was said."""
        return phrase in self._fillers or all((word,) in self._fillers for word in phrase)

    def _content(self, text: str) -> tuple[str, ...]:
        return without(words(text), self._fillers)

    def _centred(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = vectors - self._mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.maximum(length, 1e-6), dtype=np.float32)

    def _shared(self, said: tuple[str, ...], example: tuple[str, ...]) -> float:
        """How much of the rarer words two sentences share, 0..1 (a weighted cosine)."""
        common = sum(self._rarity[word] ** 2 for word in set(said) & set(example))
        if not common:
            return 0.0
        return common / math.sqrt(self._weight(said) * self._weight(example))

    def _weight(self, sentence: tuple[str, ...]) -> float:
        unseen = max(self._rarity.values())
        return sum(self._rarity.get(word, unseen) ** 2 for word in set(sentence))


def _examples(flow: Flow, documents: Documents) -> Iterator[tuple[Key, str]]:
    for intent in flow.intents.values():
        yield from (((Topic.INTENT, intent.name), text) for text in intent.examples)
    for command in flow.commands.values():
        yield from (((Topic.COMMAND, command.name), text) for text in command.examples)
    for passage in documents.passages.values():
        texts = (*passage.questions, passage.text)
        yield from (((Topic.DOCUMENT, passage.name), text) for text in texts)
    yield from (((Topic.NOTHING, ""), text) for text in flow.out_of_scope)


def _phrases(flow: Flow, documents: Documents) -> dict[Key, tuple[str, ...]]:
    return {
        **{(Topic.DOCUMENT, item.name): item.phrases for item in documents.passages.values()},
        **{(Topic.INTENT, item.name): item.phrases for item in flow.intents.values()},
        **{(Topic.COMMAND, item.name): item.phrases for item in flow.commands.values()},
    }


def _rarity(sentences: list[tuple[str, ...]]) -> dict[str, float]:
    """Word -> inverse document frequency over the examples."""
    counts = Counter(word for sentence in sentences for word in set(sentence))
    return {word: math.log(1 + len(sentences) / count) for word, count in counts.items()}
