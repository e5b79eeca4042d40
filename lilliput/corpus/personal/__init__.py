"""Personal data: finding it by rules (and a local model), and replacing it.

findings = find_personal_data(text)          # [Finding(start, end, kind, label), …]
outcome = PersonalData(action="placeholder")(batch)
"""

from lilliput.corpus.personal.finding import Finding
from lilliput.corpus.personal.kinds import KIND_NAMES, KINDS, Kind, Search, find_personal_data
from lilliput.corpus.personal.masks import mask, masked
from lilliput.corpus.personal.names import NameLists, Recogniser, TokenClassifier, name_lists
from lilliput.corpus.personal.stage import PersonalData

__all__ = [
    "KINDS",
    "KIND_NAMES",
    "Finding",
    "Kind",
    "NameLists",
    "PersonalData",
    "Recogniser",
    "Search",
    "TokenClassifier",
    "find_personal_data",
    "mask",
    "masked",
    "name_lists",
]
