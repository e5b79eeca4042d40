"""Fake values that look like the real ones and can belong to nobody.

A fake follows from the secret, the kind and the value alone, so that one value has one fake in
the whole corpus, and nobody without the secret can try values until one fits. Where a range is set
aside for examples the fake lies in it; where none is, the fake is one that no issuer can give out.
None is found by a second search.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lilliput.corpus.personal.checksums import luhn
from lilliput.corpus.personal.finding import Finding
from lilliput.corpus.personal.national import is_national_number
from lilliput.corpus.personal.phones import phone_digits

_SYLLABLES = tuple(c + v for c in "bdfgklmnprstv" for v in "aeiou")
_DOMAINS = ("example.com", "example.net", "example.org")


class Draws:
    """Pseudo-random numbers from a keyed hash (BLAKE2b in counter mode)."""

    def __init__(self, secret: bytes, kind: str, value: str) -> None:
        self._key = hashlib.blake2b(secret, digest_size=32).digest()
        self._of = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        self._block = 0
        self._left = b""

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1 (bound at most 65,536)."""
        if len(self._left) < 4:
            counter = self._block.to_bytes(8, "big")
            self._left = hashlib.blake2b(counter + self._of, key=self._key).digest()
            self._block += 1
        taken, self._left = self._left[:4], self._left[4:]
        return int.from_bytes(taken, "big") % bound

    def digits(self, count: int) -> str:
        return "".join(str(self.below(10)) for _ in range(count))

    def word(self, syllables: int) -> str:
        return "".join(_SYLLABLES[self.below(len(_SYLLABLES))] for _ in range(syllables))


@dataclass(frozen=True)
class Fakes:
    """Makes fakes with a user's secret."""

    secret: bytes

    def __call__(self, value: str, finding: Finding) -> str:
        """The fake for a value; equal values, however spaced or cased, have equal fakes."""
        same = _same(value, finding.kind)
        draws = Draws(self.secret, finding.kind, same)
        if finding.kind == "email":
            return self._email(value, draws)
        return _MAKERS[finding.kind](value, draws)

    def _email(self, value: str, draws: Draws) -> str:
        local, at, domain = value.rpartition("@")
        if not at:
            return f"{draws.word(3)} at example dot org"
        # People of one domain keep one domain.
        host = Draws(self.secret, "domain", domain.lower())
        name = f"{draws.word(3)}.{draws.word(2)}" if "." in local else draws.word(3)
        return f"{name}@{host.word(2)}.{_DOMAINS[host.below(3)]}"


def _same(value: str, kind: str) -> str:
    if kind == "phone":
        return phone_digits(value)
    if kind in ("iban", "card", "national_id", "mac"):
        return "".join(filter(str.isalnum, value)).upper()
    return value if kind in ("key", "url_credentials", "crypto") else value.casefold()


def _refill(value: str, characters: str, alike: Callable[[str], bool] = str.isalnum) -> str:
    """The value's form (spaces, hyphens) with other characters where `alike` says."""
    rest = iter(characters)
    return "".join(next(rest, character) if alike(character) else character for character in value)


def _shaped(value: str, draws: Draws) -> str:
    """Digits for digits and letters for letters, in their case; all else as it is."""

    def other(character: str) -> str:
        if character.isdigit():
            return draws.digits(1)
        if character.isalpha():
            letter = chr(97 + draws.below(26))
            return letter.upper() if character.isupper() else letter
        return character

    return "".join(map(other, value))


def _card(value: str, draws: Draws) -> str:
    # Cards that begin with 0 are no issuer's, phone numbers with 000 no country's; Luhn holds.
    count = sum(map(str.isdigit, value))
    body = "000" + draws.digits(count - 4)
    last = next(d for d in "0123456789" if luhn(body + d))
    return _refill(value, body + last)


def _iban(value: str, draws: Draws) -> str:
    # XX is a code that ISO 3166 never gives to a country; the check digits hold.
    account = _shaped("".join(filter(str.isalnum, value))[4:], draws).upper()
    number = int("".join(str(int(c, 36)) for c in account + "XX00"))
    return _refill(value, f"XX{98 - number % 97:02d}{account}")


def _national_id(value: str, draws: Draws) -> str:
    # Of the same form, but refused by the validator of every number that has this form.
    fake = _shaped(value, draws)
    while is_national_number(fake):
        fake = _shaped(value, draws)
    return fake


