"""SIGTERM and Ctrl-C: the first lets the call finish and a checkpoint be written, the second ends at once."""

import contextlib
import os
import signal
import threading


@contextlib.contextmanager
def stop_requests():
    """Yields a list, empty until a signal asks to stop; then it holds the signal's number.

    Outside the main thread, where Python allows no handlers, it stays empty.
    """
    requests = []
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def request(number, frame):
        if requests:
            os._exit(128 + number)
        requests.append(number)

    previous = {number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield requests
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
