"""What of a text is not for the ear: Markdown's marks, code, JSON, tags, tool calls.

A mask of the text's own length, so that every written word keeps its place.
"""

import re

_SILENT = (
    re.compile(r"```.*?(?:```|\Z)", re.DOTALL),
    re.compile(
        r"<(tool_call|function_call|function|tool|think|thinking|invoke)\b.*?(?:</\1>|\Z)", re.DOTALL | re.I
    ),
    re.compile(r"<\|.*?\|>", re.DOTALL),
    re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL),
    re.compile(r"</?[a-zA-Z][^<>]*>"),
    re.compile(r"\[/?(?:tool|function|TOOL)[^\]]*\]"),
    re.compile(r"!\[[^\]]*\]\([^)]*\)"),
    re.compile(r"(?<=\])\((?:https?:|mailto:|tel:|/|#|www\.)[^)\s]*\)"),
    re.compile(r"(?<=\])\([^)\s]*\.[^)\s]*\)"),
    re.compile(r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+[ \t]*:?-*:?[ \t]*$", re.MULTILINE),
    re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE),
    re.compile(r"^[ \t]*(?:#{1,6}|>+|[-*+•])(?=[ \t])", re.MULTILINE),
    re.compile(r"(?<=[-*+] )\[[ xX]\](?=[ \t])"),
    re.compile(r"~~"),
    re.compile(r"\b(?:functions|tools)\.\w+\([^)]*\)?"),
)
_JSON_START = re.compile(r"[{\[]\s*(?:[\"'{\[]|[\w-]+\s*:|\Z)|\{\s*\}")
_TABLE_ROW = re.compile(r"^([ \t]*\|)(.*?)(\|?)(?=[ \t]*$)", re.MULTILINE)
_STRUCTURED_LINE = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]|>|[-*+•][ \t]|\d+[.)][ \t]|\|).*?(?=[ \t|]*$)", re.MULTILINE
)
_TAG = re.compile(r"<(/?)(?:tool_call|function_call|function|tool|think|thinking|invoke)\b", re.I)
_OPEN_CALL = re.compile(r"\b(?:(?:functions|tools)\.\w+|\w+_\w+)\([^)]*\Z|<\|(?:(?!\|>).)*\Z", re.DOTALL)
SILENCE = "\0"


def masked(text: str) -> str:
    """``text`` with every character that must not be spoken replaced by ``SILENCE`` (white space stays)."""
    hidden = bytearray(len(text))
    for start, end in _json_spans(text):
        hidden[start:end] = b"\1" * (end - start)
    for pattern in _SILENT:
        for match in pattern.finditer(text):
            hidden[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    characters = [
        SILENCE if hide and not character.isspace() else character
        for character, hide in zip(text, hidden, strict=True)
    ]
    return _without_table_bars("".join(characters))


def _without_table_bars(text: str) -> str:
    """A table's row without its outer bars; those between cells are read as pauses."""
    return _TABLE_ROW.sub(
        lambda match: match[1].replace("|", SILENCE) + match[2] + SILENCE * len(match[3]), text
    )


def ends_of_lines(text: str) -> list[int]:
    """Where headings, list items, quotes and rows of ``text`` end: a voice pauses there."""
    return [match.end() for match in _STRUCTURED_LINE.finditer(text)]


def _json_spans(text: str) -> list[tuple[int, int]]:
    """Objects and lists in ``text``; one that is never closed reaches to the end."""
    spans: list[tuple[int, int]] = []
    place = 0
    while match := _JSON_START.search(text, place):
        end = _closing(text, match.start())
        if text[match.start()] == "[" and text[end : end + 1] == "(":
            place = match.start() + 1  # a link whose words are quoted
            continue
        spans.append((match.start(), end))
        place = end
    return spans


def _closing(text: str, start: int) -> int:
    """Where the bracket at ``start`` is closed, just past it; the end of ``text`` if it is not."""
    depth = 0
    quoted = False
    place = start
    while place < len(text):
        character = text[place]
        if character == "\\" and quoted:
            place += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "{[":
            depth += 1
        elif not quoted and character in "}]":
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    return len(text)


def is_open(text: str) -> bool:
    """Whether ``text`` ends within code, JSON, a tag or a call that more text may close."""
    return opened_at(text) < len(text)


def opened_at(text: str) -> int:
    """Where what is not closed yet begins in ``text``; its length when nothing is open."""
    starts = [len(text)]
    if not any(sign in text for sign in "{[<`("):
        return len(text)
    if text.count("```") % 2:
        starts.append(text.rindex("```"))
    starts += [start for start, end in _json_spans(text) if end == len(text) and _unclosed(text[start:])]
    opened: list[int] = []
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened.append(tag.start())
        elif opened:
            opened.pop()
    starts += opened[:1]
    if call := _OPEN_CALL.search(text):
        starts.append(call.start())
    return min(starts)


def _unclosed(span: str) -> bool:
    return _closing(span + " ", 0) == len(span) + 1
