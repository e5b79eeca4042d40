# ruff: noqa: E501, PERF401 (wide tables)
# mypy: ignore-errors
"""Other packages' rules for personal data, one at a time; run by personal_data.py in their Python.

    python benchmarks/personal_data_peers.py presidio texts.json spans.json

Reads a list of texts, writes {"seconds": CPU seconds, "spans": [[[start, end, kind], …], …]}.
Each package runs with every rule it has for numbers and addresses, and without language models.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Find = Callable[[str], list[tuple[int, int, str]]]

_KINDS = {
    "EMAIL": "email", "EMAIL_ADDRESS": "email", "PHONE": "phone", "PHONE_NUMBER": "phone",
    "SSN": "national_id", "US_SSN": "national_id", "US_ITIN": "national_id", "UK_NHS": "national_id",
    "UK_NINO": "national_id", "ES_NIF": "national_id", "ES_NIE": "national_id",
    "IT_FISCAL_CODE": "national_id", "PL_PESEL": "national_id",
    "FI_PERSONAL_IDENTITY_CODE": "national_id", "SE_PERSONNUMMER": "national_id",
    "DE_TAX_ID": "national_id", "NATIONAL_INSURANCE_NUMBER": "national_id", "NINO": "national_id",
    "SOCIAL_SECURITY_NUMBER": "national_id", "CREDIT_CARD": "card", "IP_ADDRESS": "ip", "IP": "ip",
    "IBAN_CODE": "iban", "IBAN": "iban", "CRYPTO": "crypto", "DOB": "birth_date",
    "DATE_OF_BIRTH": "birth_date", "MAC_ADDRESS": "mac", "CREDENTIAL": "key",
}  # fmt: skip


def datatrove() -> Find:
    from datatrove.pipeline.formatters import PIIFormatter

    formatter = PIIFormatter()

    def find(text: str) -> list[tuple[int, int, str]]:
        found = []
        for kind, replacer in (("email", formatter.emails_replacer), ("ip", formatter.ip_replacer)):
            pattern = (
                re.compile(replacer.regex) if isinstance(replacer.regex, str) else replacer.regex
            )
            for match in pattern.finditer(text):
                if replacer.validator is None or replacer.validator(match.group(0)):
                    found.append((match.start(), match.end(), kind))
        return found

    return find


def scrubadub() -> Find:
    import scrubadub as package

    scrubber = package.Scrubber(locale="en_GB")

    def find(text: str) -> list[tuple[int, int, str]]:
        return [
            (f.beg, f.end, _KINDS.get(f.type.upper(), f.type)) for f in scrubber.iter_filth(text)
        ]

    return find


def presidio() -> Find:
    import presidio_analyzer.predefined_recognizers as rules
    from presidio_analyzer import PatternRecognizer

    recognizers: list[Any] = []
    for name in dir(rules):
        rule = getattr(rules, name)
        if isinstance(rule, type) and (
            issubclass(rule, PatternRecognizer) or name == "PhoneRecognizer"
        ):
            try:
                recognizers.append(rule())
            except Exception:
                continue

    def find(text: str) -> list[tuple[int, int, str]]:
        found = []
        for one in recognizers:
            for result in one.analyze(text, one.supported_entities, None):
                if result.score >= 0.4 and result.entity_type in _KINDS:
                    found.append((result.start, result.end, _KINDS[result.entity_type]))
        return found

    return find


def datafog() -> Find:
    from datafog.processing.text_processing.regex_annotator import RegexAnnotator

    annotator = RegexAnnotator()

    def find(text: str) -> list[tuple[int, int, str]]:
        _, result = annotator.annotate_with_spans(text)
        return [(s.start, s.end, _KINDS[s.label]) for s in result.spans if s.label in _KINDS]

    return find


def phonenumbers() -> Find:
    from phonenumbers import PhoneNumberMatcher

    def find(text: str) -> list[tuple[int, int, str]]:
        return [(m.start, m.end, "phone") for m in PhoneNumberMatcher(text, "US")]

    return find


PEERS: dict[str, Callable[[], Find]] = {
    "datatrove": datatrove, "scrubadub": scrubadub, "presidio": presidio, "datafog": datafog,
    "phonenumbers": phonenumbers,
}  # fmt: skip


def main() -> None:
    name, texts, spans = sys.argv[1:]
    find = PEERS[name]()
    find("warm up with a@b.org")
    documents = json.loads(Path(texts).read_text(encoding="utf-8"))
    began = time.process_time()
    found = [find(text) for text in documents]
    seconds = time.process_time() - began
    Path(spans).write_text(json.dumps({"seconds": seconds, "spans": found}), encoding="utf-8")


if __name__ == "__main__":
    main()
