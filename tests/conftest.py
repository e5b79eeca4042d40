"""How hypothesis draws: the same examples in every run, or new ones with HYPOTHESIS_PROFILE=search.

A test run must not fail by luck; `make fuzz` looks for what no run has found yet.
"""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, database=None)
settings.register_profile("search")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
