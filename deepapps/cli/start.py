"""Starts TensorFlow, once a command needs it."""

import contextlib
import logging
import sys

from deepapps.distribution.cluster import find_cluster
from deepapps.tensorflow_start import starting_tensorflow


def start_tensorflow(threads=None, strategy=""):
    """Imports TensorFlow without its greetings, and sets what it must know before its first
    operation.
    """
    with _said("starting TensorFlow"), starting_tensorflow():
        from deepapps.distribution.strategies import prepare_devices
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    prepare_devices(strategy, threads)


@contextlib.contextmanager
def _said(text):
    """Says on a terminal what is being done, before stderr is silenced."""
    is_shown = sys.stderr is not None and sys.stderr.isatty()
    if is_shown:
        print(text, end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if is_shown:
            print(" " * len(text), end="\r", file=sys.stderr, flush=True)


def is_chief():
    """Whether it is for this process to print: all, but the further workers of a cluster."""
    cluster = find_cluster()
    return cluster is None or cluster.is_chief
