# ruff: noqa: E501 (tables of values)
"""What is found, what is left alone, and which of two overlapping findings stays."""

import itertools

import pytest

from lilliput.corpus.personal import Finding, find_personal_data
from lilliput.corpus.personal.checksums import iso7064_mod97_10, luhn, verhoeff
from lilliput.corpus.personal.kinds import KIND_NAMES, resolve
from lilliput.corpus.personal.masks import mask, masked


def found(text: str) -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.kind) for one in find_personal_data(text)]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("Mail jane.doe+x@mail.acme.com!", "jane.doe+x@mail.acme.com", "email"),
        ("jürgen@müller.de schrieb", "jürgen@müller.de", "email"),
        ("(mailto:o'brien@acme.ie)", "o'brien@acme.ie", "email"),
        ("email=bob@acme.org&x=1", "bob@acme.org", "email"),
        ("bounce+bob=acme.org@lists.acme.com", "bounce+bob=acme.org@lists.acme.com", "email"),
        ("write to bob at acme dot org", "bob at acme dot org", "email"),
        ("bob [at] acme [dot] org", "bob [at] acme [dot] org", "email"),
        ("bob(at)acme.org", "bob(at)acme.org", "email"),
        ("ring +49 30 901820.", "+49 30 901820", "phone"),
        ("+44 (0)20 7946 1958", "+44 (0)20 7946 1958", "phone"),
        ("+1 415 867 5309", "+1 415 867 5309", "phone"),
        ("(415) 867-5309", "(415) 867-5309", "phone"),
        ("Tél. : 06 14 06 33 21", "06 14 06 33 21", "phone"),
        ("030 / 1234567", "030 / 1234567", "phone"),
        ("Teléfono: 612345678", "612345678", "phone"),
        ("Fax No: 234 1 7591666", "234 1 7591666", "phone"),
        ("from 81.2.69.142 port 22", "81.2.69.142", "ip"),
        ("http://81.2.69.142/x", "81.2.69.142", "ip"),
        ("from 2a00:1450:4001:81b::200e", "2a00:1450:4001:81b::200e", "ip"),
        ("hwaddr 3c:22:fb:aa:01:9f", "3c:22:fb:aa:01:9f", "mac"),
        ("an DE89 3704 0044 0532 0130 00.", "DE89 3704 0044 0532 0130 00", "iban"),
        ("GB29NWBK60161331926819", "GB29NWBK60161331926819", "iban"),
        ("MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S", "iban"),
        ("paid with 4111-1111-1111-1111", "4111-1111-1111-1111", "card"),
        ("3782 822463 10005", "3782 822463 10005", "card"),
        ("card 4222222222222", "4222222222222", "card"),
        ("to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "crypto"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "crypto"),
        ("key AKIAIOSFODNN7ABCDEFG", "AKIAIOSFODNN7ABCDEFG", "key"),
        ("ghp_" + "a1B2" * 9, "ghp_" + "a1B2" * 9, "key"),
        ("password=hunter2", "hunter2", "key"),
        ('"api_key": "9f8b7c6d5e4f3a2b1c0d"', "9f8b7c6d5e4f3a2b1c0d", "key"),
        ("https://bob:s3cret@acme.com/x", "bob:s3cret", "url_credentials"),
        ("born on 3 March 1985 in Leeds", "3 March 1985", "birth_date"),
        ("DOB: 03/04/85", "03/04/85", "birth_date"),
        ("geb. 12.11.1970", "12.11.1970", "birth_date"),
        ("né le 12 février 1970", "12 février 1970", "birth_date"),
        ("born 1970-11-12", "1970-11-12", "birth_date"),
        ("GPS: 52.52001, 13.40495", "52.52001, 13.40495", "coordinates"),
    ],
)  # fmt: skip
def test_found(text: str, value: str, kind: str) -> None:
    assert found(text) == [(value, kind)]


def test_a_private_key_goes_as_a_whole() -> None:
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc123\n-----END RSA PRIVATE KEY-----"
    assert found(f"x\n{block}\ny") == [(block, "key")]


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com or x@mail.example.org",
        "logo@2x.png",
        "git@github.com:owner/name.git",
        "@anna and react@18.2.0",
        "from 192.168.1.17, 10.0.0.1, 127.0.0.1 and 203.0.113.7",
        "version 1.22.33.44 and Chrome/91.0.144.12",
        "section 4.3.2.1",
        "at 12:34:56:78",
        "00:00:5e:00:53:af",
        "DE89 3704 0044 0532 0130 01",
        "XX89 3704 0044 0532 0130 00",
        "4111 1111 1111 1112",
        "9111 1111 1111 1111",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "0x0000000000000000000000000000000000000001",
        "AKIAIOSFODNN7EXAMPLE",
        "password: required",
        "password = os.environ['PASSWORD']",
        "token = get_token()",
        "https://user:password@host.com/x",
        "the war of 3 March 1985",
        "born on 31 June 1985",
        "(415) 555-0123 and +44 7700 900123",
        "ISBN 978-3-16-148410-0",
        "2024-05-06 12:33:44.123456",
        "order no. 1234567890",
        "1 2 3 4 5 6 7 8 9",
        "call in 1971-2000",
        "pi is 3.14159265358979323846",
        "12.3456, 78.9012",
        "sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ],
)
def test_left_alone(text: str) -> None:
    assert found(text) == []


def test_the_most_specific_stays_then_the_longest() -> None:
    phone, card = Finding(0, 30, "phone"), Finding(5, 21, "card")
    assert resolve([phone, card]) == [card]
    short, long = Finding(0, 5, "phone"), Finding(0, 9, "phone")
    assert resolve([short, long]) == [long]
    assert resolve([long, short]) == [long]


def test_findings_are_ascending_and_apart() -> None:
    text = "a@b.org 219-09-9998 https://x:y1@c.org +49 30 901820 DE89370400440532013000"
    findings = find_personal_data(text)
    assert len(findings) == 5
    for one, other in itertools.pairwise(findings):
        assert one.end <= other.start


def test_checksums_against_published_numbers() -> None:
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert verhoeff("2363")
    assert not verhoeff("2364")
    assert iso7064_mod97_10("WEST12345698765432GB82")


def test_masks_show_form_only() -> None:
    assert mask("jane@acme.org", "email") == "j…@a….org"
    assert mask("219-09-9998", "national_id") == "•••-••-••••"
    assert mask("hunter2", "key") == "(7 characters)"
    for kind in KIND_NAMES:
        assert "hunter" not in mask("hunter2 4111", kind)
    text = "I am a@b.org"
    assert masked(text, find_personal_data(text)) == "I am [email: a…@b….org]"
