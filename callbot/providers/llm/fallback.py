"""A language model made of models: when one fails, the next answers, or finishes the answer."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Mending, Most, Port, Report, Unit, Used
from callbot.providers.breaker import Breakers
from callbot.providers.budget import UNLIMITED, Allowance
from callbot.providers.chain import Attempts, Chain
from callbot.providers.deadlines import LLM, Deadlines, in_time
from callbot.providers.llm.continuing import Continuation, WholeWords
from callbot.providers.ports import (
    Ending,
    Finished,
    LanguageModel,
    Message,
    Piece,
    Prompt,
    Role,
    Speech,
    TokenUsage,
    ToolCall,
    Words,
)

GO_ON: Final = (
    "Your answer broke off there, and the caller has heard it so far. Go on with the very next word, as if "
    "nothing had happened; repeat none of it."
)
CHARACTERS_A_TOKEN: Final = 4
FEWEST_BYTES_A_TOKEN: Final = 3
"""In UTF-8, for what a prompt may cost at most: JSON, names and figures have shorter tokens than prose, and
other scripts have fewer characters in one."""
TOKENS_AROUND: Final = 8
"""A message, or a tool, has so many besides its text, at most."""
AUDIO_TOKENS_A_CHARACTER: Final = {Role.CALLER: 0.7, Role.AGENT: 1.4}
"""For a model that hears and speaks by itself: 10 tokens a second of the caller, 20 of its own voice, at the
pace of speech, 15 characters a second."""


class FallbackModel:
    """A ``LanguageModel`` that holds some, the preferred one first.

    Made for each call, which is told by ``report``; ``breakers`` are the process's, and ``allowance`` is
    asked before each request, for ``most_used``.

    Words come whole: half a word is held back until its end comes, so that what breaks off can be gone on
    with. A tool call that was given out is never given out again: what breaks after one is finished as it is,
    for the asker goes on with the call's result anyway. ``TOO_LONG`` is raised, for it is the asker who can
    make the prompt shorter.

    ``Used`` is what the vendor told. When it told nothing, because the stream was cut, the caller
    interrupted, the first token never came or the server does not count, it is an estimate by the length of
    the text, four characters a token, with nothing in the vendor's cache.
    """

    def __init__(
        self,
        models: Sequence[LanguageModel],
        *,
        breakers: Breakers,
        report: Report,
        allowance: Allowance = UNLIMITED,
        deadlines: Deadlines = LLM,
    ) -> None:
        self.name = models[0].name
        self._deadlines = deadlines
        self._report = report
        self._chain: Chain[LanguageModel] = Chain(
            Port.LLM,
            {model.name: model for model in models},
            breakers=breakers,
            report=report,
            allowance=allowance,
        )

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        clock = asyncio.get_running_loop().time
        attempts = Attempts(self._chain, clock(), most_used(prompt))
        answer = _Answer(prompt)
        failed_at: float | None = None
        from_word = 1
        while True:
            try:
                async with aclosing(self._ask(attempts, answer)) as pieces:
                    async for piece in pieces:
                        if failed_at is not None:
                            attempts.mended(Mending.LLM_RESUMED, clock() - failed_at, from_word=from_word)
                            failed_at = None
                        attempts.goes_on(clock())
                        yield piece
                return
            except ProviderError as error:
                if error.trouble is Trouble.TOO_LONG:
                    raise
                attempts.most = most_used(answer.prompt())
                failed_at = clock() if failed_at is None else failed_at
                from_word = answer.words + 1
                if not attempts.failed(error, clock(), over=answer.called) and not answer.called:
                    raise
            if answer.called:
                yield Finished(Ending.TOOL_CALLS)
                return
            answer.begin_again()

    async def _ask(self, attempts: Attempts[LanguageModel], answer: "_Answer") -> AsyncGenerator[Piece]:
        prompt = answer.prompt()
        bill = _Bill(prompt)
        hold = attempts.hold()
        try:
            asked = attempts.provider.stream(prompt)
            in_turn = in_time(asked, self._deadlines, provider=attempts.name)
            async with aclosing(in_turn) as pieces:
                async for piece in pieces:
                    bill.note(piece)
                    for due in answer.take(piece):
                        yield due
                    if isinstance(piece, Finished):
                        break
                else:
                    raise _failure(attempts.name, Trouble.CUT, "the stream has no end")
            if answer.nothing:
                raise _failure(attempts.name, Trouble.EMPTY, "no word and no call")
        except ProviderError as error:
            bill.charged |= error.trouble is Trouble.SLOW
            raise
        finally:
            hold.release()
            for unit, tokens in bill.units():
                self._report(Used(Port.LLM, attempts.name, unit, tokens))
        attempts.answered()
        yield piece


def _failure(provider: str, trouble: Trouble, what: str) -> ProviderError:
    return ProviderError(f"{provider}: {what}", retryable=True, trouble=trouble, provider=provider)


class _Answer:
    """What was given out until now, whichever model it came from."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._said = ""
        self._whole = WholeWords()
        self._continuation = Continuation("")
        self.called = False

    @property
    def nothing(self) -> bool:
        return not self.called and not self._said.strip()

    @property
    def words(self) -> int:
        return len(self._said.split())

    def prompt(self) -> Prompt:
        """What to ask, so that what was said is gone on with."""
        if self.nothing:
            return self._prompt
        broken_off = (Message(Role.AGENT, self._said.strip()), Message(Role.NOTE, GO_ON))
        return replace(self._prompt, messages=(*self._prompt.messages, *broken_off))

    def begin_again(self) -> None:
        """Another model is asked. The half word that is held back is dropped: it says it whole."""
        self._whole = WholeWords()
        self._continuation = Continuation(self._said)

    def take(self, piece: Piece) -> list[Piece]:
        """What may be given out now; ``Finished`` is not among it."""
        if isinstance(piece, Words):
            return self._words(self._continuation.feed(self._whole.feed(piece.text)))
        if isinstance(piece, Speech):  # it cannot be taken apart
            self._said = f"{self._said} {piece.text}".strip()
            return [piece]
        rest = self._continuation.feed(self._whole.finish())
        if isinstance(piece, ToolCall):
            self.called = True
            return [*self._words(rest), piece]
        return self._words(rest + self._continuation.finish())

    def _words(self, text: str) -> list[Piece]:
        if self._said[-1:].isspace():
            text = text.lstrip(" ")
        self._said += text
        return [Words(text)] if text else []


