"""What is noticed in calls: each word of it, and the part of the bot that it happened in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from callbot.agents.thought import Notice
from callbot.conversation.turns import Mishearing
from callbot.providers.accounting import Mending, Port
from callbot.routing.handoff import Passing


class Component(StrEnum):
    STT = Port.STT
    LLM = Port.LLM
    TTS = Port.TTS
    TOOLS = "tools"
    HANDOFFS = "handoffs"
    TURNS = "turns"
    """Who has the floor."""


_TOOLS: Final = (Notice.ARGUMENTS, Notice.LOOP, Notice.SLOW_TOOL, Notice.UNCONFIRMED, Notice.COMMITTED)
_STT: Final = (
    *(Mishearing.FORCED_FINAL, Mishearing.LATE_FINAL, Mishearing.DEAF, Mishearing.LANGUAGE),
    *(Mending.STT_RESUMED, Mending.DUPLICATE),
)

COMPONENTS: Final[Mapping[str, Component]] = {
    **dict.fromkeys(Mishearing, Component.TURNS),
    **dict.fromkeys(Notice, Component.LLM),
    **dict.fromkeys(Passing, Component.HANDOFFS),
    **dict.fromkeys(_TOOLS, Component.TOOLS),
    **dict.fromkeys(_STT, Component.STT),
    Mending.LLM_RESUMED: Component.LLM,
    Mending.TTS_RESUMED: Component.TTS,
}
"""Of everything that can be noticed."""
