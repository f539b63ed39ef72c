"""How vendors' voices are named in settings."""

from callbot.errors import ConfigurationError


def model_voice_language(name: str, *, model: str, voice: str) -> tuple[str, str, str]:
    """Of ``vendor:model/voice/language``, each of which may be left out: then it is ``model``, ``voice`` and
    English.

    Raises ``ConfigurationError``.
    """
    given = name.partition(":")[2].split("/")
    if len(given) > 3:
        raise ConfigurationError(
            f"the voice {name!r} has too many parts; write {name.partition(':')[0]}:model/voice/language"
        )
    named = (*given, *[""] * (3 - len(given)))
    return named[0] or model, named[1] or voice, named[2] or "en"
