"""Raw audio from a vendor, and what is wrong if it is none."""

from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import FRAME_BYTES, SILENCE
from callbot.providers.ports import Speech, WordTime

_CONTAINERS: Final = (b"RIFF", b"ID3", b"OggS", b"fLaC")


def unspoken(text: str) -> Speech | None:
    """For a text in which there is nothing to say: vendors answer it with nothing, or a noise."""
    words = text.split()
    if any(character.isalnum() for character in text):
        return None
    audio = SILENCE * FRAME_BYTES if words else b""
    return Speech(" ".join(words), audio, tuple(WordTime(word, 0.0, 0.0) for word in words))


def check_first(provider: str, audio: bytes) -> None:
    """Raises ``ProviderError`` if audio begins as a file would: then it is not raw mu-law."""
    if audio.startswith(_CONTAINERS):
        raise bad_format(provider, "a file where raw audio was asked for")


def bad_format(provider: str, detail: str) -> ProviderError:
    return ProviderError(
        f"{provider}: {detail}", retryable=True, trouble=Trouble.BAD_FORMAT, provider=provider
    )


def empty(provider: str) -> ProviderError:
    return ProviderError(f"{provider}: no audio", retryable=True, trouble=Trouble.EMPTY, provider=provider)
