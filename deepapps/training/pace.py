"""How many steps one compiled call does."""

import contextlib
import math
import time

from deepapps.distribution.heartbeat import beat

CALL_SECONDS = 0.5  # what `steps_per_execution="auto"` aims at


class Pace:
    """The number of steps of the next call.

    Args:
        steps: A fixed number; "auto" finds the one that takes about `CALL_SECONDS`.
    """

    def __init__(self, steps: int | str = "auto"):
        self._is_fixed, self._is_traced = steps != "auto", False
        self.steps = steps if self._is_fixed else 1

    @contextlib.contextmanager
    def call(self, steps: int):
        """Times a call of so many steps, of which the first one also compiles and does not
        count.
        """
        beat()
        began = time.monotonic()
        yield
        seconds = max(time.monotonic() - began, 1e-6)
        if self._is_traced and not self._is_fixed:
            self.steps = max(1, min(math.ceil(steps * CALL_SECONDS / seconds), 8 * steps))
        self._is_traced = True
