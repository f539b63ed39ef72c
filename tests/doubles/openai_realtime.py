"""One realtime conversation of OpenAI's (``?model=``): it hears, is asked for answers, and speaks them.

It keeps the conversation's items as the vendor does, and refuses what the vendor refuses: a second answer at
once, an item behind one that is not there, a truncation behind an answer's end, a voice once it has spoken,
audio in no known format. What it "thinks" is asked of the double's ``think`` with the conversation as
a chat request, in which spoken items are what ``hear`` makes of their audio: of an answer that was truncated,
only what is left of it.

The endpoint ``answers`` of the plan is one answer. Honoured: status and code (``response.done`` says
``failed``), delay, stall_after, cut_after, close_after, dribble, silent, empty and garbage; a piece is a
chunk of audio.
"""

import asyncio
import base64
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from callbot.providers import mulaw
from tests.doubles.openai_chat_wire import Answer, tokens
from tests.doubles.openai_transcription import (
    DEFAULTS,
    ItsSession,
    Refused,
    check_format,
    check_transcription,
    check_turn_detection,
    error_event,
    only,
)
from tests.doubles.plan import Fault

if TYPE_CHECKING:
    from aiohttp import web

    from tests.doubles.openai_speech import OpenAiSpeechDouble

MODELS: Final = frozenset({"gpt-realtime-2", "gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-1.5"})
VOICES: Final = frozenset(
    {"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"}
)
CHUNK: Final = 1_600
"""Bytes of mu-law in one delta: 0.2 s."""
_IDS = itertools.count(1)
_SESSION: Final = {
    "type",
    "model",
    "output_modalities",
    "instructions",
    "audio",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "truncation",
    "reasoning",
    "parallel_tool_calls",
    "include",
}
_RESPONSE: Final = {
    "conversation",
    "input",
    "instructions",
    "metadata",
    "output_modalities",
    "tools",
    "audio",
}
_CONTENT: Final = {"user": "input_text", "assistant": "output_text", "system": "input_text"}


@dataclass(slots=True, eq=False)
class Item:
    """``audio`` is mu-law, for what was spoken; ``text`` is None where only the audio tells."""

    id: str
    type: str
    role: str = ""
    text: str | None = None
    audio: bytes = b""
    call_id: str = ""
    name: str = ""


@dataclass(slots=True, eq=False)
class Response:
    id: str
    task: asyncio.Task[None] | None = None
    output: list[Item] = field(default_factory=list)
    read: int = 0
    spoken: int = 0
    """Bytes of audio that were sent."""


