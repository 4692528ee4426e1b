"""Starts TensorFlow, once a command needs it."""

import logging

from deepapps.distribution.cluster import find_cluster
from deepapps.tensorflow_start import starting_tensorflow


def start_tensorflow(threads=None, strategy=""):
    """Imports TensorFlow without its greetings, and sets what it must know before its first
    operation.
    """
    with starting_tensorflow():
        from deepapps.distribution.strategies import prepare_devices
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    prepare_devices(strategy, threads)


def is_chief():
    """Whether it is for this process to print: all, but the further workers of a cluster."""
    cluster = find_cluster()
    return cluster is None or cluster.is_chief
