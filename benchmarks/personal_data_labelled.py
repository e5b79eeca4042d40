# ruff: noqa: E501, SIM905 (tables of formats and sentences)
"""Texts with known personal data, made from a seed: letters, mails, forms, logs, records.

Every value is drawn here, with its own format and (for numbers with a check digit) by trying
until the validator agrees; the validators are held against python-stdnum by the tests. Half the
texts hold hard negatives: numbers and words that look like personal data and are none.
"""

import base64
import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lilliput.corpus.personal import national_checks as check
from lilliput.corpus.personal.checksums import luhn
from lilliput.corpus.personal.payments import IBAN_LENGTHS

Span = tuple[int, int, str, str]
Draw = Callable[[random.Random], str]


@dataclass(frozen=True)
class Labelled:
    """A text and its personal data: start, end, kind, and the kind's variant."""

    text: str
    spans: tuple[Span, ...]


GIVEN = "Anna Jean José Zoë Łukasz Müller Søren Eleni Ivan Maria Tom Aoife Björn Kateřina".split()
FAMILY = "Schmidt Dupont García Rossi Kowalski Jansen Nielsen Virtanen O'Brien Novák Smith".split()
HOSTS = ("gmail.com", "web.de", "orange.fr", "mail.co.uk", "firma.example-net.de", "tu-berlin.de",
         "libero.it", "wp.pl", "acme.io", "students.uni.edu", "kpnmail.nl", "münchen.de")  # fmt: skip


def _ascii(word: str) -> str:
    return "".join(c for c in word.lower() if c in string.ascii_lowercase) or "x"


def email(r: random.Random) -> str:
    given, family = _ascii(r.choice(GIVEN)), _ascii(r.choice(FAMILY))
    local = r.choice([f"{given}.{family}", f"{given[0]}{family}{r.randint(1, 99)}", f"{given}_{family}",
                      f"{given}+{r.choice(['news', 'shop'])}", given.upper(), f"{family}-{given}"])  # fmt: skip
    return f"{local}@{r.choice(HOSTS)}"


def obfuscated(r: random.Random) -> str:
    local, _, host = email(r).partition("@")
    host = r.choice(["gmail.com", "acme.org", "uni-koeln.de"])
    at, dot = r.choice([(" at ", " dot "), (" [at] ", " [dot] "), ("(at)", "."), (" AT ", " DOT ")])
    return f"{local}{at}{host.replace('.', dot)}"


def digits(r: random.Random, count: int) -> str:
    return "".join(r.choice(string.digits) for _ in range(count))


def _fill(r: random.Random, form: str) -> str:
    """N a digit from 1, n any digit, anything else as it is."""
    table = {
        "N": lambda: str(r.randint(1, 9)),
        "n": lambda: digits(r, 1),
        "X": lambda: str(r.randint(2, 9)),
    }
    return "".join(table[c]() if c in table else c for c in form)


PHONES = (
    ("international", ("+49 30 Nnnnnnn", "+49 (0)89 Nnnnnnn", "+4917Nnnnnnnn", "+33 6 nn nn nn nn", "+44 7Nnn nnnnnn",
     "+44 (0)20 7nnn nnnn", "+34 6nn nnn nnn", "+39 3nn nnn nnnn", "+31 6 Nnnnnnnn", "+48 5nn nnn nnn", "+1 XNn-Xnn-nnnn",
     "+1-XNn-Xnn-nnnn", "+46 70 nnn nn nn", "+358 40 nnn nnnn", "+45 Nn nn nn nn", "+43 664 Nnnnnnn", "+32 4nn nn nn nn",
     "+351 9nn nnn nnn", "+30 69n nnn nnnn", "+420 7nn nnn nnn", "+36 30 Nnn nnnn", "+40 7nn nnn nnn", "+353 8n nnn nnnn",
     "0049 30 Nnnnnnn", "0033 6 nn nn nn nn", "+385 9n nnn nnnn", "+372 5nnn nnnn", "+371 2nnnnnnn", "+370 6nn nnnnn")),
    ("American", ("(XNn) Xnn-nnnn", "XNn-Xnn-nnnn", "XNn.Xnn.nnnn", "1-XNn-Xnn-nnnn", "(XNn)Xnn-nnnn", "XNnXnnnnnn")),
    ("national 0", ("030 / Nnnnnnn", "0171-Nnnnnnn", "089 Nnnnnn-nn", "06 nn nn nn nn", "01.nn.nn.nn.nn", "020 7nnn nnnn",
     "07Nnn nnnnnn", "07Nnnnnnnnn", "0161 4Nn nnnn", "06-Nnnnnnnn", "070-nnn nn nn", "0664 Nnnnnnn", "(01) Nnn nnnn",
     "0471 nnnnnn", "0912 nnn nnn")),
    ("national bare", ("6nn nnn nnn", "9nn nnn nnn", "5nn-nnn-nnn", "Nn nn nn nn", "69nnnnnnnn", "7nn nnn nnn", "3nn nnnnnnn")),
)  # fmt: skip


