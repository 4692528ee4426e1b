"""What the tests of the command line share, and what their children do before the command."""

import re
import resource

import processes

from deepapps.data.images.load import find_parts

QUICK = ("train", "mnist", "--network", "mlp", "--units", "16", "--no-jit-compile", "--no-progress")


def some_digits():
    """400 digits of the sample and their labels, `(400, 28, 28)` and `(400,)`."""
    images, labels, _ = find_parts("sample")["train"]()
    return images[::12][:400], labels[::12][:400]


def fails(status, *arguments, words=(), **options):
    """Runs a command that must fail with this status and one line on stderr; returns the line."""
    ended = processes.deepapps(*arguments, **options)
    assert (ended.status, ended.out) == (status, ""), ended
    assert re.fullmatch(r"deepapps: [^\n]+\n", ended.err), ended.err
    for word in words:
        assert str(word) in ended.err, ended.err
    return ended.err


def small_files():
    """No file may grow beyond 40 kB, as on a disk that is nearly full: settings fit, weights do
    not.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


def slow_checkpoints():
    """Checkpoints take a minute, and say on stdout that they have begun."""
    import time

    from deepapps.training import checkpoints

    def save(*arguments):
        print("saving", flush=True)
        time.sleep(60)

    checkpoints.save_checkpoint = save


def no_tensorflow():
    """Whatever begins to use TensorFlow ends the process with status 99."""
    import os

    from deepapps.cli import start

    start.start_tensorflow = lambda *arguments: os._exit(99)
