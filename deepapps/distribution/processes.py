"""One process of a cluster on this machine: started, listened to and ended by `launch`; and its
port.
"""

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil

from deepapps.distribution.heartbeat import BEAT, VARIABLE

_TAIL = 10  # lines of a log that are shown


class Process:
    """One process of the cluster, which ends when the launcher does.

    Args:
        words: Its command line.
        job, index: Its place in the cluster.
        environment: Variables that it gets on top of those of this process, such as `TF_CONFIG`.
        log: File of its output; None for the chief, whose output is that of this process.
        serves: Whether it serves the chief until it is ended.
        spares: How often it alone may be started again.
    """

    def __init__(self, words, job, index, environment, log, serves=False, spares=0):
        self.name, self.log, self.serves, self.spares = f"{job} {index}", log, serves, spares
        self.beats, self.answered = 0, True
        self._words, self._environment = words, environment
        self._start()

    def _start(self):
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        environment = {
            **self._environment,
            "TF_GRPC_REUSE_PORT": "1",
            VARIABLE: str(theirs.fileno()),
        }
        with contextlib.closing(theirs), open(self.log or os.devnull, "a") as log:
            output = log if self.log else None
            self._process = subprocess.Popen(
                self._words,
                env=os.environ | environment,
                pass_fds=[theirs.fileno()],
                preexec_fn=functools.partial(die_with_launcher, os.getpid()),
                stdin=subprocess.DEVNULL if output else None,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def start_again(self):
        """Starts it anew at its place."""
        self.spares -= 1
        self.end()
        self._start()

    @property
    def status(self):
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def is_killed(self):
        """Whether a signal has ended it."""
        return (self.status or 0) < 0

    def signal(self, number):
        """Sends a signal to it and all it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def end(self):
        """Ends it at once."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._line.close()

    def listen(self):
        """Counts the signs of life that have come; whether it has come further."""
        try:
            signs = self._line.recv(65536)
        except OSError:
            return False
        self.beats += signs.count(BEAT)
        self.answered = self.answered or bool(signs)
        return BEAT in signs

    def ask(self):
        """Asks for an answer, which even a process that computes can give."""
        self.answered = False
        with contextlib.suppress(OSError):
            self._line.send(b"?")

    def tail(self):
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log else []
        return [f"{self.name}: {line}" for line in lines[-_TAIL:]]


def shared_gpus(workers):
    """The GPUs of this machine, as many for each worker, in the words of `CUDA_VISIBLE_DEVICES`.

    Returns: a list of one for each worker, such as `["0,1", "2,3"]`; empty ones where there are
        fewer GPUs than workers; None where there is no GPU at all.
    """
    gpus = visible_gpus()
    size = len(gpus) // workers
    return (
        [",".join(gpus[worker * size : (worker + 1) * size]) for worker in range(workers)]
        if gpus
        else None
    )


def visible_gpus():
    """The GPUs that this process may use, in the words of `CUDA_VISIBLE_DEVICES`; asked for
    without TensorFlow.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None and shutil.which("nvidia-smi"):
        words = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        found = subprocess.run(words, capture_output=True, text=True)
        visible = "" if found.returncode else ",".join(found.stdout.split())
    return visible.split(",") if visible else []


@contextlib.contextmanager
def reserved_port():
    """A free port that stays reserved, and that nobody reaches from outside this machine.

    TensorFlow listens on all addresses of the machine, and whoever reaches it can run code. Here a
    socket listens on every address but the loopback's, which comes before TensorFlow's, and never
    answers.
    """
    with contextlib.ExitStack() as stack:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        stack.enter_context(_bound("0.0.0.0", port))
        for address in _outside_addresses():
            with contextlib.suppress(OSError):  # one that has just gone away
                stack.enter_context(_bound(address, port)).listen(0)
        yield port


def _outside_addresses():
    found = [
        address.address
        for group in psutil.net_if_addrs().values()
        for address in group
        if address.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return [address for address in found if not address.startswith("127.") and address != "::1"]


def _bound(address, port):
    """A socket bound so that TensorFlow's server can be bound beside it."""
    family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(place)
    return bound


def die_with_launcher(launcher):
    """Has Linux kill this process when its launcher ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != launcher:  # it has ended already
        os._exit(1)
