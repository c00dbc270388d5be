"""How what stands in a results folder is called.

Those who write it and those who pass it over among data go by the same names.
"""

from __future__ import annotations

import re

# The folder of trial files, how their names end, and its sub-folders once there are many.
TRIALS, ENDING = "trials", ".h5"
SUBFOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]?")
VIEW = "results.h5"
INDEX = "trials.index"
CLAIMS = "claims"
