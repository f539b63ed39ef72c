"""English answers, with the recogniser's spellings of spoken letters and digits."""

from callbot.agents.slots.vocabulary import Vocabulary, phrases, word_set

_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_LETTER_NAMES = {
    "ay": "a",
    "bee": "b",
    "be": "b",
    "cee": "c",
    "see": "c",
    "sea": "c",
    "dee": "d",
    "ee": "e",
    "eve": "e",
    "ef": "f",
    "eff": "f",
    "gee": "g",
    "jee": "g",
    "aitch": "h",
    "age": "h",
    "aged": "h",
    "haitch": "h",
    "eye": "i",
    "jay": "j",
    "kay": "k",
    "cay": "k",
    "el": "l",
    "ell": "l",
    "all": "l",
    "em": "m",
    "en": "n",
    "pee": "p",
    "pea": "p",
    "cue": "q",
    "queue": "q",
    "ar": "r",
    "our": "r",
    "are": "r",
    "ess": "s",
    "us": "s",
    "tee": "t",
    "tea": "t",
    "you": "u",
    "vee": "v",
    "double u": "w",
    "double you": "w",
    "ex": "x",
    "ax": "x",
    "axe": "x",
    "acts": "x",
    "why": "y",
    "zee": "z",
    "zed": "z",
}
_ALPHABET = [
    "alpha",
    "alfa",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliet",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
    "quebec",
    "romeo",
    "sierra",
    "tango",
    "uniform",
    "victor",
    "whiskey",
    "whisky",
    "xray",
    "yankee",
    "zulu",
    "apple",
    "boy",
    "cat",
    "david",
    "dog",
    "edward",
    "frank",
    "george",
    "henry",
    "king",
    "kilogram",
    "larry",
    "mary",
    "nancy",
    "nora",
    "peter",
    "queen",
    "robert",
    "sam",
    "sugar",
    "tom",
    "victory",
    "william",
    "zebra",
]

