"""Is what the caller said so far a finished turn? Endpointing waits accordingly.

The recogniser writes a full stop after almost anything, also after a sentence cut in half, so
punctuation proves nothing here: words do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from callbot.agents.brain import Expecting
from callbot.agents.slots import Kind, compact, parse

_ANY_DAY = date(2001, 1, 1)  # whether a day was named does not depend on which day it is


class Said(StrEnum):
    """How finished it sounds."""

    NOTHING = "nothing"
    ANSWER = "answer"  # what the question asked for is there
    SENTENCE = "sentence"  # a sentence that can stand
    FRAGMENT = "fragment"  # no sign either way
    OPENER = "opener"  # "hello", "no": often only how a sentence begins
    UNFINISHED = "unfinished"  # ends where nobody stops: "my number is"
    PARTIAL = "partial"  # digits, letters or an address begun


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pattern(text: str) -> re.Pattern[str]:
    """Phrases separated by ``|``, the white space between them for the eye only."""
    return re.compile("|".join(re.escape(" ".join(phrase.split())) for phrase in text.split("|")))


@dataclass(frozen=True, slots=True)
class _Signs:
    """The words of one language by which a turn is judged, all in lower case.

    Nobody ends a turn on ``fillers``, ``open_words`` or ``open_phrases``; but "that's **what it is**" ends
    on ``closed_phrases``. ``subjects`` and ``verbs`` make a sentence, ``small_talk`` is one without.
    """

    fillers: frozenset[str]
    open_words: frozenset[str]
    open_phrases: re.Pattern[str]
    closed_phrases: re.Pattern[str]
    subjects: frozenset[str]
    verbs: frozenset[str]
    questions: frozenset[str]
    copulas: frozenset[str]
    small_talk: re.Pattern[str]
    openers: re.Pattern[str]
    backchannels: re.Pattern[str]
    interruptions: re.Pattern[str]


_ENGLISH = _Signs(
    open_words=_words("""
        and or but because cause since although though if unless whether while when so then than
        that's the a an my your our their his its this's some every each very really quite to of for
        from at by with without about between into onto than as per via is are was were am be been
        will would could should can may might must i'm i'd i'll i've you're we're they're it's
        there's he's she's we'd we'll they'll i we they he she um uh er erm hmm like well plus also
        not just only which who whose where what's where's
    """),
    open_phrases=_pattern("""
        my number is | my order number is | my order is | my name is | my email is | my address is |
        the number is| it is | that is | i need | i want | i would like | i'd like | i want to | i
        need to | i have | i've got| i was | you know | i mean | let me | let me see | let me think
        | let me check | hang on | one moment| one second | no wait | wait | sorry no | no sorry |
        or rather | give me a second | as well as | in order | trying to | going to | kind of | sort
        of| it starts with | it begins with | starting with | as in | area code | or maybe | can you
        | could you| do you | would you | can i | could i | do i | did you | have you | are you | i
        think | i thought| i am | i don't | i can't | i didn't | i couldn't | the other | next |
        tell me | and then | i said | i called
    """),
    closed_phrases=_pattern("""
        how much is it | what is it | yes it is | no it is | where is it | who is it | here i am| so
        i am | is that so | i think so | i hope so | i guess so | i don't think so | i told you so|
        i do | i did | what time is it | i'm not | it's not | of course not | why not | i think not|
        that is | here it is | there it is | i am | yes i am | no i'm not | that's it is| on | off |
        in | out | up | down | back | over | through | around | waiting for | talking about | asking
        for| looking for | looking at | paid for | interested in | calling about | charged for |
        where to | what for| where from | who with | turned on | what it is | where it is | what
        that is | who you are | how old i am | you like | if you would | if i can | as you can | who i
        am | where i am
    """),
    fillers=_words("""
        um uh er erm
    """),
    subjects=_words("""
        i you he she it we they this that there these those who what which everything nothing
        everyone someone my your our the a it's that's i'm i'd i've i'll there's what's where's
        how's
    """),
    verbs=_words("""
        is are was were am do does did have has had can could will would shall should may might must
        need needs want wants like know think see get got go goes went work works worked working
        call called calling pay paid order ordered buy bought send sent cancel change changed move
        moved moving help check checked tell told say said try tried look looks looking make made
        take takes took come comes came keep keeps kept stop stopped give put start started lost
        broke broken arrive arrived arrives thank thanks i'm i'd i've i'll it's that's there's don't
        doesn't didn't can't won't isn't aren't wasn't haven't hasn't couldn't wouldn't you're we're
        they're turned turn unplugged plugged unplug plug live lives use used using stay charge
        charged flashing blinking restarted book booked speak talk hear show shows happened
    """),
    copulas=_words("is are was were"),
    questions=_words("""
        what when where who why how which whose do does did is are was can could will would should
        have has
    """),
    small_talk=_pattern("""
        thanks | thank
        you | bye | goodbye| bye bye | yes please | no thanks | no thank you | that's all | that's
        it | nothing else | pardon| thank you very much | thanks a lot | thanks bye | okay
        thanks | okay bye | sure | see you | have a nice day
    """),
    openers=_pattern("""
        hello | hello there | hi | hi there | hey | good morning | good afternoon | good evening |
        sorry | yes | no | yeah | yep | nope | okay | oh | well | right | great | good | so | excuse me |
        all right | i'm sorry
    """),
    backchannels=_pattern("""
        mhm | mm hmm | mmhmm | mm hm | mm mm | mm | mmm | hm | hmm | hmmm | uh huh | uhhuh | uh hum
        | um hum | um hmm | yeah| yep | yup | yes | ya | yea | okay | ok | k | right | all right |
        alright | i see | sure | got it | oh| ah | aha | oh okay | oh i see | okay yeah | yeah yeah
        | yes yes | okay okay | right right | uh | um | er| good | great | cool | nice | fine |
        perfect | really | wow | true | of course | exactly | mm okay | oh right| huh | oh yeah |
        yeah okay | yeah right | gotcha | i know | thank you | thanks | ooh
    """),
    interruptions=_pattern("""
        wait | stop | hold on | hang on | no | nope | excuse me | sorry | pardon | hey | actually |
        but | one moment| one second | just a moment | just a second | just a minute | listen | let
        me | can i | could you | can you| what | why | how | when | where | who | i have a question
        | i want | i need | i'd like | never mind | cancel| quiet | shut up | enough | that's wrong
        | that's not | not that | no no | repeat | say that again| i don't | i didn't | hello | is
        it | is that | are you | do you | does it | will it
    """),
)
_SPANISH = _Signs(
    open_words=_words("""
        y e o u pero porque aunque si cuando mientras que como el la los las un una unos unas mi mis
        tu su sus nuestro nuestra de del a al para por con sin sobre entre hasta desde en es son era
        eran soy estoy esta muy tan más eh em este pues yo nosotros ellos me se le les lo también
    """),
    open_phrases=_pattern("""
        mi número es | mi pedido es | mi nombre es | mi correo es | me llamo | quiero | quisiera |
        necesito | tengo| me gustaría | o sea | es decir | déjeme | a ver | un momento | un segundo
        | puede | podría | me puede| creo que | empieza con | dígame si | no puedo | voy a
    """),
    closed_phrases=_pattern("""
        creo que sí | creo que no | así es | eso es | aquí está | ya está | claro que sí | por qué |
        para qué| qué es | cuánto es | cómo es | bien | ahí está | no está | dónde está | qué hora
        es | cómo está| no quiero | cuando quiera | si puede | no puede | no lo necesito
    """),
    fillers=_words("""
        eh em este mmm
    """),
    subjects=_words("""
        yo usted ella nosotros ellos esto eso mi el la los las un una hay
    """),
    verbs=_words("""
        es son está están estoy soy era hay tengo tiene quiero quiere puedo puede necesito necesita
        funciona funcionó llegó llega llamo llamé pagué pago compré comprar cambiar cancelar ayuda
        ayudar hice hizo sé gustaría quisiera va voy vino viene dijo digo veo llama mande mandar
        gracias
    """),
    copulas=_words("es son está están"),
    questions=_words("""
        qué cuándo dónde quién cómo cuánto cuánta cuál puede podría tiene hay
    """),
    small_talk=_pattern("""
        gracias | muchas gracias |
        adiós | hasta luego| no gracias | sí por favor | nada más | eso es todo | claro
    """),
    openers=_pattern("""
        hola | hola buenos días | hola buenas tardes | buenos días | buenas tardes | buenas noches |
        buenas | perdón | sí | no | vale | bueno | oiga
    """),
    backchannels=_pattern("""
        ajá | aja | mhm | mm | mmm | sí | si | ya | vale | bueno | claro | ok | okay | entiendo | ah
        | oh | sí sí | bien| de acuerdo | ya veo | eso | exacto | muy bien | ah sí | ah vale |
        perfecto | sí claro | gracias
    """),
    interruptions=_pattern("""
        espere | espera | pare | para | un momento | un segundo | no | perdón | perdone | disculpe |
        oiga | oye | pero| qué | cómo | cuándo | dónde | por qué | quién | cuánto | escuche | no no
        | repita | basta | hola | quiero| necesito | tengo una pregunta | puede | déjeme
    """),
)
_LANGUAGES = {"en": _ENGLISH, "es": _SPANISH}

_KINDS = {
    Expecting.YES_NO: Kind.YES_NO,
    Expecting.EMAIL: Kind.EMAIL,
    Expecting.DATE: Kind.DATETIME,
    Expecting.AMOUNT: Kind.NUMBER,
}
_LAST_WORD = re.compile(r"[^\W_]+[\W_]*\Z")
_ADDRESS_BEGUN = re.compile(r"@|\b(?:at|dot|arroba|punto|underscore|dash|guion)\b")
_SHORTEST_SENTENCE = 3
_MARKS = ".,;:!?¡¿…\"'“”‘–—-"
"""What stands around words and is not said."""


def said(
    text: str, expecting: Expecting = Expecting.ANYTHING, complete: str | None = None, language: str = "en"
) -> Said:
    """How finished ``text`` sounds after a question that expects ``expecting``.

    ``complete`` is the expression of ``Expect``: a whole answer's letters and digits match it.
    """
    words = _split(text)
    signs = _signs(language)
    if not words:
        return Said.NOTHING
    if _answers(text, words, expecting, complete, language, signs):
        return Said.ANSWER
    if expecting in (Expecting.DIGITS, Expecting.SPELLING) and _ends_in_symbols(text, language, signs):
        return Said.PARTIAL
    if expecting is Expecting.EMAIL and _ADDRESS_BEGUN.search(text.lower()):
        return Said.PARTIAL
    if _is_open(text, words, signs):
        return Said.UNFINISHED
    if signs.openers.fullmatch(" ".join(words)):
        return Said.OPENER
    if _is_sentence(text, words, signs):
        return Said.SENTENCE
    return Said.FRAGMENT


def is_backchannel(text: str, language: str = "en") -> bool:
    """Whether ``text`` only says that the caller is listening: "mhm", "okay", "I see"."""
    words = _split(text)
    signs = _signs(language)
    return bool(words) and _made_of(words, signs.backchannels)


def is_interruption(text: str, language: str = "en") -> bool:
    """Whether ``text`` takes the floor: "wait", "no", "excuse me", a question."""
    words = _split(text)
    signs = _signs(language)
    while words and words[0] in signs.fillers | {"okay", "yeah", "yes", "sí", "well", "bueno"}:
        words = words[1:]
    if not words:
        return False
    starts = any(
        signs.interruptions.fullmatch(" ".join(words[:length])) for length in range(1, min(4, len(words)) + 1)
    )
    return starts or (text.rstrip().endswith("?") and not _made_of(words, signs.backchannels))


def is_question(text: str, language: str = "en") -> bool:
    """Whether ``text`` asks something, by its mark or its first words: "hello, where is my order"."""
    words = _split(text)
    signs = _signs(language)
    if text.rstrip().endswith("?"):
        return True
    while words and (words[0] in signs.fillers or signs.openers.fullmatch(words[0])):
        words = words[1:]
    return bool(words) and words[0] in signs.questions


def is_courtesy(text: str, language: str = "en") -> bool:
    """Whether ``text`` is nothing but thanks, a greeting, "no", "that's all" and the like."""
    words = _split(text)
    signs = _signs(language)
    reached = 0
    while reached < len(words):
        kinds = (signs.small_talk, signs.openers, signs.backchannels)
        longest = max(
            (
                length
                for length in range(1, 5)
                if reached + length <= len(words)
                and any(kind.fullmatch(" ".join(words[reached : reached + length])) for kind in kinds)
            ),
            default=0,
        )
        if not longest:
            return False
        reached += longest
    return bool(words)


def same_words(one: str, other: str) -> bool:
    """Whether they differ in nothing but capitals and the marks around words: "$5" is not "5"."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> list[str]:
    bare = (word.strip(_MARKS) for word in text.lower().replace("’", "'").split())
    return [word for word in bare if word]