class ItsConversation(ItsSession):
    def __init__(
        self,
        double: "OpenAiSpeechDouble",
        request: "web.Request",
        socket: "web.WebSocketResponse",
        fault: Fault,
    ) -> None:
        super().__init__(double, request, socket, fault)
        self.items: list[Item] = []
        self._config: dict[str, Any] = {"type": "realtime", "instructions": "", "tools": []}
        self._output: dict[str, Any] = {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy"}
        self._has_spoken = False
        self._response: Response | None = None

    async def run(self) -> None:
        model = self._request.query["model"]
        if model in MODELS:
            await super().run()
            return
        told = f"The model `{model}` does not exist or you do not have access to it."
        await self._send(error_event(told, code="model_not_found"))
        await self._socket.close(code=4000, message=b"invalid_request_error.model_not_found")

    # --- what the client says --------------------------------------------------------------------

    async def _obey(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "conversation.item.create":
                await self._create(event)
            case "conversation.item.truncate":
                await self._truncate(event)
            case "conversation.item.delete":
                item = self._find(event.get("item_id"), "item_delete_invalid_item_id")
                self.items.remove(item)
                await self._send({"type": "conversation.item.deleted", "item_id": item.id})
            case "response.create":
                await self._respond(event.get("response") or {})
            case "response.cancel":
                await self._cancel(event.get("response_id"))
            case _:
                await super()._obey(event)

    def _update(self, session: Any) -> None:
        only(session, "session", _SESSION)
        if session.get("type") != "realtime":
            raise Refused("Passing a transcription session update event to a realtime session is not allowed")
        audio = session.get("audio", {})
        only(audio, "session.audio", {"input", "output"})
        given, output = audio.get("input", {}), audio.get("output", {})
        only(given, "session.audio.input", set(DEFAULTS))
        only(output, "session.audio.output", {"format", "voice", "speed"})
        heard, spoken = {**self._input, **given}, {**self._output, **output}
        check_format(heard["format"])
        check_format(spoken["format"])
        check_transcription(heard["transcription"])
        check_turn_detection(heard["turn_detection"], (heard["transcription"] or {}).get("model"))
        if spoken["voice"] not in VOICES:
            raise Refused(f"Invalid value: '{spoken['voice']}'.", param="session.audio.output.voice")
        if self._has_spoken and "voice" in output:  # the vendor's reference excepts not even the same one
            raise Refused("Cannot update a conversation's voice", code="cannot_update_voice")
        if session.get("output_modalities", ["audio"]) not in (["audio"], ["text"]):
            raise Refused("Invalid value.", param="session.output_modalities")
        for tool in session.get("tools", []):
            only(tool, "session.tools", {"type", "name", "description", "parameters"})
            if not tool.get("name"):
                raise Refused("Invalid 'session.tools[0].name': empty string.", param="session.tools[0].name")
        self._input, self._output = heard, spoken
        self._config |= {name: value for name, value in session.items() if name != "audio"}

    async def _create(self, event: dict[str, Any]) -> None:
        given, before = event.get("item"), event.get("previous_item_id")
        item = _read(given)
        if any(each.id == item.id for each in self.items):
            raise Refused(
                f"Error adding item: '{item.id}' already exists.", code="item_create_duplicate_item_id"
            )
        if item.type == "function_call_output" and not any(
            each.type == "function_call" and each.call_id == item.call_id for each in self.items
        ):
            raise Refused("Tool call ID not found in conversation.", code="invalid_tool_call_id")
        at = len(self.items)
        if before is not None:
            behind = None if before == "root" else self._find(before, "item_create_invalid_previous_item_id")
            at = 0 if behind is None else self.items.index(behind) + 1
        self.items.insert(at, item)
        previous = self.items[at - 1].id if at else None
        for what in ("added", "done"):
            told = {"id": item.id, "object": "realtime.item", **(given or {})}
            await self._send(
                {"type": f"conversation.item.{what}", "item": told, "previous_item_id": previous}
            )

    async def _truncate(self, event: dict[str, Any]) -> None:
        item = self._find(event.get("item_id"), "item_truncate_invalid_item_id")
        end = event.get("audio_end_ms")
        if item.role != "assistant" or not item.audio or event.get("content_index") != 0:
            raise Refused("Only model output audio messages can be truncated", code="invalid_value")
        if not isinstance(end, int) or end < 0:
            raise Refused("Invalid 'audio_end_ms'", code="invalid_type", param="audio_end_ms")
        if end * 8 > len(item.audio):
            length = len(item.audio) // 8
            raise Refused(
                f"Audio content of {length}ms is already shorter than {end}ms", code="invalid_value"
            )
        item.audio, item.text = item.audio[: end * 8], None
        told = {"item_id": item.id, "content_index": 0, "audio_end_ms": end}
        await self._send({"type": "conversation.item.truncated", **told})

    def _find(self, id: Any, code: str) -> Item:
        for item in self.items:
            if item.id == id:
                return item
        raise Refused(f"Item with item_id not found: {id}", code=code, param="item_id")

    async def _committed(self, item: str, audio: bytes) -> None:
        self.items.append(Item(item, "message", "user", audio=audio))

    # --- answers ---------------------------------------------------------------------------------

    async def _respond(self, wanted: dict[str, Any]) -> None:
        only(wanted, "response", _RESPONSE)
        if self._response is not None:
            raise Refused(
                "Conversation already has an active response in progress.",
                code="conversation_already_has_active_response",
            )
        response = self._response = Response(f"resp_{next(_IDS)}")
        await self._send({"type": "response.created", "response": self._response_as(response, "in_progress")})
        fault = self._double.plan.fault("answers")
        task = asyncio.get_running_loop().create_task(self._answer(response, fault))
        response.task = task
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _cancel(self, id: Any) -> None:
        response = self._response
        if response is None or (id is not None and id != response.id):
            raise Refused("Cancellation failed: no active response found", code="response_cancel_not_active")
        assert response.task is not None
        response.task.cancel()
        await asyncio.wait({response.task})
        await self._done(response, "cancelled", {"type": "cancelled", "reason": "client_cancelled"})

    async def _answer(self, response: Response, fault: Fault) -> None:
        if fault.silent:
            return
        await asyncio.sleep(fault.delay or self._double.first_audio)
        if fault.status is not None:
            kind = "server_error" if fault.status >= 500 else "invalid_request_error"
            error = {"type": kind, "code": fault.code or None, "message": "as planned"}
            await self._done(response, "failed", {"type": "failed", "error": error})
            return
        request = await self._as_chat()
        response.read = len(json.dumps(request)) // 4
        answer = Answer() if fault.empty else self._double.think(request)
        self._double.plan.note("answers", request)
        if answer.text:
            await self._speak(response, answer.text, fault)
        for call in answer.calls:
            item = Item(f"item_{next(_IDS)}", "function_call", call_id=f"call_{next(_IDS)}", name=call.name)
            item.text = call.arguments
            response.output.append(item)
            self.items.append(item)
            about = {"response_id": response.id, "item_id": item.id, "call_id": item.call_id}
            place = {"response_id": response.id, "output_index": len(response.output) - 1}
            await self._send(
                {"type": "response.output_item.added", **place, "item": _call(item, arguments="")}
            )
            delta = {"type": "response.function_call_arguments.delta", **about}
            for piece in (call.arguments[:5], call.arguments[5:]):
                await self._send({**delta, "delta": piece})
            done = {"type": "response.function_call_arguments.done", **about, "name": call.name}
            await self._send({**done, "arguments": call.arguments})
            await self._send({"type": "response.output_item.done", **place, "item": _call(item)})
        ending = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.ending)
        if ending:
            await self._done(response, "incomplete", {"type": "incomplete", "reason": ending})
        else:
            await self._done(response, "completed", None)

    async def _speak(self, response: Response, text: str, fault: Fault) -> None:
        """Words come ahead of the audio, and the audio faster than it plays."""
        item = Item(f"item_{next(_IDS)}", "message", "assistant", text="")
        response.output.append(item)
        self.items.append(item)
        place = {"response_id": response.id, "output_index": len(response.output) - 1}
        about = {**place, "item_id": item.id, "content_index": 0}
        message = {"id": item.id, "object": "realtime.item", "type": "message", "role": "assistant"}
        message |= {"status": "in_progress", "content": []}
        await self._send({"type": "response.output_item.added", **place, "item": message})
        await self._send({"type": "conversation.item.added", "item": message, "previous_item_id": None})
        part = {"type": "audio", "transcript": ""}
        await self._send({"type": "response.content_part.added", **about, "part": part})
        sound = await asyncio.to_thread(self._double.speak, text)
        words = tokens(text)
        chunks = [sound[at : at + CHUNK] for at in range(0, len(sound), CHUNK)]
        for number, chunk in enumerate(chunks):
            if fault.stall_after == number:
                await asyncio.Event().wait()
            if fault.cut_after == number:
                self.drop()
                return
            if fault.close_after == number:
                await self._socket.close(code=fault.close_code, message=b"as planned")
                return
            if number % 2 == 0:
                for word in words[number // 2 * 4 : number // 2 * 4 + 4]:
                    await self._told_word(item, about, word)
            self._has_spoken = True
            item.audio += chunk
            delta = "*" if fault.garbage else base64.b64encode(self._coded(chunk)).decode()
            await self._send({"type": "response.output_audio.delta", **about, "delta": delta})
            response.spoken += len(chunk)
            await asyncio.sleep(fault.dribble or self._double.between_chunks)
        for word in words[(len(chunks) + 1) // 2 * 4 :]:
            await self._told_word(item, about, word)
        await self._send({"type": "response.output_audio.done", **about})
        await self._send({"type": "response.output_audio_transcript.done", **about, "transcript": text})
        message["status"] = "completed"
        await self._send({"type": "response.output_item.done", **place, "item": message})
        await self._send({"type": "conversation.item.done", "item": message, "previous_item_id": None})

    async def _told_word(self, item: Item, about: dict[str, Any], word: str) -> None:
        item.text = f"{item.text}{word}"
        await self._send({"type": "response.output_audio_transcript.delta", **about, "delta": word})

    def _coded(self, chunk: bytes) -> bytes:
        """In the format that the session has: by default that is no mu-law."""
        if self._output["format"]["type"] == "audio/pcmu":
            return chunk
        sound = mulaw.decode(chunk, rate=24_000)
        return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()

    async def _done(self, response: Response, status: str, details: dict[str, Any] | None) -> None:
        self._response = None
        told = self._response_as(response, status) | {"status_details": details}
        audio = round(sum(len(item.audio) for item in self.items if item.role == "user") / 800)
        written = sum(len(item.text or "") for item in response.output) // 4
        spoken = round(response.spoken / 8000 * 20)
        told["usage"] = {
            "total_tokens": response.read + audio + written + spoken,
            "input_tokens": response.read + audio,
            "output_tokens": written + spoken,
            "input_token_details": {
                "text_tokens": response.read,
                "audio_tokens": audio,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
            },
            "output_token_details": {"text_tokens": written, "audio_tokens": spoken},
        }
        await self._send({"type": "response.done", "response": told})

    def _response_as(self, response: Response, status: str) -> dict[str, Any]:
        return {"object": "realtime.response", "id": response.id, "status": status, "output": []}

    async def _as_chat(self) -> dict[str, Any]:
        """The conversation, as a model of text would be asked."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": self._config["instructions"]}]
        for item in tuple(self.items):
            if item.type == "function_call":
                function = {"name": item.name, "arguments": item.text}
                called = {"id": item.call_id, "type": "function", "function": function}
                messages.append({"role": "assistant", "content": None, "tool_calls": [called]})
            elif item.type == "function_call_output":
                messages.append({"role": "tool", "tool_call_id": item.call_id, "content": item.text})
            else:
                text = item.text
                if text is None:
                    text = await asyncio.to_thread(self._double.hear, item.audio)
                messages.append({"role": item.role, "content": text})
        tools = [{"type": "function", "function": tool} for tool in self._config["tools"]]
        return {"model": self._request.query.get("model"), "messages": messages, "tools": tools}

    def _session(self) -> dict[str, Any]:
        return {
            **super()._session(),
            **self._config,
            "object": "realtime.session",
            "audio": {"input": self._input, "output": self._output},
        }


def _read(given: Any) -> Item:
    """An item as a client may put it in."""
    if not isinstance(given, dict):
        raise Refused("Missing required parameter: 'item'.", code="missing_required_parameter")
    id = given.get("id") or f"item_{next(_IDS)}"
    if len(id) > 32:
        raise Refused("Invalid 'item.id': string too long.", code="string_above_max_length")
    kind = given.get("type")
    if kind == "message":
        only(given, "item", {"id", "type", "role", "content", "status", "object"})
        role, content = given.get("role"), given.get("content") or [{}]
        if role not in _CONTENT or content[0].get("type") != _CONTENT[role]:
            raise Refused("Invalid value.", param="item.content[0].type")
        return Item(id, kind, role, "".join(part["text"] for part in content))
    if kind == "function_call":
        only(given, "item", {"id", "type", "call_id", "name", "arguments", "status", "object"})
        return Item(id, kind, text=given["arguments"], call_id=given["call_id"], name=given["name"])
    if kind == "function_call_output":
        only(given, "item", {"id", "type", "call_id", "output", "status", "object"})
        return Item(id, kind, text=given["output"], call_id=given["call_id"])
    raise Refused(f"Invalid value: '{kind}'.", param="item.type")


def _call(item: Item, *, arguments: str | None = None) -> dict[str, Any]:
    return {
        "id": item.id,
        "object": "realtime.item",
        "type": "function_call",
        "name": item.name,
        "call_id": item.call_id,
        "arguments": item.text if arguments is None else arguments,
    }
