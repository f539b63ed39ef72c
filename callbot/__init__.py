"""callbot: a phone agent that hears, thinks and speaks into a live call."""

__version__ = "0.1.0"
