"""A process that Python's signal handlers cannot reach for a while."""

import hashlib

from deepapps.training.interruption import stop_requests


def wait_in_native_code(ready):
    """Creates the file `ready`, then computes for a minute or more without the interpreter."""
    with stop_requests():
        ready.touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)
