"""A conversation for models that take one system message, the first, and after it each speaker by turns.

That is how the chat templates of many models for one's own server are (Qwen 3.5 and later, Gemma, Mistral); a
server refuses what its model's template does not take. Does no I/O.
"""

from collections.abc import Sequence
from typing import Any, Final

_BEGINS: Final = "(The call begins.)"
"""The caller's first turn, where the agent spoke first."""


def by_turns(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """``messages`` of chat completions, of which the first is the instructions.

    A note goes to the instructions while nobody has spoken, and to the caller's side after that.
    """
    instructions, *rest = messages
    told = [dict(instructions)]
    for message in rest:
        if message["role"] == "system":
            if len(told) == 1:
                told[0]["content"] += f"\n\n{message['content']}"
                continue
            message = {"role": "user", "content": f"(Not from the caller: {message['content']})"}
        if len(told) == 1 and message["role"] == "assistant":
            told.append({"role": "user", "content": _BEGINS})
        before = told[-1]
        if message["role"] == before["role"] != "tool" and "tool_calls" not in before:
            joined = f"{before['content'] or ''}\n{message['content'] or ''}".strip()
            told[-1] = {**message, "content": joined or None}
        else:
            told.append(dict(message))
    return told