def _ip(value: str, draws: Draws) -> str:
    if ":" in value:  # RFC 3849
        return "2001:db8:" + ":".join(f"{draws.below(65536):x}" for _ in range(6))
    network = ("192.0.2", "198.51.100", "203.0.113")[draws.below(3)]  # RFC 5737
    return f"{network}.{1 + draws.below(254)}"


def _mac(value: str, draws: Draws) -> str:
    fake = f"00005E0053{draws.below(256):02X}"  # RFC 7042
    return _refill(value, fake if value.upper() == value else fake.lower())


def _phone(value: str, draws: Draws) -> str:
    digits = phone_digits(value)
    plain = value.split("x")[0].split("e")[0].rstrip()
    count = len(digits)
    international = plain.lstrip("(").startswith(("+", "00"))
    for code, national_length, ranges in _RESERVED_RANGES:
        prefix = ranges[draws.below(len(ranges))]
        if international and digits.startswith(code):
            body = code + prefix
        elif not international and digits.startswith("0") and count == national_length:
            body = "0" + prefix
        else:
            continue
        if len(body) < count <= len(body) + 4:
            fake = body + draws.digits(count - len(body))
            return _refill_phone(plain, fake)
    if (
        count in (10, 11)
        and (not digits.startswith("0"))
        and (not international or digits[0] == "1")
    ):
        area = f"{2 + draws.below(8)}{draws.digits(2)}"
        return _refill_phone(plain, ("1" if count == 11 else "") + f"{area}55501{draws.digits(2)}")
    return _refill_phone(plain, "999" + draws.digits(max(4, count - 3)))


# Calling code, digits of a number with the trunk zero, and the ranges that Ofcom, Arcep and the
# Bundesnetzagentur keep for films and examples (to be filled to the number's length).
_RESERVED_RANGES = (
    ("44", 11, ("7700900", "1632960", "2079460")),
    ("33", 10, ("639980", "199000")),
    ("49", 12, ("3023125", "6990009")),
)


def _refill_phone(value: str, digits: str) -> str:
    plain = value.replace("(0)", "")
    lead = "00" if plain.startswith("00") else ""
    return lead + _refill(plain[len(lead) :], digits)


def _birth_date(value: str, draws: Draws) -> str:
    # A day that no calendar has, in another year: 31 April, June, September or November.
    year = str(1930 + draws.below(80))
    numbers = re.findall(r"[0-9]+", value)
    words = re.findall(r"[^\W\d_]{3,}", value)
    if words:
        fake = re.sub(r"(?<!\d)[0-9]{1,2}(?!\d)(?:st|nd|rd|th)?", "31", value, count=1)
        month = ("April", "June", "September", "November")[draws.below(4)]
        fake = re.sub(r"[^\W\d_]{3,}", month, fake, count=1)
        return re.sub(r"[0-9]{4}", year, fake)
    month = ("04", "06", "09", "11")[draws.below(4)]
    parts = [year, month, "31"] if len(numbers[0]) == 4 else ["31", month, year[-len(numbers[2]) :]]
    return (
        "{}".join(re.split(r"[0-9]+", value)).format(*parts)
        if len(numbers) == 3
        else "31 June " + year
    )


def _coordinates(value: str, draws: Draws) -> str:
    # No latitude is above 90 degrees.
    return f"{91 + draws.below(9)}.{draws.digits(4)}, {draws.below(180)}.{draws.digits(4)}"


def _key(value: str, draws: Draws) -> str:
    # As vendors' manuals write keys that are none.
    return _shaped(value[: max(0, min(len(value), 64) - 7)], draws) + "EXAMPLE"


def _crypto(value: str, draws: Draws) -> str:
    if value.startswith("0x"):
        return "0x" + "0" * 32 + draws.digits(8)
    # "0" is in neither alphabet where it stands here, so no checksum can hold.
    return value[:1] + "0" + _shaped(value[2:], draws)


def _name(value: str, draws: Draws) -> str:
    return " ".join(draws.word(2).capitalize() for _ in value.split()) or draws.word(2)


def _address(value: str, draws: Draws) -> str:
    return f"{1 + draws.below(99)} {draws.word(3).capitalize()} Street"


_MAKERS: Mapping[str, Callable[[str, Draws], str]] = {
    "key": _key,
    "url_credentials": lambda value, draws: "user:password",
    "iban": _iban,
    "crypto": _crypto,
    "mac": _mac,
    "card": _card,
    "national_id": _national_id,
    "birth_date": _birth_date,
    "ip": _ip,
    "coordinates": _coordinates,
    "phone": _phone,
    "address": _address,
    "name": _name,
}