class _Bill:
    """What one request to one model costs."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._written = 0
        self._usage: TokenUsage | None = None
        self.charged = False

    def note(self, piece: Piece) -> None:
        self.charged = True
        match piece:
            case Words(text) | Speech(text):
                self._written += len(text)
            case ToolCall(name=name, arguments=arguments):
                self._written += len(name) + len(arguments)
            case Finished(usage=usage):
                self._usage = usage

    def units(self) -> list[tuple[Unit, float]]:
        """Nothing for a request that was refused."""
        if not self.charged:
            return []
        usage = self._usage or TokenUsage(
            _length(self._prompt) // CHARACTERS_A_TOKEN, 0, -(-self._written // CHARACTERS_A_TOKEN)
        )
        units = [
            (Unit.TOKENS_READ, usage.read - usage.cached),
            (Unit.TOKENS_CACHED, usage.cached),
            (Unit.TOKENS_WRITTEN, usage.written),
            (Unit.AUDIO_TOKENS_READ, usage.audio_read - usage.audio_cached),
            (Unit.AUDIO_TOKENS_CACHED, usage.audio_cached),
            (Unit.AUDIO_TOKENS_WRITTEN, usage.audio_written),
        ]
        return [(unit, float(tokens)) for unit, tokens in units if tokens]


def most_used(prompt: Prompt) -> Most:
    """By whichever model answers it: all of the prompt, with nothing in a vendor's cache, and the longest
    answer that the prompt allows, as text and as audio."""
    size = sum(len(text.encode(errors="replace")) for text in _texts(prompt))
    messages = len(prompt.messages) + len(prompt.tools) + 1
    heard = sum(
        AUDIO_TOKENS_A_CHARACTER.get(message.role, 0.0) * len(message.text) for message in prompt.messages
    )
    return {
        Unit.TOKENS_READ: size / FEWEST_BYTES_A_TOKEN + TOKENS_AROUND * messages,
        Unit.TOKENS_WRITTEN: prompt.most_tokens,
        Unit.AUDIO_TOKENS_READ: heard,
        Unit.AUDIO_TOKENS_WRITTEN: prompt.most_tokens,
    }


def _length(prompt: Prompt) -> int:
    """In characters."""
    return sum(map(len, _texts(prompt)))


def _texts(prompt: Prompt) -> Iterator[str]:
    """All that a model reads of it."""
    yield prompt.instructions
    for tool in prompt.tools:
        yield from (tool.name, tool.description, json.dumps(tool.parameters, default=dict))
    for message in prompt.messages:
        yield message.text
        for call in message.calls:
            yield from (call.name, call.arguments)