def iban(r: random.Random) -> str:
    country = r.choice(
        ["DE", "FR", "GB", "ES", "IT", "NL", "BE", "AT", "PL", "IE", "MT", "SE", "CH"]
    )
    letters = {"GB": 4, "NL": 4, "IE": 4, "MT": 4}.get(country, 0)
    bank = "".join(r.choice(string.ascii_uppercase) for _ in range(letters))
    if country == "IT":
        bank = r.choice(string.ascii_uppercase)
    account = bank + digits(r, IBAN_LENGTHS[country] - 4 - len(bank))
    number = int("".join(str(int(c, 36)) for c in account + country + "00"))
    plain = f"{country}{98 - number % 97:02d}{account}"
    if r.random() < 0.5:
        return plain
    return " ".join(plain[place : place + 4] for place in range(0, len(plain), 4))


def card(r: random.Random) -> str:
    start, count = r.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("6011", 16), ("3530", 16)]
    )
    body = start + digits(r, count - len(start) - 1)
    plain = body + next(d for d in string.digits if luhn(body + d))
    if r.random() < 0.3:
        return plain
    groups = (4, 6, 5) if count == 15 else (4, 4, 4, 4)
    sign, pieces, place = r.choice(" -"), [], 0
    for group in groups:
        pieces.append(plain[place : place + group])
        place += group
    return sign.join(pieces)


def ip(r: random.Random) -> str:
    if r.random() < 0.25:
        return f"2{r.choice(['a01', 'a02', '607'])}:{r.randint(16, 0xDB7):x}:{r.randint(1, 65535):x}::{r.randint(1, 65535):x}"
    first = r.choice([5, 31, 62, 78, 81, 91, 109, 151, 188, 212, 213, 217])
    return f"{first}.{r.randint(1, 254)}.{r.randint(0, 254)}.{r.randint(1, 254)}"


def mac(r: random.Random) -> str:
    sign = r.choice(":-")
    octets = [r.choice([0x3C, 0xA4, 0xD8, 0x00, 0xF0]), *(r.randint(1, 254) for _ in range(5))]
    return (
        sign.join(f"{octet:02x}" for octet in octets).upper()
        if r.random() < 0.5
        else sign.join(f"{octet:02x}" for octet in octets)
    )


def _token(
    r: random.Random, count: int, alphabet: str = string.ascii_letters + string.digits
) -> str:
    return "".join(r.choice(alphabet) for _ in range(count))


