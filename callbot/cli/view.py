"""A call as it happens, on a terminal: the transcript runs up, the sentence being said stays below.

Where the output is not a terminal the same lines come out plain, one per turn.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from callbot.agents.brain import Cited, Did
from callbot.conversation.effects import ClearAudio, Effect, HandedOff, HangUp, StartReply, TurnEnded
from callbot.conversation.events import Acted, CallStarted, Event, Meant
from callbot.conversation.transcript import Turn
from callbot.media_stream.vad import SpeechStarted, SpeechStopped
from callbot.providers.ports import Transcribed

COLOURS = ("cyan", "magenta", "yellow", "blue")
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
        self._live = Live(console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def observe(self, call_sid: str, now: float, news: Event | Effect) -> None:
        """Take one event or effect of the call."""
        match news:
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
                self._note(now, f"{tool.replace('_', ' ')}: {_short(result)}")
            case Acted(action=Cited(document)):
                self._note(now, f"answered from the document {document!r}")
            case TurnEnded(turn):
                self._turn(turn)
            case HandedOff(handoff):
                packet = handoff.packet
                givers = f"{self._name(packet.from_agent)} hands over to {self._name(packet.to_agent)}"
                self._note(now, f"{givers}: {packet.reason}")
            case HangUp(disposition, by):
                self._note(now, f"the call is over: {disposition}, ended by the {by}")
            case _:
                return
        self._refresh()

    def _turn(self, turn: Turn) -> None:
        line = Text()
        line.append(f"{_clock(turn.start)}  ", "dim")
        if turn.who == "caller":
            line.append(f"{'caller':<{WIDTH_OF_NAME}}", "bold green")
            line.append(turn.text)
            self._partial = ""
        else:
            agent = turn.agent or ""
            line.append(f"{self._name(agent):<{WIDTH_OF_NAME}}", "bold " + self._colour(agent))
            line.append_text(self._as_heard(turn))
            if turn.response_ms is not None:
                line.append(f"  {turn.response_ms} ms", "dim")
            self._saying = []
        self._print(line)

    def _as_heard(self, turn: Turn) -> Text:
        heard = turn.heard or ""
        if not turn.interrupted:
            return Text(turn.text)
        text = Text(heard)
        unheard = turn.text.removeprefix(heard).strip()
        if unheard:
            text.append(f" [cut; not heard: {unheard}]", "dim strike" if self._console.is_terminal else "")
        return text

    def _note(self, now: float, words: str) -> None:
        self._print(Text(f"{_clock(now)}  {'':<{WIDTH_OF_NAME}}· {words}", "dim"))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=not self._console.is_terminal, highlight=False)

    def _refresh(self) -> None:
        if not self._live.is_started:
            return
        rows = []
        if self._saying:
            rows.append(
                Text.assemble(
                    ("   ...  ", "dim"),
                    (f"{self._name(self._agent):<{WIDTH_OF_NAME}}", self._colour(self._agent)),
                    (" ".join(self._saying), "italic"),
                )
            )
        if self._partial or self._speaking:
            rows.append(
                Text.assemble(
                    ("   ...  ", "dim"),
                    (f"{'caller':<{WIDTH_OF_NAME}}", "green"),
                    (self._partial or "(speaking)", "italic"),
                )
            )
        self._live.update(Group(*rows))

    def _name(self, agent: str) -> str:
        title = self.titles.get(agent)
        return f"{title} ({agent})" if title else agent

    def _colour(self, agent: str) -> str:
        return self._colours.setdefault(agent, COLOURS[len(self._colours) % len(COLOURS)])


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _short(result: Mapping[str, object]) -> str:
    return ", ".join(
        f"{key} {value}" for key, value in result.items() if isinstance(value, str | int | float)
    )