ENGLISH = Vocabulary(
    digits={
        word: value
        for value, word in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        )
    }
    | {"nought": 0, "niner": 9},
    teens={
        word: value
        for value, word in enumerate(
            [
                "ten",
                "eleven",
                "twelve",
                "thirteen",
                "fourteen",
                "fifteen",
                "sixteen",
                "seventeen",
                "eighteen",
                "nineteen",
            ],
            10,
        )
    },
    tens={
        word: value * 10
        for value, word in enumerate(
            ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
        )
    }
    | {"fourty": 40},
    hundreds={},
    hundred=word_set("hundred"),
    thousand=word_set("thousand grand"),
    article_one=word_set("a"),
    compound_digits={},
    number_joiner="and",
    ordinals={word: value for value, word in enumerate(_ORDINALS, 1)} | {"thirtieth": 30},
    repeats={"double": 2, "triple": 3, "treble": 3, "quadruple": 4},
    quantities={
        ("a", "couple"): 2,
        ("couple",): 2,
        ("a", "pair"): 2,
        ("both",): 2,
        ("half", "a", "dozen"): 6,
        ("a", "dozen"): 12,
        ("a", "single"): 1,
        ("none",): 0,
    },
    pronoun_one=word_set("one"),
    not_counting=word_set(
        "the this that which other another any every each no some big bigger biggest small smaller "
        "cheap cheaper cheapest new old good better best first second third last next mini pro mesh same"
    ),
    unsure_digits={
        "oh": "0",
        "o": "0",
        "ow": "0",
        "nil": "0",
        "won": "1",
        "to": "2",
        "too": "2",
        "tree": "3",
        "free": "3",
        "for": "4",
        "fore": "4",
        "sicks": "6",
        "ate": "8",
        "nein": "9",
    },
    letter_names={tuple(name.split()): letter for name, letter in _LETTER_NAMES.items()},
    unsure_letters=word_set("a i"),
    spelling_alphabet={word: word[0] for word in _ALPHABET} | {"exray": "x"},
    alike=("bcdegptvz3", "mn", "fsx", "ahjk8", "iy", "quw", "lo"),
    as_in=phrases("as in | is in | like | for | like in | as an | as and | as"),
    run_fillers=word_set("and then dash hyphen space um uh er erm hm followed by zeros"),
    run_leads=word_set(
        "is its it's number id order letter code um uh er yeah yes yep okay ok so that's was with "
        "sure well right please number's at reference says sorry no meant said actually think um hi hello"
    ),
    email_at=phrases("at | at sign | @"),
    email_marks={
        ("dot",): ".",
        ("period",): ".",
        ("dotcom",): ".com",
        ("dotnet",): ".net",
        ("dotorg",): ".org",
        ("point",): ".",
        ("underscore",): "_",
        ("under", "score"): "_",
        ("dash",): "-",
        ("hyphen",): "-",
        ("minus",): "-",
        ("plus",): "+",
        ("_",): "_",
        ("+",): "+",
    },
    email_leads=word_set(
        "is it's its email mail e address to yes yeah yep sure okay ok um uh so my the a was that's at use "
        "try please no well it's send receipt and or meant said actually sorry of course it be would course"
    ),
    day_first=False,
    weekdays={word: day for day, word in enumerate(_WEEKDAYS)}
    | {"mondays": 0, "tuesdays": 1, "wensday": 2, "tues": 1, "weds": 2, "thurs": 3, "thu": 3, "tue": 1},
    months={word: month for month, word in enumerate(_MONTHS, 1)}
    | {word[:3]: month for month, word in enumerate(_MONTHS, 1)}
    | {"sept": 9},
    relative_days={
        ("today",): 0,
        ("tonight",): 0,
        ("this", "morning"): 0,
        ("this", "afternoon"): 0,
        ("this", "evening"): 0,
        ("tomorrow",): 1,
        ("to", "morrow"): 1,
        ("the", "day", "after", "to", "morrow"): 2,
        ("the", "day", "after", "tomorrow"): 2,
        ("day", "after", "tomorrow"): 2,
        ("yesterday",): -1,
    },
    next_words=phrases("next | the next | the following"),
    this_words=phrases("this | this coming | coming"),
    last_words=phrases("last"),
    next_after=phrases("next week | of next week"),
    next_week=phrases("next week | next week on"),
    week_later=phrases("week | after next | the week after"),
    in_words=phrases("in"),
    day_units={"day": 1, "days": 1, "week": 7, "weeks": 7},
    from_now=phrases("from now | from today"),
    from_day=word_set("from"),
    articles=word_set("the on a"),
    of=word_set("of"),
    at_time=phrases("at | around | about | by | after | before | from | till | until | @"),
    oclock=phrases("o'clock | oclock | o clock | sharp"),
    periods={
        ("am",): "morning",
        ("a", "m"): "morning",
        ("pm",): "afternoon",
        ("p", "m"): "afternoon",
        ("in", "the", "morning"): "morning",
        ("morning",): "morning",
        ("in", "the", "afternoon"): "afternoon",
        ("afternoon",): "afternoon",
        ("in", "the", "evening"): "afternoon",
        ("evening",): "afternoon",
        ("tonight",): "afternoon",
        ("at", "night"): "night",
    },
    fixed_times={"noon": (12, 0), "midday": (12, 0), "noonish": (12, 0), "midnight": (0, 0)},
    half=phrases("half past | half"),
    quarter=word_set("quarter"),
    past=word_set("past after"),
    to=word_set("to of before till"),
    minutes=word_set("minute minutes"),
    hour_before_minutes=False,
    currencies={
        "dollar": "$",
        "dollars": "$",
        "buck": "$",
        "bucks": "$",
        "euro": "€",
        "euros": "€",
        "pound": "£",
        "pounds": "£",
        "quid": "£",
    },
    cents=word_set("cent cents penny pennies pence"),
    decimal_words=word_set("point"),
    and_cents=word_set("and"),
    decimal_comma=False,
    yes=phrases("""
        yes | yeah | yep | yup | ya | yah | yea | aye | sure | sure thing | of course | please do | please
        go ahead | go for it | go on | correct | that's correct | that is correct | that's right
        that is right | right | exactly | absolutely | definitely | certainly | indeed | ok | okay
        alright | all right | fine | that's fine | that's good | sounds good | sounds great | perfect
        great | good | i do | i did | i am | i have | i would | i will | i can | it is | it did | it does
        it has | they are | they do | uh huh | mhm | mm hmm | mmhmm | mm hm | uhhuh | affirmative
        why not | i think so | i guess so | i guess | i believe so | it worked | that worked | it works
        works for me | that works | let's do it | do it | do that | i'd like that | i'd love that
        no problem | no worries | by all means | you bet | totally | true | yes please | i want to
        happy to | book it | order it
    """),
    no=phrases("""
        no | nope | nah | na | no thanks | no thank you | not really | i don't think so | don't think so
        i'd rather not | rather not | not now | not yet | not today | never mind | nevermind | negative
        no way | not at all | i'm good | i am good | that's wrong | that's not right | that isn't right
        that's not correct | that is not right | that is not correct | that's incorrect | incorrect
        wrong | it isn't | it is not | it's not | it didn't | it did not | it doesn't | it does not
        it hasn't | i don't | i do not | i didn't | i did not | i won't | i can't | i haven't | i'm not
        don't | do not | please don't | not quite | not exactly | nothing | neither | never | no good
        still nothing | still not working | not working | didn't work | that didn't work
        it's still not | that's all | that's it | not that i know of | not that i know | i wouldn't
        absolutely not | definitely not | of course not | certainly not | i guess not | i think not
        not necessary | don't bother | no need
    """),
    weak_yes=phrases("""
        ok | okay | alright | all right | right | fine | that's fine | that's good | great | good | perfect
        sounds good | sounds great | mhm | mm hmm | mmhmm | mm hm | uh huh | uhhuh | i have | i am | i guess
        i guess so | i think so | i believe so | true | indeed | why not | no problem | no worries | please
    """),
    undecided=phrases("""
        i don't know | don't know | not sure | i'm not sure | i am not sure | maybe | perhaps | i do not know
        no idea | possibly | it depends | i do not understand | i don't understand | i do have a question
        what | sorry | pardon | good question | right now | good morning | good afternoon | good evening
        i am calling | i have a | i have an | i have no | i would like | i can see | i can hear | i am having
        i have to | i'm not calling | i don't have | i don't see | i didn't get | i didn't hear
        i didn't catch | i can't hear | i do not have | i have been | i have two | i have my
    """),
    fillers=word_set("um uh er erm hm hmm mm oh ah well so and but like then also ooh huh"),
    after_no=word_set(
        "thanks thank i i'm i'd i've i'll it it's that that's we you please need wait sorry actually sir "
        "ma'am madam just don't nope no not never nah yeah yes yet but this they there's there the he she my "
        "none nothing let's can could"
    ),
    corrections=phrases("""
        no | no i meant | no i mean | no sorry | no wait | sorry | sorry i meant | sorry i mean | i meant
        i mean | i said | actually | no actually | wait | make that | make it | or rather | correction
        scratch that | no make that | no i said | sorry i said | excuse me | let me correct that | oops
        no it's | i'm sorry | my mistake
    """),
    strong_corrections=phrases("""
        i meant | i mean | i said | actually | no wait | make that | make it | or rather | correction
        scratch that | let me correct that | oops | no it's | no it was | no it is | no sorry | sorry it's
        sorry i | sorry no | sorry it was | my mistake | no that's not | that's not what i | wrong one
        i misspoke | no not
    """),
    negations=phrases("not | instead of | rather than | isn't | don't want"),
    choice_ordinals={
        ("first",): 0,
        ("number", "one"): 0,
        ("option", "one"): 0,
        ("option", "1"): 0,
        ("number", "1"): 0,
        ("second",): 1,
        ("number", "two"): 1,
        ("option", "two"): 1,
        ("option", "2"): 1,
        ("number", "2"): 1,
        ("third",): 2,
        ("number", "three"): 2,
        ("option", "three"): 2,
        ("option", "3"): 2,
        ("number", "3"): 2,
        ("fourth",): 3,
        ("former",): 0,
    },
    last_choice=phrases("last one | the last | latter | the latter"),
)
