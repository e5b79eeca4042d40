"""What a corpus is made of: counts that add up over batches in any grouping."""

from lilliput.corpus.profile.facts import characteristic_words, profile_facts
from lilliput.corpus.profile.folder import profile_folder
from lilliput.corpus.profile.profile import (
    CHARACTERS_BIN_RATIO,
    Profile,
    ProfileSettings,
    merge,
    merge_all,
    profile,
    settings_for,
)
from lilliput.corpus.profile.reading import HARDEST

__all__ = [
    "CHARACTERS_BIN_RATIO",
    "HARDEST",
    "Profile",
    "ProfileSettings",
    "characteristic_words",
    "merge",
    "merge_all",
    "profile",
    "profile_facts",
    "profile_folder",
    "settings_for",
]