KEYS: Sequence[tuple[str, Draw]] = (
    ("AWS", lambda r: "AKIA" + _token(r, 16, string.ascii_uppercase + "234567")),
    ("GitHub", lambda r: "ghp_" + _token(r, 36)),
    ("Google", lambda r: "AIza" + _token(r, 35)),
    ("Slack", lambda r: f"xoxb-{digits(r, 11)}-{digits(r, 12)}-{_token(r, 24)}"),
    ("Stripe", lambda r: "sk_live_" + _token(r, 24)),
    ("OpenAI", lambda r: "sk-proj-" + _token(r, 48)),
    ("Anthropic", lambda r: "sk-ant-api03-" + _token(r, 40)),
    ("Hugging Face", lambda r: "hf_" + _token(r, 34)),
    ("JWT", lambda r: "eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(_token(r, 30).encode()).decode().rstrip("=") + "." + _token(r, 43)),
    ("private key", lambda r: "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(_token(r, 64) for _ in range(4)) + "\n-----END RSA PRIVATE KEY-----"),
)  # fmt: skip


def _dated(r: random.Random, form: str) -> str:
    """y two-digit year, m month, d day, n a digit, N one from 1, a a capital letter; else as it is."""
    year, month, day = r.randint(40, 99), r.randint(1, 12), r.randint(1, 28)
    table: dict[str, Callable[[], str]] = {
        "y": lambda: f"{year:02d}", "m": lambda: f"{month:02d}", "d": lambda: f"{day:02d}",
        "n": lambda: digits(r, 1), "N": lambda: str(r.randint(1, 9)),
        "a": lambda: r.choice(string.ascii_uppercase),
    }  # fmt: skip
    return "".join(table[c]() if c in table else c for c in form)


# Variant; what stands before it in its language; its written forms; its validator.
NATIONAL: Sequence[tuple[str, str, tuple[str, ...], Callable[[str], bool]]] = (
    ("AT SVNR", "Sozialversicherungsnummer", ("Nnnn dmy", "Nnnndmy"), check.austrian_svnr),
    ("BE RRN", "Rijksregisternummer", ("y.m.d-nnn.nn", "ymdnnnnn"), check.belgian_rrn),
    ("BG EGN", "ЕГН", ("ymdnnnn",), check.bulgarian_egn),
    ("CY TIC", "TIC", ("0nnnnnnna",), check.cypriot_tic),
    ("CZ/SK", "rodné číslo", ("ymd/nnnn", "ymdnnnn"), check.czech_slovak_birth_number),
    ("DE Steuer-ID", "Steuer-Identifikationsnummer", ("Nn nnn nnn nnn", "Nnnnnnnnnnn"), check.german_tax_number),
    ("DE RVNR", "Rentenversicherungsnummer", ("nndmyannn", "nn dmy a nnn"), check.german_pension_number),
    ("DK CPR", "CPR-nr.", ("dmy-nnnn", "dmynnnn"), check.danish_cpr),
    ("EE/LT", "isikukood", ("3ymdnnnn", "4ymdnnnn"), check.baltic_personal_code),
    ("ES DNI", "DNI", ("nnnnnnnna", "nnnnnnnn-a", "Xnnnnnnna", "Y-nnnnnnn-a"), check.spanish_dni),
    ("FI HETU", "henkilötunnus", ("dmy-nnna", "dmy-nnnn"), check.finnish_hetu),
    ("FR NIR", "numéro de sécurité sociale", ("1 y m nn nnn nnn nn", "2ymnnnnnnnnnn"), check.french_nir),
    ("GB NINO", "National Insurance number", ("aa nn nn nn a", "aannnnnna"), lambda n: _is_nino(n)),
    ("GB NHS", "NHS number", ("nnn nnn nnnn", "nnnnnnnnnn"), check.british_nhs_number),
    ("GB UTR", "UTR", ("nnnnn nnnnn", "nnnnnnnnnn"), check.british_utr),
    ("GR AMKA", "ΑΜΚΑ", ("dmynnnnn",), check.greek_amka),
    ("GR AFM", "ΑΦΜ", ("nnnnnnnnn",), check.greek_afm),
    ("HR OIB", "OIB", ("nnnnnnnnnnn",), check.croatian_oib),
    ("HU TAJ", "TAJ szám", ("nnn nnn nnn", "nnnnnnnnn"), check.hungarian_taj),
    ("HU tax", "adóazonosító jel", ("8nnnnnnnnn",), check.hungarian_tax_number),
    ("HU personal", "személyi szám", ("1-ymd-nnnn", "2ymdnnnn"), check.hungarian_personal_number),
    ("IE PPS", "PPS number", ("nnnnnnna", "nnnnnnnaa"), lambda n: n[8:] in ("", *"ABW") and check.irish_pps(n)),
    ("IT CF", "codice fiscale", ("aaaaaannannannna",), lambda n: n[8] in "ABCDEHLMPRST" and check.italian_fiscal_code(n)),
    ("LU", "matricule", ("19ymdnnnnn",), check.luxembourg_matricule),
    ("LV", "personas kods", ("dmy-1nnnn", "dmy1nnnn"), check.latvian_personal_code),
    ("MT", "karta tal-identità", ("nnnnnnnM", "nnnnnnnG"), check.maltese_id),
    ("NL BSN", "BSN", ("nnnnnnnnn", "nnnn.nn.nnn"), check.dutch_bsn),
    ("PL PESEL", "PESEL", ("ymdnnnnn",), check.polish_pesel),
    ("PT NIF", "NIF", ("2nnnnnnnn", "2nn nnn nnn"), check.portuguese_nif),
    ("RO CNP", "CNP", ("1ymdnnnnnn", "2ymdnnnnnn"), check.romanian_cnp),
    ("SE", "personnummer", ("ymd-nnnn", "19ymd-nnnn", "19ymdnnnn"), check.swedish_personal_number),
    ("SI EMŠO", "EMŠO", ("dm9ynnnnnn",), check.slovenian_emso),
    ("US SSN", "SSN", ("nnn-nn-nnnn", "nnnnnnnnn", "nnn nn nnnn"), check.american_ssn),
    ("US ITIN", "ITIN", ("9nn-7n-nnnn", "9nn7nnnnn"), check.american_itin),
)  # fmt: skip


def _is_nino(number: str) -> bool:
    first, second = "ABCEGHJKLMNOPRSTWXYZ", "ABCEGHJKLMNPRSTWXYZ"
    return (
        number[0] in first
        and number[1] in second
        and number[8] in "ABCD"
        and check.british_nino(number)
    )


def national(r: random.Random, row: int) -> str:
    _, _, forms, valid = NATIONAL[row]
    form = r.choice(forms)
    while True:
        value = _dated(r, form)
        if valid("".join(filter(str.isalnum, value)).upper()):
            return value


SECRETS = "abcdefghjkmnpqrstuvwxyz23456789!#%"
MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia".split(),
}  # fmt: skip


def birth_date(r: random.Random, language: str) -> str:
    day, month, year = r.randint(1, 28), r.randint(1, 12), r.randint(1935, 2010)
    name = MONTHS[language][month - 1]
    forms = {
        "en": [f"{day} {name} {year}", f"{name} {day}, {year}", f"{month}/{day}/{year}", f"{year}-{month:02d}-{day:02d}"],
        "de": [f"{day}. {name} {year}", f"{day:02d}.{month:02d}.{year}"],
        "fr": [f"{day} {name} {year}", f"{day:02d}/{month:02d}/{year}"],
        "es": [f"{day} de {name} de {year}", f"{day:02d}/{month:02d}/{year}"],
        "pl": [f"{day} {name} {year}", f"{day:02d}.{month:02d}.{year}"],
    }  # fmt: skip
    return r.choice(forms[language])


# Sentences with slots; a slot's kind says what fills it.
SENTENCES = (
    "Please write to {email} before Friday.", "From: {name} <{email}>", "Contact: {email}", "mailto:{email}",
    "Bitte schreiben Sie an {email}, danke.", "Écrivez-moi à {email} !", "\"email\": \"{email}\",", "{email},{name},active",
    "You can reach me at {obfuscated} if you like.", "Mail: {obfuscated}",
    "Call me on {phone_any} after six.", "Tel. {phone_any}", "Tel.: {phone_any}", "Telefon: {phone_any}", "Phone: {phone_any}",
    "Mobil {phone_any}", "Tél. : {phone_any}", "Teléfono: {phone_any}", "Telefono {phone_any}", "tel. kom. {phone_any}",
    "Sinut tavoittaa numerosta, puh. {phone_any}.", "Τηλ. {phone_any}", "\"phone\": \"{phone_any}\",",
    "My number is {phone_any}.", "Ring mig på {phone_any}", "Fax {phone_any}",
    "{name} · {phone_international}", "{name}, {phone_american}", "{name}\n{phone_trunk}\n",
    "Bitte überweisen Sie auf {iban}.", "IBAN: {iban}", "Payment to {iban} within 14 days.", "{name};{iban};120,00",
    "Card number {card}, valid to 09/27.", "I paid with {card} yesterday.", "\"card\": \"{card}\"", "Karte: {card}",
    "{ip} - - [12/Mar/2024:10:15:32 +0100] \"GET /index.html HTTP/1.1\" 200 5123", "Failed password for root from {ip} port 52144 ssh2",
    "Received: from mx.host ([{ip}])", "The client {ip} asked twice.", "Wi-Fi client {mac} joined", "hwaddr={mac}",
    "export KEY={key}", "token: {key}", "The key is {key} for now.", "Authorization: Bearer {key}",
    "password={password}", "Password: {password}", "db_password = \"{password}\"", "Passwort: {password}",
    "git clone https://{credentials}@git.acme.io/x.git", "postgres://{credentials}@db.acme.io:5432/app",
    "{name} was born on {birth_en} in Leeds.", "DOB: {birth_en}", "Date of birth: {birth_en}", "geboren am {birth_de} in Köln",
    "Geburtsdatum: {birth_de}", "née le {birth_fr} à Lyon", "Date de naissance : {birth_fr}", "Fecha de nacimiento: {birth_es}",
    "nacido el {birth_es}", "Data urodzenia: {birth_pl}", "urodzony {birth_pl} w Łodzi",
    "GPS: {coordinates}", "location = {coordinates}",
    "Send 0.1 BTC to {bitcoin} please.", "wallet {ethereum}",
)  # fmt: skip

NEGATIVES: Sequence[Draw] = (
    lambda r: f"ISBN 978-{r.randint(0, 9)}-{digits(r, 2)}-{digits(r, 6)}-{r.randint(0, 9)}",
    lambda r: f"ISBN {digits(r, 10)}",
    lambda r: f"order no. {digits(r, r.choice([8, 9, 10, 11, 12]))}",
    lambda r: f"Bestellnummer {digits(r, 11)}", lambda r: f"invoice {digits(r, 4)}-{digits(r, 6)}",
    lambda r: f"version {r.randint(1, 20)}.{r.randint(0, 20)}.{r.randint(0, 20)}.{r.randint(0, 90)}",
    lambda r: f"Chrome/{r.randint(60, 120)}.0.{r.randint(100, 250)}.{r.randint(1, 250)}",
    lambda r: f"see section {r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)} for more",
    lambda r: f"2024-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}.{digits(r, 6)}",
    lambda r: f"timestamp {r.randint(1_600_000_000, 1_750_000_000)}", lambda r: f"{r.randint(1_600_000_000_000, 1_750_000_000_000)} ms",
    lambda r: "sha1 " + _token(r, 40, "0123456789abcdef"), lambda r: "md5=" + _token(r, 32, "0123456789abcdef"),
    lambda r: "commit " + _token(r, 8, "0123456789abcdef"), lambda r: "-".join(_token(r, n, "0123456789abcdef") for n in (8, 4, 4, 4, 12)),
    lambda r: f"from 192.168.{r.randint(0, 254)}.{r.randint(1, 254)} port {r.randint(1024, 65000)}", lambda r: f"10.0.{r.randint(0, 99)}.{r.randint(1, 99)}",
    lambda r: "127.0.0.1:8080", lambda r: "0.0.0.0", lambda r: "255.255.255.0", lambda r: f"logo@{r.randint(2, 3)}x.png",
    lambda r: "git@github.com:owner/project.git", lambda r: "thanks @anna and @tom_smith", lambda r: "user@example.com", lambda r: "react@18.2.0",
    lambda r: f"tracking {_token(r, 2, string.ascii_uppercase)}{digits(r, 9)}{_token(r, 2, string.ascii_uppercase)}",
    lambda r: f"part {_token(r, 2, string.ascii_uppercase)}-{digits(r, 4)}-{digits(r, 3)}", lambda r: f"DOI 10.{digits(r, 4)}/s{digits(r, 5)}-{digits(r, 3)}-{digits(r, 4)}-{r.randint(0, 9)}",
    lambda r: f"{digits(r, 3)} {digits(r, 3)} {digits(r, 3)} euros", lambda r: f"population {r.randint(1, 9)},{digits(r, 3)},{digits(r, 3)}",
    lambda r: f"the years 19{digits(r, 2)}-19{digits(r, 2)}", lambda r: f"on {r.randint(1, 28):02d}.{r.randint(1, 12):02d}.2023 at {r.randint(8, 18)}:30",
    lambda r: f"the battle of {r.randint(1, 28)} March 19{digits(r, 2)}", lambda r: f"scores 21-15, 18-21, 21-{r.randint(10, 19)}",
    lambda r: f"{r.random() * 90:.4f}, {r.random() * 90:.4f} and {r.random() * 90:.4f}", lambda r: f"pi is 3.14159265358979{digits(r, 4)}",
    lambda r: f"tweet {r.randint(10**18, 2 * 10**18)}", lambda r: f"EAN {digits(r, 13)}", lambda r: f"UPC {digits(r, 12)}",
    lambda r: f"at {digits(r, 2)} {digits(r, 2)} {digits(r, 2)}", lambda r: f"case {r.randint(1990, 2024)}-{digits(r, 5)}", lambda r: "password: required",
    lambda r: "password = os.environ['PASSWORD']", lambda r: "api_key = \"YOUR_API_KEY_GOES_HERE_00\"", lambda r: "token = get_token()",
    lambda r: f"0x{_token(r, 8, '0123456789abcdef')}", lambda r: f"row {digits(r, 3)} {digits(r, 4)} {digits(r, 3)} {digits(r, 4)}", lambda r: f"#{digits(r, 9)}",
    lambda r: f"/item/{digits(r, 10)}.html", lambda r: f"?id={digits(r, 12)}", lambda r: f"MN {digits(r, 5)}-{digits(r, 4)}", lambda r: f"RFC 2{digits(r, 3)}, 17 U.S.C. 107",
    lambda r: f"lot {digits(r, 8)}{r.choice(string.ascii_uppercase)}", lambda r: f"meeting at 5 at the dot com office, room {digits(r, 3)}", lambda r: f"EUR {digits(r, 3)}.{digits(r, 3)},{digits(r, 2)}",
    lambda r: f"flight LH{digits(r, 4)} seat 2{digits(r, 1)}A", lambda r: f"model {digits(r, 4)}-{digits(r, 4)}-{digits(r, 4)}", lambda r: f"serial {digits(r, 16)}",
)  # fmt: skip

FILLER = (
    "Thank you for your message.", "We met last week.", "Vielen Dank für Ihre Nachricht.", "Merci beaucoup.", "It was a long day.",
    "Nothing more to say here.", "Un saludo cordial.", "Z poważaniem,", "The rest is in the file.", "Met vriendelijke groet,",
)  # fmt: skip

BITCOINS = ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")  # fmt: skip


def _value(r: random.Random, slot: str) -> tuple[str, str, str]:
    """A slot's value, kind ("" for none) and variant."""
    if slot == "name":
        return f"{r.choice(GIVEN)} {r.choice(FAMILY)}", "", ""
    if slot in ("email", "obfuscated"):
        return (email if slot == "email" else obfuscated)(r), "email", slot
    if slot.startswith("phone"):
        number = {"phone_international": 0, "phone_american": 1, "phone_trunk": 2}.get(
            slot, r.randrange(4)
        )
        variant, written = PHONES[number]
        forms = tuple(f for f in written if slot == "phone_any" or f != "XNnXnnnnnn")
        return _fill(r, r.choice(forms)), "phone", variant
    if slot == "key":
        variant, draw = r.choice(KEYS)
        return draw(r), "key", variant
    if slot == "password":
        return "Tr0" + _token(r, r.randint(5, 9), SECRETS), "key", "password"
    if slot == "credentials":
        return f"{_ascii(r.choice(GIVEN))}:{_token(r, 9)}7", "url_credentials", ""
    if slot.startswith("birth"):
        return birth_date(r, slot[-2:]), "birth_date", slot[-2:]
    if slot == "coordinates":
        return f"{r.uniform(36, 60):.5f}, {r.uniform(-9, 30):.5f}", "coordinates", ""
    if slot == "bitcoin":
        return r.choice(BITCOINS), "crypto", "Bitcoin"
    if slot == "ethereum":
        return "0x" + _token(r, 40, "0123456789abcdef"), "crypto", "Ethereum"
    draws: dict[str, Draw] = {"iban": iban, "card": card, "ip": ip, "mac": mac}
    return draws[slot](r), slot, ""


def _sentence(r: random.Random) -> tuple[str, list[Span]]:
    form = r.choice(SENTENCES)
    text, spans = "", []
    for piece in string.Formatter().parse(form):
        text += piece[0]
        if piece[1]:
            value, kind, variant = _value(r, piece[1])
            if kind:
                spans.append((len(text), len(text) + len(value), kind, variant))
            text += value
    return text, spans


def _national_sentence(r: random.Random) -> tuple[str, list[Span]]:
    row = r.randrange(len(NATIONAL))
    value, (name, words, _, _) = national(r, row), NATIONAL[row]
    form = r.choice(
        ["{w}: {v}", "{w} {v}", '"{w}": "{v}"', "Meine/My {w} is {v}.", "{v} ({w})", "{n};{v};ok"]
    )
    text = form.format(w=words, v=value, n=r.choice(FAMILY))
    start = text.index(value)
    # In the last form nothing says what the number is.
    bare = "without context" if form.startswith("{n}") else ""
    return text, [(start, start + len(value), "national_id", bare or name)]


def labelled(count: int, seed: int = 0) -> list[Labelled]:
    """`count` texts of a few sentences each, with their personal data."""
    r = random.Random(seed)
    documents = []
    for _ in range(count):
        text, spans = "", []
        for _ in range(r.randint(2, 8)):
            chance = r.random()
            if chance < 0.35:
                piece, found = _sentence(r)
            elif chance < 0.5:
                piece, found = _national_sentence(r)
            elif chance < 0.75:
                piece, found = r.choice(NEGATIVES)(r), []
            else:
                piece, found = r.choice(FILLER), []
            spans += [(start + len(text), end + len(text), *rest) for start, end, *rest in found]
            text += piece + r.choice(["\n", "\n\n", "  "])
        documents.append(Labelled(text, tuple(spans)))  # type: ignore[arg-type]
    return documents