def _signs(language: str) -> _Signs:
    return _LANGUAGES.get(language.lower().replace("_", "-").split("-")[0], _ENGLISH)


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'").replace("-", " "))


def _made_of(words: Sequence[str], phrases: re.Pattern[str]) -> bool:
    """Whether ``words`` are nothing but ``phrases`` of at most three words, at most four of them."""
    reachable = {0: 0}
    for place in range(len(words)):
        if place not in reachable:
            continue
        for length in range(1, 4):
            end = place + length
            if end <= len(words) and phrases.fullmatch(" ".join(words[place:end])):
                reachable[end] = min(reachable.get(end, 9), reachable[place] + 1)
    return reachable.get(len(words), 9) <= 4


def _answers(
    text: str,
    words: Sequence[str],
    expecting: Expecting,
    complete: str | None,
    language: str,
    signs: _Signs,
) -> bool:
    """Whether what was asked for is there, and nothing says that more will follow."""
    if complete and re.search(rf"(?<!\d)(?:{complete})(?!\d)", compact(text, language)):
        return _ends_in_symbols(text, language, signs) or not _is_open(text, words, signs)
    kind = _KINDS.get(expecting)
    if kind is None:
        return False
    if expecting is not Expecting.EMAIL and _is_open(text, words, signs):
        return False
    parsed = parse(kind, text, language=language, today=_ANY_DAY)
    if expecting is Expecting.AMOUNT and parsed is None:
        parsed = parse(Kind.AMOUNT, text, language=language, today=_ANY_DAY)
    return parsed is not None


