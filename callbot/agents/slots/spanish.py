"""Spanish answers: digits, letters, days, times, money, yes and no."""

from callbot.agents.slots.vocabulary import Vocabulary, phrases, word_set

_WEEKDAYS = ["lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"]
_MONTHS = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
_TEENS = [
    "diez",
    "once",
    "doce",
    "trece",
    "catorce",
    "quince",
    "dieciseis",
    "diecisiete",
    "dieciocho",
    "diecinueve",
    "veinte",
    "veintiuno",
    "veintidos",
    "veintitres",
    "veinticuatro",
    "veinticinco",
    "veintiseis",
    "veintisiete",
    "veintiocho",
    "veintinueve",
]
_LETTER_NAMES = {
    "be": "b",
    "ce": "c",
    "efe": "f",
    "ge": "g",
    "hache": "h",
    "jota": "j",
    "ka": "k",
    "ca": "k",
    "ele": "l",
    "eme": "m",
    "ene": "n",
    "pe": "p",
    "cu": "q",
    "erre": "r",
    "ere": "r",
    "ese": "s",
    "te": "t",
    "uve": "v",
    "ve": "v",
    "uve doble": "w",
    "doble u": "w",
    "doble ve": "w",
    "equis": "x",
    "ye": "y",
    "i griega": "y",
    "zeta": "z",
    "de": "d",
}
_ALPHABET = [
    "antonio",
    "barcelona",
    "bravo",
    "carmen",
    "casa",
    "dedo",
    "dolores",
    "enrique",
    "espana",
    "francia",
    "gato",
    "granada",
    "historia",
    "italia",
    "jose",
    "kilo",
    "lima",
    "lorenzo",
    "madrid",
    "maria",
    "navarra",
    "oviedo",
    "papa",
    "paris",
    "queso",
    "ramon",
    "roma",
    "sevilla",
    "toledo",
    "tango",
    "valencia",
    "yolanda",
    "zaragoza",
]

