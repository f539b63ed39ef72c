import pytest

from callbot.providers.llm.openai_terms import Terms

CHAT = frozenset(
    {"reasoning_effort", "verbosity", "prompt_cache_key", "max_completion_tokens", "stream_options"}
)
RESPONSES = frozenset({"reasoning", "text", "prompt_cache_key", "store"})


def after(message: str, code: str | None = None, param: str | None = None, *, of: frozenset[str] = CHAT):
    return Terms().after(message=message, code=code, param=param, optional=of)


@pytest.mark.parametrize(
    ("message", "code", "param", "refused"),
    [
        (
            "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
            "unsupported_parameter",
            "reasoning_effort",
            {"reasoning_effort"},
        ),
        ("Unrecognized request argument supplied: prompt_cache_key", None, None, {"prompt_cache_key"}),
        (
            "[{'type': 'extra_forbidden', 'loc': ('body', 'verbosity')}, {'type': 'extra_forbidden', "
            "'loc': ('body', 'max_completion_tokens')}]: Extra inputs are not permitted",
            None,
            None,
            {"verbosity", "max_completion_tokens"},
        ),
        ("property 'verbosity' is unsupported", None, None, {"verbosity"}),
        ('Invalid JSON payload. Unknown name "verbosity": Cannot find field.', None, None, {"verbosity"}),
        ('"tiny" does not support thinking', None, None, CHAT),
        ("Unknown field in request", None, None, CHAT),
    ],
)
def test_a_field_that_is_refused_is_left_out(
    message: str, code: str | None, param: str | None, refused: set[str]
):
    terms = after(message, code, param)
    assert terms is not None
    assert terms.refused == refused
    assert terms.keep({"verbosity": "low", "stream_options": {}, "empty": ""}).keys() == (
        {"verbosity", "stream_options"} - refused
    )


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        (
            "Invalid value: 'caller'. Supported values are: 'system', 'user'.",
            "invalid_value",
            "messages[1].role",
        ),
        ("Invalid schema for function 'find_order'", "invalid_function_parameters", "tools[0].parameters"),
        ("An assistant message with 'tool_calls' must be followed by tool messages", None, "messages"),
        ("Your credit is low", None, None),
        ("", None, None),
    ],
)
def test_a_refusal_of_something_else_changes_nothing(message: str, code: str | None, param: str | None):
    assert after(message, code, param) is None


@pytest.mark.parametrize(
    "message",
    [
        "System message must be at the beginning.",
        "Chat template error: system message must be at the beginning",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "After the optional system message, conversation roles must alternate user and assistant roles",
        "Only user and assistant roles are supported!",
    ],
)
def test_a_template_that_takes_other_messages_is_given_them_by_turns(message: str):
    learnt = after(message)
    assert learnt == Terms(by_turns=True)
    assert learnt.after(message=message, code=None, param=None, optional=CHAT) is None  # no other way is left


def test_a_common_word_is_no_field():
    assert after("The text is not supported", param="input[0]", of=RESPONSES) is None
    terms = after("'text.verbosity' is not supported", of=RESPONSES)
    assert terms is not None
    assert terms.refused == {"text"}


@pytest.mark.parametrize(
    ("param", "of", "supported", "effort"),
    [
        ("reasoning_effort", CHAT, "'minimal', 'low', 'medium', and 'high'", "minimal"),
        ("reasoning.effort", RESPONSES, "'low', 'medium', and 'high'", "low"),
    ],
)
def test_the_least_effort_that_a_model_knows_is_asked_for(
    param: str, of: frozenset[str], supported: str, effort: str
):
    message = f"Unsupported value: '{param}' does not support 'none'. Supported values are: {supported}."
    terms = after(message, "unsupported_value", param, of=of)
    assert terms == Terms(effort=effort)


def test_a_model_that_knows_only_much_effort_chooses_itself():
    message = "Unsupported value: 'none'. Supported values are: 'high'."
    terms = after(message, "unsupported_value", "reasoning_effort")
    assert terms is not None
    assert terms.refused == {"reasoning_effort"}
