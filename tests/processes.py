"""Child processes that start in a moment: forked from a server that has TensorFlow loaded."""

import multiprocessing
import os
import pathlib
import sys
import tempfile
import typing

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tensorflow", "keras", "deepapps.runs.train", "deepapps.reporting.report"]
)


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


class Ended(typing.NamedTuple):
    """How a command ended: its exit status, and all that it wrote."""

    status: int
    out: str
    err: str


class Command:
    """`deepapps ARGUMENTS` in a child, its output in files of its own.

    Args:
        arguments: What stands behind `deepapps`.
        stdin: Text that it reads.
        before: A function that the child calls first, without arguments.
    """

    def __init__(self, *arguments, stdin="", before=None):
        self._folder = tempfile.TemporaryDirectory()
        self._files = [pathlib.Path(self._folder.name) / name for name in ("in", "out", "err")]
        self._files[0].write_text(stdin)
        words = [str(argument) for argument in arguments]
        self.process = _context.Process(target=_command, args=(words, self._files, before))
        self.process.start()

    def written(self):
        """What the command has written to stdout so far."""
        return self._files[1].read_text() if self._files[1].exists() else ""

    def ended(self):
        """Waits for the end, which it returns as `Ended`."""
        self.process.join()
        end = Ended(self.process.exitcode, *(path.read_text() for path in self._files[1:]))
        self._folder.cleanup()
        return end


def deepapps(*arguments, **options):
    """Runs `deepapps ARGUMENTS` in a child, with the options of `Command`; returns how it
    `Ended`.
    """
    return Command(*arguments, **options).ended()


def _quietly(function, arguments):
    with open("/dev/null", "w") as nothing:
        sys.stderr = nothing
        function(*arguments)


def _command(arguments, files, before):
    """Native code too writes into the files: they are the child's descriptors 0, 1 and 2."""
    for number, path in enumerate(files):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
    if before:
        before()
    from deepapps.cli.main import main

    sys.exit(main(arguments))
