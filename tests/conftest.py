"""How hypothesis draws: the same examples in every run, or new ones with HYPOTHESIS_PROFILE=search.

A test run must not fail by luck; `make fuzz` looks for what no run has found yet.
"""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
