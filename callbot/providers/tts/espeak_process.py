"""The espeak-ng synthesizer in a process of its own: ``python -m callbot.providers.tts.espeak_process``.

espeak-ng is licensed under the GPL-3.0, and this script is all that loads it; the rest of the project
only writes to its standard input and reads its standard output. It imports nothing of ours. It
uses the system's espeak-ng where there is one, else the one that ``espeakng-loader`` carries.

One request is one line, {"text": ..., "language": ...}. The answer is one line, {"bytes": N, "rate":
R, "words": [[position in the text, samples before it], ...]} or {"error": ...}, and then N bytes of
16-bit PCM.
"""

import ctypes
import ctypes.util
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Final

_SYNCHRONOUS: Final = 0x02  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback
_DO_NOT_EXIT: Final = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8, _CHARACTERS = 1, 1
_END_OF_LIST, _WORD = 0, 1


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # in milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Synthesizer:
    def __init__(self) -> None:
        library, data = _library()
        self._espeak = ctypes.CDLL(library)
        self._rate: int = self._espeak.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT)
        if self._rate <= 0:
            raise OSError(f"espeak-ng found no data in {data!r}")
        self._samples = bytearray()
        self._words: list[tuple[int, int]] = []
        self._callback = _CALLBACK(self._receive)  # kept here: the library holds no reference
        self._espeak.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, language: str) -> tuple[dict[str, Any], bytes]:
        self._samples.clear()
        self._words.clear()
        if self._espeak.espeak_SetVoiceByName(language.encode()) != 0:
            return {"error": f"espeak-ng has no voice for the language {language!r}"}, b""
        said = text.encode()
        failed = self._espeak.espeak_Synth(said, len(said) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
        if failed:
            return {"error": f"espeak-ng failed with status {failed}"}, b""
        audio = bytes(self._samples)
        return {"bytes": len(audio), "rate": self._rate, "words": self._words}, audio

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        for event in _until_end(events):
            if event.type == _WORD:
                self._words.append((event.text_position - 1, event.sample))
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        return 0


def _until_end(events: Any) -> Any:
    at = 0
    while events[at].type != _END_OF_LIST:
        yield events[at]
        at += 1


def _library() -> tuple[str, bytes | None]:
    """The shared library, and where its data are when it would not know."""
    if system := ctypes.util.find_library("espeak-ng"):
        return system, None
    found = importlib.util.find_spec("espeakng_loader")
    if found is None or not found.submodule_search_locations:
        raise OSError("espeak-ng is not installed")
    folder = Path(found.submodule_search_locations[0])
    name = {"win32": "espeak-ng.dll", "darwin": "libespeak-ng.dylib"}.get(sys.platform, "libespeak-ng.so")
    return str(folder / name), str(folder / "espeak-ng-data").encode()


def _answer(head: dict[str, Any], audio: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + audio)
    sys.stdout.buffer.flush()


def main() -> None:
    try:
        synthesizer = _Synthesizer()
    except OSError as error:
        _answer({"error": str(error)})
        return
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _answer(*synthesizer.speak(request["text"], request["language"]))


if __name__ == "__main__":
    main()