SPANISH = Vocabulary(
    digits={
        word: value
        for value, word in enumerate(
            ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"]
        )
    }
    | {"una": 1},
    teens={word: value for value, word in enumerate(_TEENS, 10)} | {"veintiun": 21, "veintiuna": 21},
    tens={
        word: value * 10
        for value, word in enumerate(
            ["treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"], 3
        )
    },
    hundreds={
        "cien": 100,
        "ciento": 100,
        "doscientos": 200,
        "doscientas": 200,
        "trescientos": 300,
        "trescientas": 300,
        "cuatrocientos": 400,
        "cuatrocientas": 400,
        "quinientos": 500,
        "quinientas": 500,
        "seiscientos": 600,
        "seiscientas": 600,
        "setecientos": 700,
        "setecientas": 700,
        "ochocientos": 800,
        "ochocientas": 800,
        "novecientos": 900,
        "novecientas": 900,
    },
    hundred=frozenset(),
    thousand=word_set("mil"),
    article_one=word_set("un una"),
    compound_digits={"un": 1},
    number_joiner="y",
    ordinals={"primero": 1, "primer": 1},
    repeats={"doble": 2, "triple": 3},
    quantities={
        ("un", "par"): 2,
        ("media", "docena"): 6,
        ("una", "docena"): 12,
        ("ambos",): 2,
        ("ambas",): 2,
        ("un",): 1,
        ("ninguno",): 0,
        ("ninguna",): 0,
    },
    pronoun_one=word_set("uno una"),
    not_counting=word_set("el la este esta ese esa otro otra cada algun alguna ningun"),
    unsure_digits={"o": "0", "sero": "0", "cinko": "5", "sinco": "5", "sinko": "5", "sais": "6"},
    letter_names={tuple(name.split()): letter for name, letter in _LETTER_NAMES.items()},
    unsure_letters=word_set("a e o u y"),
    spelling_alphabet={word: word[0] for word in _ALPHABET},
    alike=("bcdegptv3", "mnñ", "fsx", "ahk", "iy", "qu", "gj"),
    as_in=phrases("de | como | como en | como de"),
    run_fillers=word_set("y luego guion espacio eh em este despues"),
    run_leads=word_set(
        "es numero pedido letra codigo si con eh em pues bueno vale perdon digo no mejor decir hola"
    ),
    email_at=phrases("arroba | @ | at"),
    email_marks={
        ("punto",): ".",
        ("dot",): ".",
        ("guion", "bajo"): "_",
        ("guion",): "-",
        ("mas",): "+",
        ("_",): "_",
        ("+",): "+",
    },
    email_leads=word_set(
        "es correo electronico email mail direccion si claro vale bueno pues mi el la a en eh em no perdon "
        "digo favor por gracias"
    ),
    day_first=True,
    weekdays={word: day for day, word in enumerate(_WEEKDAYS)},
    months={word: month for month, word in enumerate(_MONTHS, 1)} | {"setiembre": 9},
    relative_days={
        ("hoy",): 0,
        ("esta", "tarde"): 0,
        ("esta", "noche"): 0,
        ("manana",): 1,
        ("pasado", "manana"): 2,
        ("ayer",): -1,
    },
    next_words=phrases("proximo | el proximo"),
    this_words=phrases("este"),
    last_words=frozenset(),
    next_after=phrases("de la semana que viene | de la proxima semana | que viene | proximo"),
    next_week=phrases("la semana que viene el | la proxima semana el"),
    week_later=phrases("de la otra semana"),
    in_words=phrases("en | dentro de"),
    day_units={"dia": 1, "dias": 1, "semana": 7, "semanas": 7},
    from_now=frozenset(),
    from_day=frozenset(),
    articles=word_set("el la dia para"),
    of=word_set("de del"),
    at_time=phrases("a las | a la | sobre las | hacia las | desde las | hasta las | las | la"),
    oclock=phrases("en punto | horas"),
    periods={
        ("de", "la", "manana"): "morning",
        ("por", "la", "manana"): "morning",
        ("en", "la", "manana"): "morning",
        ("am",): "morning",
        ("de", "la", "tarde"): "afternoon",
        ("por", "la", "tarde"): "afternoon",
        ("en", "la", "tarde"): "afternoon",
        ("pm",): "afternoon",
        ("esta", "tarde"): "afternoon",
        ("de", "la", "noche"): "night",
        ("por", "la", "noche"): "night",
        ("esta", "noche"): "night",
        ("de", "la", "madrugada"): "morning",
    },
    fixed_times={"mediodia": (12, 0), "medianoche": (0, 0)},
    half=phrases("y media"),
    quarter=word_set("cuarto"),
    past=word_set("y"),
    to=word_set("menos"),
    minutes=word_set("minuto minutos"),
    hour_before_minutes=True,
    currencies={
        "dolar": "$",
        "dolares": "$",
        "peso": "$",
        "pesos": "$",
        "euro": "€",
        "euros": "€",
        "libra": "£",
        "libras": "£",
    },
    cents=word_set("centavo centavos centimo centimos"),
    decimal_words=word_set("coma punto"),
    and_cents=word_set("con y"),
    decimal_comma=True,
    yes=phrases("""
        si | claro | si claro | claro que si | por supuesto | vale | de acuerdo | bueno | correcto | exacto
        exactamente | asi es | eso es | esta bien | perfecto | adelante | por favor | desde luego | ok | okay
        efectivamente | afirmativo | creo que si | como no | dale | cierto | muy bien | genial | hagalo
        si por favor | funciona | funciono | es correcto | si es correcto
    """),
    no=phrases("""
        no | no gracias | para nada | nada | negativo | que va | todavia no | aun no | ahora no | creo que no
        no creo | nunca | tampoco | incorrecto | claro que no | por supuesto que no | mejor no | no hace falta
        nada mas | eso es todo | no esta bien | no es correcto | no funciona
    """),
    weak_yes=phrases("""
        bueno | vale | de acuerdo | esta bien | perfecto | ok | okay | muy bien | genial | creo que si
        cierto | por favor
    """),
    undecided=phrases("""
        no se | no lo se | quizas | quiza | tal vez | no estoy seguro | no estoy segura | depende
        no tengo idea | como | perdon | no entiendo | si es posible | buenos dias | no le entiendo
    """),
    fillers=word_set("eh em pues bueno ah oh y pero este ay"),
    after_no=word_set(
        "gracias no lo la me es esta eso se senor senora por creo yo ya porque pero perdon hace quiero puedo"
    ),
    corrections=phrases("""
        no | perdon | no perdon | digo | quise decir | queria decir | quiero decir | mejor dicho | mejor
        en realidad | no espera | espere | me equivoque | no no | he dicho | dije
    """),
    strong_corrections=phrases("""
        digo | quise decir | queria decir | quiero decir | mejor dicho | en realidad | no espera | he dicho
        dije | me equivoque | no perdon | perdon es | perdon era | no es el | no era | no mejor
        no me refiero
    """),
    negations=phrases("no | en vez de | en lugar de"),
    choice_ordinals={
        ("primero",): 0,
        ("primera",): 0,
        ("opcion", "uno"): 0,
        ("segundo",): 1,
        ("segunda",): 1,
        ("opcion", "dos"): 1,
        ("tercero",): 2,
        ("tercera",): 2,
        ("opcion", "tres"): 2,
    },
    last_choice=phrases("el ultimo | la ultima"),
)
