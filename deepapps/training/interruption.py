"""SIGTERM and Ctrl-C: the first lets the call finish and a checkpoint be written, the second
ends at once.
"""

import contextlib
import os
import signal
import threading

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stop_requests():
    """Yields a list, empty until a signal asks to stop; then it holds the signal's number.

    Outside the main thread, where Python allows no handlers, it stays empty.
    """
    requests = []
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    previous = {
        number: signal.signal(number, lambda number, _: requests.append(number))
        for number in _SIGNALS
    }
    try:
        with _end_at_second_signal():
            yield requests
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _end_at_second_signal():
    """Python calls handlers only between compiled calls, so a thread reads the signals as they
    come in.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        os.close(writer)
        watcher.join()
        os.close(reader)


def _watch(reader):
    asked = False
    while number := os.read(reader, 1):
        if number[0] in _SIGNALS:
            if asked:
                os._exit(128 + number[0])
            asked = True
