"""Processes of this machine that train side by side, each with its share of cores and GPUs.

Searches use it for their trials.
"""

import dataclasses
import multiprocessing
import os
import sys
import threading
import traceback
from multiprocessing import forkserver

from deepapps.distribution.following import STARTED_BY
from deepapps.distribution.processes import visible_gpus


@dataclasses.dataclass(frozen=True)
class Slot:
    """The share of the machine that a process may use.

    Args:
        threads: Threads of TensorFlow's pools; 0: as many as it likes.
        gpus: The GPUs, in the words of `CUDA_VISIBLE_DEVICES`; None: all of them.
    """

    threads: int
    gpus: str | None


def share_out(workers, threads=None):
    """The `Slot`s of a machine that runs several processes at a time.

    Args:
        workers: How many.
        threads: Threads of each. Defaults to its share of the cores.
    """
    gpus = visible_gpus()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = threads or (max(cores // workers, 1) if workers > 1 else 0)
    return [
        Slot(
            threads, ",".join(gpus[index % len(gpus) :: workers]) if gpus and workers > 1 else None
        )
        for index in range(workers)
    ]


def start_server(preload):
    """Starts the process that others are forked from, and returns at once; it ends with this one.

    Args:
        preload: Names of the modules that it imports.
    Returns: the context, for `start`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deepapps.distribution.following", *preload])
    os.environ[STARTED_BY] = str(os.getpid())
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[STARTED_BY]
    return context


def start(context, function, argument, slot, log):
    """Starts a process that calls `function(argument, slot.threads)` and ends with this one.

    Args:
        context: What `start_server` returned.
        function: A function of a module.
        argument: What can be pickled.
        slot: The `Slot`.
        log: The file that what it says is appended to; its folder is made.
    Returns: the process. Its exit status is 0, that of a SystemExit, or 1 after an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_run, args=(function, argument, slot, log), daemon=True)
    process.start()
    return process


def _run(function, argument, slot, log):
    os.setsid()  # Ctrl-C is for the parent alone
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()
    if slot.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpus
    try:
        function(argument, slot.threads)
    except BaseException as error:
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(error.code if isinstance(error, SystemExit) else 1)
    os._exit(0)  # TensorFlow's threads are not waited for


def _follow(parent):
    """Ends this process with its parent, however that ends."""
    parent.join()
    os._exit(1)
