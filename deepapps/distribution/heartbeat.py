"""The line from a worker to its launcher: signs of life one way, and the other way the launcher's
end.

`deepapps launch` gives each worker one end of a pair of sockets. Without a launcher nothing happens
here.
"""

import contextlib
import os
import socket
import threading

VARIABLE = "DEEPAPPS_LAUNCHER"  # the file descriptor of the worker's end
BEAT, ECHO = b".", b"!"

_line = None


def follow_launcher():
    """Ends this process as soon as its launcher has ended, and answers it from now on."""
    global _line
    if _line is None and VARIABLE in os.environ:
        _line = socket.socket(fileno=int(os.environ.pop(VARIABLE)))
        os.set_inheritable(_line.fileno(), False)
        threading.Thread(target=_answer, daemon=True).start()
        beat()


def beat():
    """Tells the launcher that this worker has come a step further."""
    if _line is not None:
        _send(BEAT)


def _answer():
    """A worker that is stuck in a computation still answers; one that was stopped does not."""
    with contextlib.suppress(OSError):  # of a launcher that was killed
        while _line.recv(1):
            _send(ECHO)
    os._exit(1)


def _send(sign):
    with contextlib.suppress(OSError):  # the launcher has gone, or is busy: the next sign will tell
        _line.send(sign, socket.MSG_DONTWAIT)
