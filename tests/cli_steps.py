"""What children of the command-line tests do before the command: importable by them."""

import resource


def small_files():
    """No file may grow beyond 40 kB, as on a disk that is nearly full: settings fit, weights do not."""
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

    import deepapps.cli

    deepapps.cli._start_tensorflow = lambda *arguments: os._exit(99)
