"""What OpenAI refuses in a request for text, and in which words; and what a strict local server refuses."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

CHAT_FIELDS: Final = frozenset(CompletionCreateParamsStreaming.__annotations__)
RESPONSES_FIELDS: Final = frozenset(ResponseCreateParamsStreaming.__annotations__)
LOCAL_FIELDS: Final = frozenset(
    (
        *("model", "messages", "stream", "stream_options", "tools", "tool_choice"),
        *("max_tokens", "temperature", "top_p", "stop", "seed"),
    )
)
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LONGEST_KEY: Final = 64
_TYPES: Final = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    429: "requests",
    500: "server_error",
    503: "service_unavailable_error",
}
_MESSAGES: Final = {
    "invalid_api_key": "Incorrect API key provided: sk-doub*le. Find your API key on your account page.",
    "rate_limit_exceeded": "Rate limit reached for gpt-5.4-mini on requests per min (RPM): Limit 3, Used 3.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
    "context_length_exceeded": "Your input exceeds the context window of this model. Please adjust it.",
    "model_not_found": "The model `gpt-0` does not exist or you do not have access to it.",
    "server_error": "The server had an error while processing your request. Sorry about that!",
}
_CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class Refused(Exception):
    """``status`` and the vendor's body."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        kind = "insufficient_quota" if code == "insufficient_quota" else _TYPES.get(status, "server_error")
        self.status = status
        self.body: dict[str, Any] = {
            "error": {"message": message, "type": kind, "param": param, "code": code}
        }


def failure(status: int, code: str = "") -> Refused:
    """An error that the request is not to blame for."""
    told = code or _CODES.get(status)
    return Refused(status, _MESSAGES.get(told or "", "The server is overloaded or not ready yet."), code=told)


def check_fields(asked: Mapping[str, Any], known: Iterable[str], *, local: bool, responses: bool) -> None:
    unknown = [name for name in asked if name not in frozenset(known)]
    if not unknown:
        return
    if local:  # as vLLM says it, which tells all of them
        places = [{"type": "extra_forbidden", "loc": ("body", name)} for name in unknown]
        refused = Refused(400, "")
        refused.body = {
            "object": "error",
            "message": f"{places}: Extra inputs are not permitted",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        }
        raise refused
    if responses:
        raise Refused(400, f"Unknown parameter: '{unknown[0]}'.", code="unknown_parameter", param=unknown[0])
    raise Refused(400, f"Unrecognized request argument supplied: {unknown[0]}")


def check_knobs(asked: Mapping[str, Any], refused: Iterable[str], efforts: Iterable[str]) -> None:
    """``refused`` are fields this model does not take; ``efforts`` what it knows of reasoning effort."""
    for name in refused:
        if name in asked:
            instead = " Use 'max_tokens' instead." if name == "max_completion_tokens" else ""
            raise Refused(
                400,
                f"Unsupported parameter: '{name}' is not supported with this model.{instead}",
                code="unsupported_parameter",
                param=name,
            )
    reasoning = asked.get("reasoning") or {}
    name = "reasoning.effort" if reasoning else "reasoning_effort"
    effort = reasoning.get("effort") or asked.get("reasoning_effort")
    if effort and effort not in (known := tuple(efforts)):
        told = ", ".join(f"'{value}'" for value in known)
        raise Refused(
            400,
            f"Unsupported value: '{name}' does not support '{effort}' with this model. "
            f"Supported values are: {told}.",
            code="unsupported_value",
            param=name,
        )


def check_limits(asked: Mapping[str, Any]) -> None:
    key = asked.get("prompt_cache_key", "")
    if len(key) > _LONGEST_KEY:
        raise Refused(
            400,
            f"Invalid 'prompt_cache_key': string too long. Expected one with maximum length {_LONGEST_KEY}, "
            f"but got a string with length {len(key)} instead.",
            code="string_above_max_length",
            param="prompt_cache_key",
        )


def check_tools(tools: Any) -> None:
    """Of either endpoint."""
    for index, tool in enumerate(tools or ()):
        about = tool.get("function", tool)
        if tool.get("type") != "function" or not _TOOL_NAME.fullmatch(about.get("name", "")):
            raise Refused(
                400, f"Invalid 'tools[{index}].name'.", code="invalid_value", param=f"tools[{index}]"
            )
        if about.get("parameters", {}).get("type") != "object":
            raise Refused(
                400,
                f"Invalid schema for function '{about['name']}': it must be a JSON Schema of an object.",
                code="invalid_function_parameters",
                param=f"tools[{index}].function.parameters",
            )


def check_messages(messages: Any) -> None:
    """Of chat completions: calls and their results stand together, and all are there."""
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "Invalid 'messages': empty array.", code="empty_array", param="messages")
    waiting: list[str] = []
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise Refused(
                400, f"Invalid value: '{role}'.", code="invalid_value", param=f"messages[{index}].role"
            )
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused(
                    400,
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                    "with 'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        _all_answered(waiting)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        if not waiting and not isinstance(message.get("content"), str):
            raise Refused(400, "Invalid value for 'content': expected a string.", param=f"messages.[{index}]")
    _all_answered(waiting)


def _all_answered(waiting: list[str]) -> None:
    if waiting:
        raise Refused(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            param="messages",
        )


def check_template(messages: list[dict[str, Any]], status: int) -> None:
    """As the templates of Qwen and of Gemma, through vLLM (400) and llama.cpp (500)."""
    turns = [message["role"] for message in messages if message["role"] in ("user", "assistant")]
    calls = [
        bool(message.get("tool_calls")) for message in messages if message["role"] in ("user", "assistant")
    ]
    wrong = ""
    if any(message["role"] in ("system", "developer") for message in messages[1:]):
        wrong = "System message must be at the beginning."
    elif turns[0] != "user" or any(
        a == b and not c for a, b, c in zip(turns, turns[1:], calls, strict=False)
    ):
        wrong = "Conversation roles must alternate user/assistant/user/assistant/..."
    if wrong:
        refused = Refused(status, wrong)
        refused.body = {"error": {"message": wrong, "type": "BadRequestError", "param": None, "code": status}}
        raise refused


def check_input(items: Any) -> None:
    """Of responses: every output belongs to a call, and every call has one."""
    if isinstance(items, str):
        return
    calls, outputs = set(), set()
    for index, item in enumerate(items or ()):
        match item:
            case {"type": "function_call", "call_id": str(call), "name": str(), "arguments": str()}:
                calls.add(call)
            case {"type": "function_call_output", "call_id": str(call), "output": str()}:
                if call not in calls:
                    raise Refused(
                        400,
                        f"No tool call found for function call output with call_id {call}.",
                        param="input",
                    )
                outputs.add(call)
            case {"role": "user" | "assistant" | "system" | "developer", "content": str()}:
                pass
            case _:
                raise Refused(400, f"Invalid value at 'input[{index}]'.", param=f"input[{index}]")
    if missing := calls - outputs:
        raise Refused(400, f"No tool output found for function call {min(missing)}.", param="input")
