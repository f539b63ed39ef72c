"""TwiML: a document becomes verbs, and an interpreter says what the call does next.

"TwiML for Programmable Voice" is the reference. What the exchange does not perform (``<Dial>``,
``<Gather>``...) is refused as loudly as what does not exist: a test must not pass because the exchange
shrugged.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element

from callbot.exchange.errors import TwimlError

NOT_XML, NOT_TWIML = 12100, 12200
STREAM_REFUSED, BAD_TRACK = 31920, 31941
LONGEST_PARAMETER = 500
MOST_DOCUMENTS = 100
"""A call that is redirected more often than this is going in a circle."""


@dataclass(frozen=True, slots=True)
class Say:
    text: str
    voice: str = ""
    language: str = ""
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """A sound file, or ``digits`` played as tones (``w`` waits half a second)."""

    url: str = ""
    digits: str = ""
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """``url`` is relative to the document's; empty is the document itself."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class Stream:
    """``<Connect><Stream>``: both ways, until one side closes it."""

    url: str
    name: str = ""
    track: str = "inbound_track"
    parameters: Mapping[str, str] = field(default_factory=dict)


Verb = Say | Play | Pause | Redirect | Hangup | Reject | Stream


@dataclass(frozen=True, slots=True)
class Document:
    """What to do, in order. ``oddities`` are attributes that no verb has: logged as 12200, ignored."""

    verbs: tuple[Verb, ...]
    oddities: tuple[str, ...] = ()


# --- reading a document --------------------------------------------------------------------------

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "Response": frozenset(),
    "Say": frozenset({"voice", "language", "loop"}),
    "Play": frozenset({"loop", "digits"}),
    "Pause": frozenset({"length"}),
    "Redirect": frozenset({"method"}),
    "Hangup": frozenset(),
    "Reject": frozenset({"reason"}),
    "Connect": frozenset({"action", "method"}),
    "Stream": frozenset({"url", "name", "track", "statusCallback", "statusCallbackMethod"}),
    "Parameter": frozenset({"name", "value"}),
}


def parse(text: str) -> Document:
    """The document's verbs; ``TwimlError`` when it is not XML (12100) or not TwiML (12200)."""
    if "<!DOCTYPE" in text:
        raise TwimlError(NOT_XML, "a document type declaration is not allowed; remove <!DOCTYPE ...>")
    try:
        root = ElementTree.fromstring(text.strip().encode())
    except ElementTree.ParseError as error:
        raise TwimlError(NOT_XML, f"document parse failure: {error}") from error
    if root.tag != "Response":
        raise TwimlError(NOT_TWIML, f"the document's element is <{root.tag}>, it must be <Response>")
    if root.text and root.text.strip():
        raise TwimlError(NOT_TWIML, f"text outside a verb: {root.text.strip()[:40]!r}; write <Say>...</Say>")
    return Document(tuple(_verb(element) for element in root), tuple(_oddities(root)))


def _oddities(root: Element) -> Iterable[str]:
    for element in root.iter():
        known = _ATTRIBUTES.get(element.tag)
        for name in element.attrib if known is not None else ():
            if name not in (known or ()):
                yield f"<{element.tag}> has no attribute {name}"


def _verb(element: Element) -> Verb:
    read = _VERBS.get(element.tag)
    if read is None:
        raise TwimlError(
            NOT_TWIML, f"<{element.tag}> is not a verb of this exchange; it knows {', '.join(sorted(_VERBS))}"
        )
    return read(element)


def _say(element: Element) -> Say:
    text = " ".join("".join(element.itertext()).split())
    if not text:
        raise TwimlError(NOT_TWIML, "<Say> has no text")
    return Say(text, element.get("voice", ""), element.get("language", ""), _loop(element))


