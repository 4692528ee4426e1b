"""Imported first by the process that others are forked from: it ends with the process that has
started it, even while it imports TensorFlow.
"""

import os

from deepapps.distribution.processes import die_with_launcher

STARTED_BY = "DEEPAPPS_STARTED_BY"  # the id of the process that has started it

if STARTED_BY in os.environ:
    die_with_launcher(int(os.environ.pop(STARTED_BY)))
