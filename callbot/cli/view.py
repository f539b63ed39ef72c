"""A call as it happens, on a terminal: the transcript runs up, what is being said stays below.

Where the output is not a terminal the same lines come out plain, one per turn.

A caller's line waits below until what follows it is known: a caller who only paused goes on in the same
turn, and that is told again, longer.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from callbot.agents.brain import Cited, Did
from callbot.conversation.effects import (
    ClearAudio,
    Effect,
    HandedOff,
    HangUp,
    ReleaseReply,
    SayMeanwhile,
    StartReply,
    StopReply,
    TurnEnded,
)
from callbot.conversation.events import Acted, CallStarted, Event, Meant, Told
from callbot.conversation.transcript import Turn
from callbot.media_stream.vad import SpeechStarted, SpeechStopped
from callbot.providers.accounting import Failed
from callbot.providers.ports import Transcribed

COLOURS = ("cyan", "magenta", "yellow", "blue")
WIDTH_OF_CLOCK = 8
WIDTH_OF_NAME = 18


class CallView:
    """Watch one call: pass ``observe`` to the session, use as a context manager."""

    def __init__(self, console: Console) -> None:
        self.titles: Mapping[str, str] = {}
        """Agents' names to what callers know them as."""
        self._console = console
        self._colours: dict[str, str] = {}
        self._partial = ""
        self._speaking = False
        self._saying: list[str] = []
        self._agent = ""
        self._ahead: int | None = None
        """The turn of a reply that nobody may ever hear, and what became known of it."""
        self._news_ahead: list[Event] = []
        self._asked: Turn | None = None
        """The caller's turn that is not printed yet."""
        self._since: list[tuple[float, str]] = []
        """Notes that belong below it."""
        self._printed: Turn | None = None
        """The caller's turn that was printed last."""
        self._live = Live(console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._complete()
        self._live.stop()

    def observe(self, call_sid: str, now: float, news: Event | Effect) -> None:
        """Take one event or effect of the call."""
        match news:
            case StartReply(turn, ahead=True):
                self._ahead, self._news_ahead = turn, []
                return
            case ReleaseReply(turn) if turn == self._ahead:
                self._released(call_sid, now)
            case StopReply(turn, unheard=True) if turn == self._ahead:
                self._ahead = None
                return
            case Meant(turn) | Acted(turn) if turn == self._ahead:
                self._news_ahead.append(news)
                return
            case Told(Failed() as failed):
                self._note(now, _failure(failed))
            case SayMeanwhile():
                return
            case CallStarted(agent):
                self._note(now, f"the call is answered by {self._name(agent)}")
            case SpeechStarted():
                self._speaking = True
            case SpeechStopped():
                self._speaking = False
            case Transcribed(text=text):
                self._partial = text
            case StartReply(agent=agent):
                self._agent, self._saying, self._partial = agent, [], ""
            case Meant(text=text):
                self._saying.append(text)
            case ClearAudio():
                self._note(now, "the caller speaks: we fall silent")
            case Acted(action=Did(tool, _, result, changed)) if changed:
                self._complete()
                self._note(now, f"{tool.replace('_', ' ')}: {_short(result)}")
            case Acted(action=Cited(document, passage)):
                name = (passage or document).replace("_", " ")
                self._note(now, f"answered from the document {name!r}")
            case TurnEnded(turn) if turn.who == "caller":
                self._heard(turn)
            case TurnEnded(turn):
                self._complete()
                self._answered(turn)
            case HandedOff(handoff):
                self._complete()
                packet = handoff.packet
                givers = f"{self._name(packet.from_agent)} hands over to {self._name(packet.to_agent)}"
                self._note(now, f"{givers}: {packet.reason}")
            case HangUp(disposition, by, _):
                self._complete()
                self._note(now, f"the call is over: {disposition}, ended by the {by}")
            case _:
                return
        self._refresh()

    def _released(self, call_sid: str, now: float) -> None:
        """What was thought while the caller might have gone on is the answer."""
        self._ahead, self._saying, self._partial = None, [], ""
        news, self._news_ahead = self._news_ahead, []
        for each in news:
            self.observe(call_sid, now, each)

    # --- what is complete ------------------------------------------------------------------------

    def _heard(self, turn: Turn) -> None:
        """The caller's turn is over, unless they go on."""
        self._partial = ""
        if self._asked is not None and self._asked.number == turn.number:
            self._since.clear()  # of an answer that began too early and was not heard
        else:
            self._complete()
        self._asked = turn

    def _complete(self) -> None:
        """What follows the caller's turn is here: print it."""
        turn, self._asked = self._asked, None
        if turn is None:
            return
        before = self._printed
        text = turn.text
        if before is not None and before.number == turn.number:
            text = f"… {turn.text.removeprefix(before.text).strip()}"
        self._print(turn.start, Text("caller", "bold green"), Text(text))
        self._printed = turn
        since, self._since = self._since, []
        for at, words in since:
            self._note(at, words)

    def _answered(self, turn: Turn) -> None:
        agent = turn.agent or ""
        text = self._as_heard(turn)
        if turn.response_ms is not None:
            text.append(f"  {turn.response_ms} ms", "dim")
        self._print(turn.start, Text(self._name(agent), "bold " + self._colour(agent)), text)
        self._saying = []

    def _as_heard(self, turn: Turn) -> Text:
        if not turn.interrupted:
            return Text(turn.text)
        heard, meant = (turn.heard or "").split(), turn.text.split()
        text = Text(" ".join(heard))
        if unheard := " ".join(meant[len(heard) :]):
            text.append(f" [cut; not heard: {unheard}]", "dim strike" if self._console.is_terminal else "")
        return text

    def _note(self, now: float, words: str) -> None:
        if self._asked is not None:
            self._since.append((now, words))
        else:
            self._print(now, Text(), Text(f"· {words}", "dim"))

    def _print(self, at: float, name: Text, words: Text) -> None:
        if self._console.is_terminal:
            self._console.print(_row(_clock(at), name, words), highlight=False)
            return
        clock, who = f"{_clock(at):<{WIDTH_OF_CLOCK - 2}}", f"{name.plain:<{WIDTH_OF_NAME - 2}}"
        self._console.print(Text(f"{clock}  {who}  {words.plain}"), soft_wrap=True, highlight=False)

    # --- what is going on ------------------------------------------------------------------------

    def _refresh(self) -> None:
        if not self._live.is_started:
            return
        rows: list[RenderableType] = []
        if self._asked is not None:
            caller = Text("caller", "bold green")
            rows.append(_row(_clock(self._asked.start), caller, Text(self._asked.text)))
        if self._saying:
            name = Text(self._name(self._agent), self._colour(self._agent))
            rows.append(_row("   ...", name, Text(" ".join(self._saying), "italic")))
        if self._partial or self._speaking:
            words = Text(self._partial or "(speaking)", "italic")
            rows.append(_row("   ...", Text("caller", "green"), words))
        self._live.update(Group(*rows))

    def _name(self, agent: str) -> str:
        title = self.titles.get(agent)
        return f"{title} ({agent})" if title else agent

    def _colour(self, agent: str) -> str:
        return self._colours.setdefault(agent, COLOURS[len(self._colours) % len(COLOURS)])


def _row(clock: str, name: Text, words: Text) -> Table:
    """One line; long words go on below their beginning."""
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(min_width=WIDTH_OF_CLOCK - 2, no_wrap=True, style="dim")
    row.add_column(min_width=WIDTH_OF_NAME - 2, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(Text(clock), name, words)
    return row


def _failure(failed: Failed) -> str:
    provider = failed.provider.partition(":")[0]
    if failed.instead == failed.provider:
        return f"{provider} failed ({failed.trouble}) and is asked again"
    after = f"{failed.instead.partition(':')[0]} goes on" if failed.instead else "there is nobody else"
    return f"{provider} failed ({failed.trouble}): {after}"


def _clock(seconds: float) -> str:
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def _short(result: Mapping[str, object]) -> str:
    return ", ".join(
        f"{key} {value}" for key, value in result.items() if isinstance(value, str | int | float)
    )
