"""What can go wrong in the exchange.

ExchangeError
├── TwimlError       a document that the carrier would not execute; carries its error code
├── ScenarioError    a scenario or a sidecar is wrong; says file, line and what to write
└── SoundError       a file is not audio that we can play
"""


class ExchangeError(Exception):
    """The root."""


class TwimlError(ExchangeError):
    """The document cannot be executed and the call ends.

    ``code`` is the carrier's: 12100 for text that is not XML, 12200 for XML that is not TwiML.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class ScenarioError(ExchangeError):
    """A human wrote a script that cannot be played."""


class SoundError(ExchangeError):
    """Bytes that are not a WAV file of mu-law, A-law or PCM."""
