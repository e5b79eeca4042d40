"""Mixing sources into one corpus, and saying whose text it is."""

from lilliput.corpus.mixing.attribution import LicensedSource, attribution
from lilliput.corpus.mixing.licences import Licence, licence_of
from lilliput.corpus.mixing.mixture import MixedSource, mixed_sources, mixture
from lilliput.corpus.mixing.settings import Mixing

__all__ = [
    "Licence",
    "LicensedSource",
    "MixedSource",
    "Mixing",
    "attribution",
    "licence_of",
    "mixed_sources",
    "mixture",
]
