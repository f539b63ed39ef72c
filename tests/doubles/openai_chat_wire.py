"""An answer as OpenAI sends it: chunks of chat completions, events of responses, or whole."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

CREATED: Final = 1_790_000_000
_FRAGMENT: Final = 5
"""Characters of a tool call's arguments that come at once."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function the model wants called; ``arguments`` is JSON."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says to one request."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    ending: str = ""
    """``length`` or ``content_filter``; it is ``stop`` or ``tool_calls`` else."""
    refusal: bool = False
    """``text`` is a refusal, which stands in a field of its own."""
    fails: str = ""
    """After the text the server fails with this code, and says so in the stream."""
    thinks: bool = False
    """An item of reasoning comes first (responses only)."""
    whole: bool = False
    """Calls come one after the other, not interleaved."""

    @property
    def finish(self) -> str:
        return self.ending or ("tool_calls" if self.calls else "stop")


def tokens(text: str) -> list[str]:
    """Words, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def count(text: str) -> int:
    """Tokens, as one would guess them."""
    return -(-len(text) // 4)


def written(answer: Answer) -> int:
    """In tokens."""
    return count(answer.text) + sum(count(call.name + call.arguments) for call in answer.calls)


@dataclass(frozen=True, slots=True)
class Usage:
    read: int
    cached: int
    written: int

    @property
    def chat(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.read,
            "completion_tokens": self.written,
            "total_tokens": self.read + self.written,
            "prompt_tokens_details": {
                "cached_tokens": self.cached,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    @property
    def responses(self) -> dict[str, Any]:
        return {
            "input_tokens": self.read,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.read + self.written,
        }


def _fragments(text: str) -> list[str]:
    return [text[at : at + _FRAGMENT] for at in range(0, len(text), _FRAGMENT)]


def as_chat(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A request for a response as the same one for a chat completion, for one ``think`` to answer both."""
    given = asked.get("input") or ()
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = [{"role": "system", "content": asked.get("instructions") or ""}, *map(_as_message, items)]
    tools = [
        {"type": "function", "function": {name: tool[name] for name in tool if name != "type"}}
        for tool in asked.get("tools") or ()
    ]
    return {**asked, "messages": messages, "tools": tools}


def _as_message(item: Mapping[str, Any]) -> dict[str, Any]:
    match item.get("type"):
        case "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            calls = [{"id": item["call_id"], "type": "function", "function": function}]
            return {"role": "assistant", "content": None, "tool_calls": calls}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
        case _:
            return {"role": item["role"], "content": item["content"]}


# --- chat completions --------------------------------------------------------------------------------


def chat_chunks(
    answer: Answer, asked: Mapping[str, Any], usage: Usage, *, number: int, local: bool
) -> Iterator[dict[str, Any]]:
    """Every chunk, the role's first; ``[DONE]`` is the server's to send."""
    with_usage = not local and bool((asked.get("stream_options") or {}).get("include_usage"))
    head = {
        "id": f"chatcmpl-{number:06}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": asked["model"],
    }
    if not local:
        head |= {"service_tier": "default", "system_fingerprint": None}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice]} | ({"usage": None} if with_usage else {})

    yield chunk({"role": "assistant", "content": None if answer.calls and not answer.text else ""})
    field = "refusal" if answer.refusal else "content"
    yield from (chunk({field: token}) for token in tokens(answer.text))
    if answer.fails:
        yield {"error": {"message": "The server had an error.", "type": "server_error", "code": answer.fails}}
        return
    if local and answer.calls:
        yield chunk({"tool_calls": [_local_call(call) for call in answer.calls]})
    elif answer.calls:
        yield from (chunk({"tool_calls": [piece]}) for piece in _call_pieces(answer, number))
    yield chunk({}, answer.finish)
    if with_usage:
        yield {**head, "choices": [], "usage": usage.chat}


def _local_call(call: Call) -> dict[str, Any]:
    """Whole, with no id and no index, and its arguments are an object: the worst that is about."""
    return {"function": {"name": call.name, "arguments": json.loads(call.arguments)}}


