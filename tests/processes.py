"""Child processes that start in a moment: forked from a server that has TensorFlow loaded."""

import multiprocessing
import sys

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tensorflow", "keras", "deepapps.training.loop", "deepapps.report"])


def start(function, *arguments):
    """Starts `function(*arguments)` in a child and returns the process."""
    process = _context.Process(target=_quietly, args=(function, arguments))
    process.start()
    return process


def run(function, *arguments):
    """Runs `function(*arguments)` in a child and returns its exit code."""
    process = start(function, *arguments)
    process.join()
    return process.exitcode


def _quietly(function, arguments):
    with open("/dev/null", "w") as nothing:
        sys.stderr = nothing
        function(*arguments)