def _play(element: Element) -> Play:
    _no_children(element)
    url, digits = _text(element), element.get("digits", "")
    if bool(url) == bool(digits):
        raise TwimlError(NOT_TWIML, "<Play> needs either a URL or digits")
    if re.fullmatch(r"[0-9A-D*#wW]*", digits) is None:
        raise TwimlError(NOT_TWIML, f"<Play digits={digits!r}> may hold 0-9, A-D, *, # and w")
    return Play(url, digits, _loop(element))


def _pause(element: Element) -> Pause:
    _no_children(element)
    length = element.get("length", "1")
    if re.fullmatch(r"\d{1,5}", length) is None:
        raise TwimlError(NOT_TWIML, f"<Pause length={length!r}> must be a number of seconds")
    return Pause(float(length))


def _redirect(element: Element) -> Redirect:
    _no_children(element)
    method = element.get("method", "POST").upper()
    if method not in ("GET", "POST"):
        raise TwimlError(NOT_TWIML, f"<Redirect method={method!r}> must be GET or POST")
    return Redirect(_text(element), method)


def _hangup(element: Element) -> Hangup:
    _no_children(element)
    return Hangup()


def _reject(element: Element) -> Reject:
    _no_children(element)
    reason = element.get("reason", "rejected")
    if reason not in ("rejected", "busy"):
        raise TwimlError(NOT_TWIML, f"<Reject reason={reason!r}> must be rejected or busy")
    return Reject(reason)


def _connect(element: Element) -> Stream:
    children = list(element)
    if len(children) != 1 or children[0].tag != "Stream":
        raise TwimlError(NOT_TWIML, "<Connect> must hold exactly one <Stream>")
    stream = children[0]
    url = stream.get("url", "")
    if not url:
        raise TwimlError(NOT_TWIML, "<Stream> needs a url")
    parameters: dict[str, str] = {}
    for child in stream:
        if child.tag != "Parameter" or "name" not in child.attrib or "value" not in child.attrib:
            raise TwimlError(NOT_TWIML, '<Stream> may only hold <Parameter name="..." value="..."/>')
        name, value = child.attrib["name"], child.attrib["value"]
        if len(name) + len(value) >= LONGEST_PARAMETER:
            raise TwimlError(
                NOT_TWIML, f"<Parameter name={name[:40]!r}>: name and value must stay under 500 characters"
            )
        parameters[name] = value
    return Stream(url, stream.get("name", ""), stream.get("track", "inbound_track"), parameters)


