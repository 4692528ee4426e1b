"""Starts TensorFlow, once a command needs it."""

import contextlib
import logging
import os

from deepapps.distribution.cluster import find_cluster


def start_tensorflow(threads=None, strategy=""):
    """Imports TensorFlow without its greetings, and sets what it must know before its first
    operation.
    """
    with silent_stderr():
        from deepapps.distribution.strategies import prepare_devices
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    prepare_devices(strategy, threads)


@contextlib.contextmanager
def silent_stderr():
    """Keeps native code, which writes to the file descriptor, from writing to stderr."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def is_chief():
    """Whether it is for this process to print: all, but the further workers of a cluster."""
    cluster = find_cluster()
    return cluster is None or cluster.is_chief
