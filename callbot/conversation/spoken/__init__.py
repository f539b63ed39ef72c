"""Spoken text: what a voice is given for what was written, and what was written for what was said.

Written words stay the unit: ``spoken`` has a token for each, ``text_for_voice`` is what to speak,
``align`` maps the voice's word times back.
"""

from callbot.agents.sentences import SentenceSplitter, sentences
from callbot.conversation.spoken.alignment import align
from callbot.conversation.spoken.reading import Token, spoken, text_for_voice

__all__ = ["SentenceSplitter", "Token", "align", "sentences", "spoken", "text_for_voice"]