_VERBS: Mapping[str, Callable[[Element], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
    "Connect": _connect,
}


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _loop(element: Element) -> int:
    loop = element.get("loop", "1")
    if re.fullmatch(r"\d{1,4}", loop) is None:
        raise TwimlError(NOT_TWIML, f"<{element.tag} loop={loop!r}> must be a number; 0 is for ever")
    return int(loop)


def _no_children(element: Element) -> None:
    if len(element):
        raise TwimlError(NOT_TWIML, f"<{element.tag}> cannot hold <{element[0].tag}>")


# --- performing it -------------------------------------------------------------------------------


class EndedBy(StrEnum):
    CALLER = "caller"
    BOT = "bot"
    CARRIER = "carrier"


@dataclass(frozen=True, slots=True)
class DocumentFetched:
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """No document: the webhook could not be reached or did not answer with one."""

    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class VerbFinished:
    pass


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The bot closed the socket, or it was lost (``error`` 31903, 31924) or never opened (31901, 31920)."""

    error: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FarSideHungUp:
    pass


@dataclass(frozen=True, slots=True)
class TimeUp:
    """The call has lasted as long as a call may."""


Event = DocumentFetched | FetchFailed | VerbFinished | StreamClosed | FarSideHungUp | TimeUp


@dataclass(frozen=True, slots=True)
class Fetch:
    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Perform:
    """Do this now and report ``VerbFinished`` (a stream: ``StreamClosed``)."""

    verb: Say | Play | Pause | Stream


@dataclass(frozen=True, slots=True)
class End:
    """The call is over. ``rejected`` is ``<Reject>``'s reason when the call was never answered."""

    ended_by: EndedBy
    detail: str = ""
    rejected: str = ""


Step = Fetch | Perform | End


@dataclass(slots=True)
class Interpreter:
    """Walks a call through its documents, one step at a time.

    ``begin`` gives the first step; each event gives the next. ``warnings`` collects the carrier's codes
    with their reasons, in order.
    """

    url: str
    answered: bool = False
    warnings: list[tuple[int, str]] = field(default_factory=list)
    _verbs: list[Verb] = field(default_factory=list)
    _documents: int = 0
    _stream_failed: str = ""
    _ended: End | None = None

    def begin(self) -> Step:
        return Fetch(self.url)

    def handle(self, event: Event) -> Step:
        if self._ended is not None:
            return self._ended
        step = self._handle(event)
        if isinstance(step, End):
            self._ended = step
        return step

    def _handle(self, event: Event) -> Step:
        match event:
            case FarSideHungUp():
                return End(EndedBy.CALLER, "hung up")
            case TimeUp():
                return End(EndedBy.CARRIER, "the longest time that a call may last is over")
            case FetchFailed(code, detail):
                return self._fail(code, detail)
            case DocumentFetched(url, text):
                return self._read(url, text)
            case StreamClosed(error, detail):
                self._stream_failed = ""
                if error:
                    self._stream_failed = f"{error}: {detail}"
                    self.warnings.append((error, detail))
                return self._next()
            case VerbFinished():
                return self._next()

    def _read(self, url: str, text: str) -> Step:
        self._documents += 1
        if self._documents > MOST_DOCUMENTS:
            return self._fail(NOT_TWIML, f"redirected {MOST_DOCUMENTS} times; the documents go in a circle")
        self.url = url
        try:
            document = parse(text)
        except TwimlError as error:
            return self._fail(error.code, str(error).partition(": ")[2])
        self.warnings += [(NOT_TWIML, oddity) for oddity in document.oddities]
        self._verbs = list(document.verbs)
        return self._next()

    def _next(self) -> Step:
        if not self._verbs:
            return self._hang_up("no verb follows")
        verb = self._verbs.pop(0)
        match verb:
            case Redirect(url, method):
                return Fetch(urljoin(self.url, url) if url else self.url, method)
            case Reject(reason) if not self.answered:
                return End(EndedBy.BOT, f"<Reject reason={reason!r}>", rejected=reason)
            case Hangup() | Reject():
                self.answered = True
                return self._hang_up("<Hangup>")
            case Stream():
                self.answered = True
                return self._connect(verb)
            case Say() | Play():
                self.answered = True
                return Perform(verb)
            case Pause():
                return Perform(verb)

    def _connect(self, stream: Stream) -> Step:
        url = urlsplit(_as_socket(urljoin(self.url, stream.url)))
        if stream.track != "inbound_track":
            return self._handle(StreamClosed(BAD_TRACK, f"track {stream.track!r} in <Connect>"))
        if url.scheme not in ("ws", "wss") or not url.netloc:
            return self._handle(StreamClosed(STREAM_REFUSED, f"{stream.url!r} is not a wss URL"))
        if url.query or url.fragment:
            detail = f"{stream.url!r} has a query string; pass values as <Parameter>"
            return self._handle(StreamClosed(STREAM_REFUSED, detail))
        return Perform(replace(stream, url=url.geturl()))

    def _hang_up(self, detail: str) -> End:
        if self._stream_failed:
            return End(EndedBy.CARRIER, f"{detail} after {self._stream_failed}")
        return End(EndedBy.BOT, detail)

    def _fail(self, code: int, detail: str) -> End:
        self.warnings.append((code, detail))
        return End(EndedBy.CARRIER, f"{code}: {detail}")


def _as_socket(url: str) -> str:
    """A relative ``<Stream url>`` was resolved against a web page: the same place, over WebSocket."""
    scheme, colon, rest = url.partition(":")
    return {"http": "ws", "https": "wss"}.get(scheme, scheme) + colon + rest
