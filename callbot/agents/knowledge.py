"""The documents an agent may answer from: short passages, each with the answer as it is spoken."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callbot.agents import yaml_source
from callbot.agents.templates import sentences
from callbot.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Passage:
    """``text`` is what the document says, ``answer`` what the agent says, one sentence each, and
    ``questions`` are ways in which callers ask for it, ``phrases`` words that give it away."""

    name: str
    title: str
    text: str
    answer: tuple[str, ...]
    questions: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Documents:
    """One set of passages in one language; ``name`` is what agents call it by."""

    name: str
    language: str
    passages: Mapping[str, Passage]


NO_DOCUMENTS = Documents("", "", {})


def load(path: Path) -> Documents:
    """Read a file of passages. Raises ``ConfigurationError`` with file and line."""
    source = yaml_source.read(path)
    yaml_source.check_shape(source, "documents")
    passages = {
        name: Passage(
            name=name,
            title=entry["title"],
            text=entry["text"],
            answer=spoken(entry["answer"]),
            questions=tuple(entry.get("questions", ())),
            phrases=tuple(entry.get("phrases", ())),
        )
        for name, entry in source.data["passages"].items()
    }
    if not passages:
        raise ConfigurationError(f"{source.at(('passages',))}: there are no passages; write at least one")
    return Documents(path.stem, source.data["language"], passages)


def spoken(text: str | list[str]) -> tuple[str, ...]:
    """Written text, a string or a list of them, as one sentence each."""
    parts = [text] if isinstance(text, str) else text
    return tuple(sentence for part in parts for sentence in sentences(part))