def _ends_in_symbols(text: str, language: str, signs: _Signs) -> bool:
    """Whether the last word, hesitation aside, is a digit or a letter that is being given."""
    while (last := _LAST_WORD.search(text)) and last[0].strip(" .,?!").lower() in signs.fillers:
        text = text[: last.start()]
    return last is not None and compact(text, language) != compact(text[: last.start()], language)


def _is_open(text: str, words: Sequence[str], signs: _Signs) -> bool:
    """Whether ``words`` end where nobody ends a turn."""
    if text.rstrip().endswith((",", "...", "…", "-", "–", "—", ":")):
        return True
    if words[-1] in signs.fillers:
        return True
    if _ends_with(words, signs.closed_phrases):
        return False
    if words[-1] in signs.copulas and any(word in signs.questions for word in words[:-1]):
        return False  # "where my order is"
    asks = text.rstrip().endswith("?") and words[0] in signs.questions
    return not asks and (words[-1] in signs.open_words or _ends_with(words, signs.open_phrases))


def _ends_with(words: Sequence[str], phrases: re.Pattern[str]) -> bool:
    return any(phrases.fullmatch(" ".join(words[-length:])) for length in range(1, min(5, len(words)) + 1))


def _is_sentence(text: str, words: Sequence[str], signs: _Signs) -> bool:
    if signs.small_talk.fullmatch(" ".join(words)):
        return True
    if len(words) < _SHORTEST_SENTENCE:
        return False
    if text.rstrip().endswith("?"):
        return True
    has_verb = any(word in signs.verbs for word in words)
    begins = words[0] in signs.questions or any(word in signs.subjects for word in words[:-1])
    return has_verb and (begins or words[0] in signs.verbs)
