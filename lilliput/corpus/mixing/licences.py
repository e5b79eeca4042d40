"""Licences by their SPDX names, and what they ask of who passes the text on.

Plain words, to help a person look in the right place; not legal advice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """A licence: its SPDX identifier, its name, and its duties.

    `attribution`: name the authors and the licence; `share_alike`: pass adaptations on under the
    same licence; `no_commerce`: no commercial use; `no_changes`: no adaptations passed on.
    """

    identifier: str
    name: str
    url: str
    attribution: bool = False
    share_alike: bool = False
    no_commerce: bool = False
    no_changes: bool = False

    @property
    def duties(self) -> str:
        """What the licence asks, in plain words."""
        asked = []
        if self.attribution:
            asked.append(
                "name the authors, link the licence, and say that the text was changed"
                if self.identifier.startswith("CC-")
                else "keep the copyright and licence notices with the text"
            )
        if self.share_alike:
            asked.append("pass the text, changed or not, on under the same licence only")
        if self.no_commerce:
            asked.append("no commercial use")
        if self.no_changes:
            asked.append("do not pass changed text on")
        if not asked:
            return "Asks nothing of those who use or pass on the text."
        return "; ".join(asked).capitalize() + "."


def _creative_commons() -> list[Licence]:
    made = []
    for parts in ("BY", "BY-SA", "BY-NC", "BY-NC-SA", "BY-ND", "BY-NC-ND"):
        for version in ("1.0", "2.0", "2.5", "3.0", "4.0"):
            words = {"BY": "Attribution", "SA": "ShareAlike"} | {
                "NC": "NonCommercial",
                "ND": "NoDerivatives",
            }
            made.append(
                Licence(
                    f"CC-{parts}-{version}",
                    f"Creative Commons {'-'.join(words[part] for part in parts.split('-'))}"
                    f" {version}",
                    f"https://creativecommons.org/licenses/{parts.lower()}/{version}/",
                    attribution=True,
                    share_alike="SA" in parts,
                    no_commerce="NC" in parts,
                    no_changes="ND" in parts,
                )
            )
    return made


def _spdx(identifier: str, name: str, **duties: bool) -> Licence:
    return Licence(identifier, name, f"https://spdx.org/licenses/{identifier}.html", **duties)


_KNOWN: Mapping[str, Licence] = {
    licence.identifier.lower(): licence
    for licence in (
        *_creative_commons(),
        Licence(
            "CC0-1.0",
            "Creative Commons Zero 1.0",
            "https://creativecommons.org/publicdomain/zero/1.0/",
        ),
        Licence(
            "CC-PDM-1.0",
            "Public Domain Mark 1.0",
            "https://creativecommons.org/publicdomain/mark/1.0/",
        ),
        _spdx("PDDL-1.0", "Open Data Commons Public Domain Dedication 1.0"),
        _spdx("Unlicense", "The Unlicense"),
        _spdx("0BSD", "BSD Zero Clause"),
        _spdx("MIT-0", "MIT No Attribution"),
        _spdx("ODC-By-1.0", "Open Data Commons Attribution 1.0", attribution=True),
        _spdx("ODbL-1.0", "Open Database License 1.0", attribution=True, share_alike=True),
        _spdx("CDLA-Permissive-1.0", "Community Data License Permissive 1.0", attribution=True),
        _spdx("CDLA-Permissive-2.0", "Community Data License Permissive 2.0", attribution=True),
        _spdx(
            "CDLA-Sharing-1.0",
            "Community Data License Sharing 1.0",
            attribution=True,
            share_alike=True,
        ),
        _spdx("MIT", "MIT", attribution=True),
        _spdx("ISC", "ISC", attribution=True),
        _spdx("Apache-2.0", "Apache 2.0", attribution=True),
        _spdx("BSD-2-Clause", "BSD 2-Clause", attribution=True),
        _spdx("BSD-3-Clause", "BSD 3-Clause", attribution=True),
        _spdx("PSF-2.0", "Python Software Foundation 2.0", attribution=True),
        _spdx("OGL-UK-3.0", "Open Government Licence 3.0 (UK)", attribution=True),
        _spdx("etalab-2.0", "Etalab Open License 2.0 (France)", attribution=True),
        *(
            _spdx(
                f"{family}-{version}-{form}",
                f"{title} {version}{' or later' if form == 'or-later' else ''}",
                attribution=True,
                share_alike=True,
            )
            for family, title, versions in (
                ("GPL", "GNU General Public License", ("2.0", "3.0")),
                ("LGPL", "GNU Lesser General Public License", ("2.1", "3.0")),
                ("AGPL", "GNU Affero General Public License", ("3.0",)),
                ("GFDL", "GNU Free Documentation License", ("1.1", "1.2", "1.3")),
            )
            for version in versions
            for form in ("only", "or-later")
        ),
        *(
            _spdx(f"MPL-{v}", f"Mozilla Public License {v}", attribution=True, share_alike=True)
            for v in ("1.1", "2.0")
        ),
    )
}

# Names in use that are not SPDX, as `_plain` writes them. Those without a version are left unknown.
_ALIASES = {
    "public domain": "cc-pdm-1.0",
    "publicdomain": "cc-pdm-1.0",
    "pd": "cc-pdm-1.0",
    "cc0": "cc0-1.0",
    "cc-0": "cc0-1.0",
    "cc-zero": "cc0-1.0",
    "pddl": "pddl-1.0",
    "odc-by": "odc-by-1.0",
    "odbl": "odbl-1.0",
    "apache": "apache-2.0",
    "apache2": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "mit license": "mit",
    "gfdl": "gfdl-1.3-or-later",
    **{
        f"{family}-{version}{ending}": f"{family}-{version}-{form}"
        for family, versions in {
            "gpl": ("2.0", "3.0"),
            "lgpl": ("2.1", "3.0"),
            "agpl": ("3.0",),
            "gfdl": ("1.1", "1.2", "1.3"),
        }.items()
        for version in versions
        for ending, form in (("", "only"), ("+", "or-later"))
    },
}
_CC_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/([\d.]+)"
)
_VERSION = re.compile(r"[ _-]v?(\d+\.\d+)")


def licence_of(text: str) -> Licence | None:
    """The licence that `text` names: SPDX ("CC-BY-SA-4.0"), a Creative Commons address, or a name
    near to them ("cc by-sa 4.0", "Apache 2.0", "public domain"); None if it is not known.
    """
    plain = " ".join(text.lower().split())
    address = _CC_PAGE.search(plain)
    if address:
        place, parts, version = address.groups()
        kind = {"zero": "cc0", "mark": "cc-pdm"}.get(parts, parts)
        plain = f"{kind}-{version}" if place == "publicdomain" else f"cc-{parts}-{version}"
    candidates = (plain, _VERSION.sub(r"-\1", plain), plain.replace(" ", "-").replace("_", "-"))
    for candidate in (*candidates, _VERSION.sub(r"-\1", candidates[2])):
        found = _KNOWN.get(_ALIASES.get(candidate, candidate))
        if found:
            return found
    return None