def _call_pieces(answer: Answer, number: int) -> Iterator[dict[str, Any]]:
    streams = []
    for index, call in enumerate(answer.calls):
        first = {
            "index": index,
            "id": f"call_{number:06}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        rest = [
            {"index": index, "function": {"arguments": fragment}} for fragment in _fragments(call.arguments)
        ]
        streams.append([first, *rest])
    rounds = streams if answer.whole else zip_longest(*streams)
    yield from (piece for pieces in rounds for piece in pieces if piece)


def chat_whole(
    answer: Answer, asked: Mapping[str, Any], usage: Usage, *, number: int, local: bool
) -> dict[str, Any]:
    """The body that is no stream."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.refusal else answer.text or None,
        "refusal": answer.text if answer.refusal else None,
    }
    if answer.calls:
        message["tool_calls"] = [
            _local_call(call)
            if local
            else {
                "id": f"call_{number:06}_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(answer.calls)
        ]
    return {
        "id": f"chatcmpl-{number:06}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}],
        "usage": usage.chat,
    }


# --- responses ---------------------------------------------------------------------------------------


def _items(answer: Answer, number: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thinks:
        items.append({"id": f"rs_{number:06}", "type": "reasoning", "summary": []})
    if answer.text:
        part = (
            {"type": "refusal", "refusal": answer.text}
            if answer.refusal
            else {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        )
        items.append(
            {
                "id": f"msg_{number:06}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    items.extend(
        {
            "id": f"fc_{number:06}_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{number:06}_{index}",
            "name": call.name,
            "arguments": call.arguments,
        }
        for index, call in enumerate(answer.calls)
    )
    return items


def response_whole(answer: Answer, asked: Mapping[str, Any], usage: Usage, *, number: int) -> dict[str, Any]:
    """The body that is no stream, and what the last event holds."""
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.ending)
    return {
        "id": f"resp_{number:06}",
        "object": "response",
        "created_at": CREATED,
        "status": "failed" if answer.fails else "incomplete" if reason else "completed",
        "error": {"code": answer.fails, "message": "The server had an error."} if answer.fails else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": {},
        "model": asked["model"],
        "output": _items(answer, number),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": asked.get("store", True),
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": asked.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if answer.fails else usage.responses,
    }


def response_events(
    answer: Answer, asked: Mapping[str, Any], usage: Usage, *, number: int
) -> Iterator[dict[str, Any]]:
    """Every event, numbered."""
    for sequence, event in enumerate(_events(answer, asked, usage, number)):
        yield {"type": event.pop("type"), "sequence_number": sequence, **event}


def _events(answer: Answer, asked: Mapping[str, Any], usage: Usage, number: int) -> Iterator[dict[str, Any]]:
    whole = response_whole(answer, asked, usage, number=number)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "error": None}
    begun["incomplete_details"] = None
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index}
        match item["type"]:
            case "reasoning":
                yield {"type": "response.output_item.added", **place, "item": item}
            case "message":
                empty = {**item, "status": "in_progress", "content": []}
                yield {"type": "response.output_item.added", **place, "item": empty}
                yield from _text_events(
                    {**place, "item_id": item["id"], "content_index": 0}, item["content"][0]
                )
            case "function_call":
                empty = {**item, "status": "in_progress", "arguments": ""}
                yield {"type": "response.output_item.added", **place, "item": empty}
                place["item_id"] = item["id"]
                for fragment in _fragments(item["arguments"]):
                    yield {"type": "response.function_call_arguments.delta", **place, "delta": fragment}
                yield {
                    "type": "response.function_call_arguments.done",
                    **place,
                    "name": item["name"],
                    "arguments": item["arguments"],
                }
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _text_events(place: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = part["type"]
    key = "refusal" if kind == "refusal" else "text"
    logprobs = {} if kind == "refusal" else {"logprobs": []}
    yield {"type": "response.content_part.added", **place, "part": {**part, key: ""}}
    for token in tokens(part[key]):
        yield {"type": f"response.{kind}.delta", **place, "delta": token, **logprobs}
    yield {"type": f"response.{kind}.done", **place, key: part[key], **logprobs}
    yield {"type": "response.content_part.done", **place, "part": part}
