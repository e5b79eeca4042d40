# ruff: noqa: E501 (patterns)
"""What the net calls people by: e-mail addresses, credentials in URLs, IP and MAC addresses."""

import ipaddress
import re
from collections.abc import Iterator

from lilliput.corpus.personal.finding import Finding, Windows, has_context, matches, word_pattern

# RFC 5321's local part without quoted strings and without characters that in running text nearly
# always stand around an address; letters of any script, as RFC 6531 has it.
_LOCAL_END = re.compile(r"[\w.+\-%&'~=]{1,64}\Z")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
)
_URL_BEFORE = re.compile(r"://[^\s/@]*\Z")
_FILE_ENDINGS = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "htm", "html", "php", "json", "txt", "pdf")
)  # fmt: skip
# Domains that RFC 2606 and RFC 6761 set aside: nobody's.
_RESERVED_DOMAIN = re.compile(
    r"(?:.*\.)?(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost)\Z", re.I
)
_TOP_DOMAINS = r"(?:com|org|net|edu|gov|mil|int|info|biz|name|eu|[a-z]{2})"

_BRACKETED_AT = re.compile(r"[\[({<] ?(?:at|AT|dot|DOT) ?[\])}>]")
_OBFUSCATED = re.compile(
    r"(?<![\w.])[^\W\d_][\w.+-]{0,63}?(?: ?[\[({<] ?at ?[\])}>] ?[a-z0-9-]+(?:(?: ?[\[({<] ?dot ?[\])}>] ?| dot |\.)[a-z0-9-]+){0,4}?"
    r"| at [a-z0-9-]+(?:(?: ?[\[({<] ?dot ?[\])}>] ?| dot )[a-z0-9-]+){0,4}?)"
    r"(?: ?[\[({<] ?dot ?[\])}>] ?| dot |\.)" + _TOP_DOMAINS + r"(?!\w)",
    re.IGNORECASE,
)  # fmt: skip
_OBFUSCATED_RESERVED = re.compile(r"\bexample\W+(?:dot\W+)?(?:com|org|net|edu)\Z", re.IGNORECASE)

_CREDENTIALS = re.compile(
    r"[a-z][a-z0-9+.\-]{1,15}://([^\s/@:\"'<>]{1,64}:[^\s/@\"'<>]{1,128})@", re.I
)
_CREDENTIALS_OF_MANUALS = frozenset(
    ("user:password", "user:pass", "username:password", "user:secret", "user:pwd", "login:password")
)  # fmt: skip

_IPV4 = re.compile(r"(?<![\w.-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.\w)", re.ASCII)
_IPV6_GATE = re.compile(r"[23][0-9a-fA-F]{3}:[0-9a-fA-F]{0,4}:")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
_NUMBER_WORDS = re.compile(
    r"(?:version|release|revision|section|ver|rev|v|§)\.? ?\Z|[A-Za-z]/\Z", re.I
)
_NETWORK_WORDS = word_pattern(
    (r"ips?", r"ipv4", r"address(?:es)?", r"hosts?", r"from", r"client", r"dns", r"server")
)

_MAC_GATE = re.compile(r"[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]")
_MAC = re.compile(
    r"(?<![\w:-])(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5})(?![\w:-])"
)


def find_emails(text: str, windows: Windows, *, obfuscated: bool = True) -> Iterator[Finding]:
    """E-mail addresses, but for those of reserved domains (example.org and its like).

    `obfuscated` also finds "name at host dot org" and "name [at] host.org".
    """
    at = text.find("@")
    while at >= 0:
        local = _LOCAL_END.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1)
        if local and domain:
            start = _local_start(text, local.start(), at)
            end = domain.end()
            if start < at and _is_address(text, start, at, end):
                yield Finding(start, end, "email")
        at = text.find("@", at + 1)
    spelled = " dot " in text or " DOT " in text
    if obfuscated and (spelled or _BRACKETED_AT.search(text)):
        for match in _OBFUSCATED.finditer(text):
            if not _OBFUSCATED_RESERVED.search(match.group()):
                yield Finding(*match.span(), "email", "obfuscated")


def _local_start(text: str, start: int, at: int) -> int:
    """Where the local part begins, without what only leads up to it (quotes, "to=")."""
    equals = text.rfind("=", start, at)
    # An address inside the local part (name=host.org@list.org, a bounce address) belongs to it.
    if equals >= 0 and not re.search(rf"\.{_TOP_DOMAINS}\Z", text[equals + 1 : at], re.I):
        start = equals + 1
    while start < at and not (text[start].isalnum() or text[start] == "_"):
        start += 1
    return start


def _is_address(text: str, start: int, at: int, end: int) -> bool:
    domain = text[at + 1 : end]
    if text[at - 1] == "." or domain.rpartition(".")[2].lower() in _FILE_ENDINGS:
        return False
    # git@github.com:owner/name is a place, not a person.
    if text[start:at] == "git" and text[end : end + 1] in (":", "/"):
        return False
    # https://name:password@host: what stands before the at sign belongs to the URL.
    if _URL_BEFORE.search(text, max(0, start - 80), start):
        return False
    return not _RESERVED_DOMAIN.match(domain)


def find_url_credentials(text: str, windows: Windows) -> Iterator[Finding]:
    """The "name:password" of a URL, without the at sign."""
    if "://" in text and "@" in text:
        for match in _CREDENTIALS.finditer(text):
            if match.group(1).lower() not in _CREDENTIALS_OF_MANUALS:
                yield Finding(*match.span(1), "url_credentials")


def find_ips(text: str, windows: Windows) -> Iterator[Finding]:
    """Addresses of the global Internet: not private, not reserved, not for documentation."""
    for match in matches(_IPV4, text, windows):
        octets = match.group().split(".")
        if any(int(octet) > 255 or (octet[0] == "0" and octet != "0") for octet in octets):
            continue
        if not _is_global(match.group()) or _NUMBER_WORDS.search(
            text[max(0, match.start() - 12) : match.start()]
        ):
            continue
        # 4.3.2.1 is a section or a version unless something near says network.
        if max(map(len, octets)) > 1 or has_context(_NETWORK_WORDS, text, *match.span(), before=24):
            yield Finding(*match.span(), "ip", "IPv4")
    if _IPV6_GATE.search(text):
        for match in _IPV6.finditer(text):
            if _is_global(match.group()):
                yield Finding(*match.span(), "ip", "IPv6")


def _is_global(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast


def find_macs(text: str, windows: Windows) -> Iterator[Finding]:
    """Hardware addresses of single devices; RFC 7042's documentation range is left alone."""
    if not _MAC_GATE.search(text):
        return
    for match in _MAC.finditer(text):
        compact = match.group().replace("-", ":").lower()
        group_address = int(compact[:2], 16) & 1
        if (
            not group_address
            and compact != "00:00:00:00:00:00"
            and not compact.startswith("00:00:5e:00:53")
        ):
            yield Finding(*match.span(), "mac")
