"""Signals: the first is noted, the second ends the process, even in the middle of native code."""

import os
import signal
import time

import processes
import waiting

from deepapps.training.interruption import stop_requests


def test_the_first_signal_is_noted_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_second_signal_ends_a_process_that_is_in_native_code(tmp_path):
    process = processes.start(waiting.wait_in_native_code, tmp_path / "ready")
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    for _ in range(2):
        time.sleep(0.3)
        assert process.exitcode is None
        os.kill(process.pid, signal.SIGTERM)
    process.join(10)
    ended, _ = process.exitcode, process.kill()
    assert ended == 143
