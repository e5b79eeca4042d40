"""The table of kinds of personal data, and the search for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from lilliput.corpus.personal.dates_and_places import find_birth_dates, find_coordinates
from lilliput.corpus.personal.finding import Finder, Finding, Windows, digit_windows
from lilliput.corpus.personal.internet import (
    find_emails,
    find_ips,
    find_macs,
    find_url_credentials,
)
from lilliput.corpus.personal.keys import find_keys
from lilliput.corpus.personal.names import Recogniser
from lilliput.corpus.personal.national import find_national_numbers
from lilliput.corpus.personal.payments import find_cards, find_crypto_addresses, find_ibans
from lilliput.corpus.personal.phones import find_phones


def _nothing(text: str, windows: Windows) -> Iterator[Finding]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of personal data: its name in settings and placeholders, and in reports."""

    name: str
    title: str
    find: Finder


# The order is the order of being specific: where two findings overlap, the earlier kind stays.
KINDS: Sequence[Kind] = (
    Kind("key", "keys and passwords", find_keys),
    Kind("url_credentials", "credentials in URLs", find_url_credentials),
    Kind("iban", "IBANs", find_ibans),
    Kind("crypto", "cryptocurrency addresses", find_crypto_addresses),
    Kind("email", "e-mail addresses", find_emails),
    Kind("mac", "MAC addresses", find_macs),
    Kind("card", "payment cards", find_cards),
    Kind("national_id", "national identifiers", find_national_numbers),
    Kind("birth_date", "dates of birth", find_birth_dates),
    Kind("ip", "IP addresses", find_ips),
    Kind("coordinates", "coordinates", find_coordinates),
    Kind("phone", "phone numbers", find_phones),
    Kind("address", "postal addresses", _nothing),
    Kind("name", "names", _nothing),
)
KIND_NAMES = tuple(kind.name for kind in KINDS)
TITLES = {kind.name: kind.title for kind in KINDS}
_RANKS = {name: rank for rank, name in enumerate(KIND_NAMES)}


@dataclass(frozen=True)
class Search:
    """What to look for in a text.

    `kinds` as in KIND_NAMES (names and addresses come from `recognisers`), `countries` the
    national numbers to look for (ISO codes; empty: all).
    """

    kinds: tuple[str, ...] = KIND_NAMES
    countries: tuple[str, ...] = ()
    obfuscated_emails: bool = True
    recognisers: tuple[Recogniser, ...] = ()

    def __call__(self, text: str) -> list[Finding]:
        """The findings of a text, ascending and apart."""
        windows = digit_windows(text)
        found: list[Finding] = []
        for kind in KINDS:
            if kind.name in self.kinds:
                found.extend(self._finder(kind)(text, windows))
        for recogniser in self.recognisers:
            found.extend(one for one in recogniser([text])[0] if one.kind in self.kinds)
        return resolve(found)

    def _finder(self, kind: Kind) -> Finder:
        if kind.name == "email":
            return partial(find_emails, obfuscated=self.obfuscated_emails)
        if kind.name == "national_id" and self.countries:
            return partial(find_national_numbers, countries=self.countries)
        return kind.find


def resolve(found: Sequence[Finding]) -> list[Finding]:
    """Of overlapping findings the most specific kind's, then the longest, then the first."""
    if len(found) < 2:
        return list(found)
    kept: list[Finding] = []
    order = sorted(
        found, key=lambda one: (_RANKS[one.kind], one.start - one.end, one.start, one.label)
    )
    for one in order:
        if all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def find_personal_data(text: str, search: Search | None = None) -> list[Finding]:
    """The personal data in a text, ascending and apart; all kinds that need no model by default."""
    return (search or Search())(text)
