# ruff: noqa: E501 (patterns)
"""Keys, tokens and passwords: by the issuers' published prefixes, and by assignment."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lilliput.corpus.personal.finding import Finding, Windows


@dataclass(frozen=True, slots=True)
class Key:
    """A kind of key: what its text always holds (looked for first), and its form."""

    label: str
    marks: Sequence[str]
    form: re.Pattern[str]


def _key(label: str, marks: str, form: str) -> Key:
    return Key(label, marks.split(), re.compile(rf"(?<![A-Za-z0-9_]){form}(?![A-Za-z0-9_])"))


KEYS: Sequence[Key] = (
    Key("private key", ("PRIVATE KEY",), re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]{0,20000}-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|(?:\s*[A-Za-z0-9+/=]{20,})*)")),
    _key("AWS access key", "AKIA ASIA", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    _key("GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    _key("GitHub", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,}"),
    _key("GitLab", "glpat-", r"glpat-[\w-]{20,}"),
    _key("Google", "AIza", r"AIza[\w-]{35}"),
    _key("Google", "GOCSPX-", r"GOCSPX-[\w-]{28}"),
    _key("Google", "ya29.", r"ya29\.[\w-]{20,}"),
    _key("Slack", "xox", r"xox[abprse]-[\w-]{10,}"),
    _key("Slack", "hooks.slack.com/services/", r"hooks\.slack\.com/services/T\w+/B\w+/\w+"),
    _key("Stripe", "_live_ _test_", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"),
    _key("Stripe", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}"),
    _key("JSON web token", "eyJ", r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    _key("Anthropic", "sk-ant-", r"sk-ant-[\w-]{20,}"),
    _key("OpenAI", "sk-", r"sk-(?=[\w-]*[0-9])(?!ant-)(?:proj-|svcacct-|None-)?[\w-]{20,}"),
    _key("Hugging Face", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    _key("Groq", "gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    _key("Replicate", "r8_", r"r8_[A-Za-z0-9]{37}"),
    _key("SendGrid", "SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _key("npm", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _key("PyPI", "pypi-AgE", r"pypi-AgE[\w-]{50,}"),
    _key("DigitalOcean", "dop_v1_", r"dop_v1_[0-9a-f]{64}"),
    _key("Shopify", "shpat_ shpss_ shpca_", r"shp(?:at|ss|ca)_[0-9a-fA-F]{32}"),
    _key("Telegram", ":AA", r"[0-9]{8,10}:AA[\w-]{33}"),
    _key("Twilio", "SK", r"SK[0-9a-f]{32}"),
)  # fmt: skip

# Half of the marks hold an underscore, which prose hardly ever does.
_WITH_UNDERSCORE = tuple(key for key in KEYS if all("_" in mark for mark in key.marks))
_WITHOUT_UNDERSCORE = tuple(key for key in KEYS if key not in _WITH_UNDERSCORE)

# "password = …": the equals sign or colon is rare, so it is looked for first.
_SIGN = re.compile(r"[=:]")
_PASSWORD = re.compile(
    r"(?:password|passwd|passphrase|passwort|pwd|mot de passe|contraseña|wachtwoord|hasło)[\"'\]]?\s{0,2}(?:is)?\s{0,2}\Z",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?:secret|token|api[_\- ]?key|access[_\- ]?key|private[_\- ]?key|client[_\- ]?key|account[_\- ]?key|auth(?:orization)?|"
    r"credential)(?:[_\-]?\w{1,12})?[\"'\]]?\s{0,2}\Z",
    re.IGNORECASE,
)
_STEMS = (
    "passw",
    "passp",
    "passe",
    "pwd",
    "secret",
    "token",
    "key",
    "auth",
    "credential",
    "contrase",
    "wachtwoord",
    "hasło",
)
_VALUE = re.compile(
    r"[=>]?\s{0,2}(?:(?:Bearer|Basic|token)\s)?[\"'`]?([^\s\"'`,;<>(){}\[\]]{4,512})(?P<after>[\"'`(]?)"
)
# What manuals write for a secret, and what code does.
_STANDS_FOR = re.compile(
    r"(?:\W*(?:x{3,}|\*{3,}|\.{3,}|changeme|example|your|my|the|a|password|secret|token|none|null|nil|true|false|"
    r"undefined|os\.|process\.|self\.|this\.|config\.|env\.|req\.|settings\.|\$|%|/|https?:|file:).*|.*EXAMPLE)\Z",
    re.IGNORECASE | re.DOTALL,
)


def entropy(text: str) -> float:
    """Shannon's entropy of the text's characters, in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def find_keys(text: str, windows: Windows) -> Iterator[Finding]:
    """Keys by their form, and values that are assigned to a password, key or token.

    What ends in EXAMPLE is left alone, as vendors' manuals write it.
    """
    for key in (*_WITHOUT_UNDERSCORE, *(_WITH_UNDERSCORE if "_" in text else ())):
        for mark in key.marks:
            if mark in text:
                for match in key.form.finditer(text):
                    if not match.group().endswith("EXAMPLE"):
                        yield Finding(*match.span(), "key", key.label)
                break
    lower = text.lower()
    if not any(stem in lower for stem in _STEMS):
        return
    for sign in _SIGN.finditer(text):
        before = text[max(0, sign.start() - 40) : sign.start()].lower()
        if not any(stem in before for stem in _STEMS):
            continue
        password = _PASSWORD.search(before)
        if password or _SECRET.search(before):
            value = _VALUE.match(text, sign.end())
            if value and _is_secret(value, sign.group(), bool(password)):
                yield Finding(*value.span(1), "key", "password" if password else "assigned")


def _is_secret(match: re.Match[str], sign: str, password: bool) -> bool:
    value = match.group(1)
    if _STANDS_FOR.match(value) or match.group("after") == "(":
        return False
    digits = any(character.isdigit() for character in value)
    if password:
        # "Password: required" is no password; "password=letmein" and "Password: tiger7" are.
        mixed = digits or (not value.isalpha() and not value.rstrip(".!?").isalpha())
        return mixed or (sign == "=" and len(value) >= 5)
    return len(value) >= 16 and digits and entropy(value) >= 3.0
