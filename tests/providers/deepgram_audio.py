"""Sound for the double of Deepgram, whose words can be worked out in the head.

Speech is a loud byte, and a word of it lasts 0.125 s: half a second is "Four".
"""

from typing import Final

from callbot.media_stream.audio import SILENCE

LOUD: Final = b"\x10"
QUIET: Final = SILENCE
WORD_BYTES: Final = 1_000
_NUMBERS: Final = ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"]
CHARACTER_BYTES: Final = 480
"""60 ms."""


def hear(audio: bytes) -> str:
    """How many words there were."""
    count = round(audio.count(LOUD) / WORD_BYTES)
    return _NUMBERS[count] if 0 < count < len(_NUMBERS) else "Many" if count else ""


def speak(text: str) -> bytes:
    """60 ms for each character; the bytes are those of the text, so that what was spoken can be read."""
    return bytes(byte for byte in text.encode() for _ in range(CHARACTER_BYTES))
