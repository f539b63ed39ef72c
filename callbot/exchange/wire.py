"""The carrier's messages on the media socket. Every counter is a string of digits, as on the wire."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


@dataclass(slots=True)
class Messages:
    """Writes one stream's messages and keeps its counters ("Media Streams: WebSocket messages")."""

    account_sid: str
    call_sid: str
    stream_sid: str
    sequence: int = field(default=0, init=False)
    chunk: int = field(default=0, init=False)

    def start(self, parameters: Mapping[str, str]) -> str:
        return self._message(
            "start",
            {
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(parameters),
            },
        )

    def media(self, audio: bytes, *, timestamp_ms: int) -> str:
        """``timestamp_ms`` is where this audio begins, since the stream began."""
        self.chunk += 1
        return self._message(
            "media",
            {
                "track": "inbound",
                "chunk": str(self.chunk),
                "timestamp": str(timestamp_ms),
                "payload": base64.b64encode(audio).decode(),
            },
        )

    def dtmf(self, digit: str) -> str:
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        return self._message("mark", {"name": name})

    def stop(self) -> str:
        return self._message("stop", {"accountSid": self.account_sid, "callSid": self.call_sid})

    def _message(self, event: str, body: dict[str, Any]) -> str:
        self.sequence += 1
        return json.dumps(
            {
                "event": event,
                "sequenceNumber": str(self.sequence),
                "streamSid": self.stream_sid,
                event: body,
            }
        )
