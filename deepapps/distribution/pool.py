"""Processes of this machine that train side by side, each with its share of cores and GPUs.

Searches use it for their trials.
"""

import ast
import dataclasses
import inspect
import multiprocessing
import os
import pathlib
import sys
import threading
import traceback
from multiprocessing import forkserver

from deepapps.distribution.following import STARTED_BY
from deepapps.distribution.processes import visible_gpus
from deepapps.errors import one_line


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


def check_program(what):
    """Raises RuntimeError where each process, which imports the program, would do it all again.

    That is so where its present line does not stand below `if __name__ == "__main__":`, or
    another `if`.

    Args:
        what: What the program does, for the message.
    """
    frame = inspect.currentframe()
    while frame and (frame.f_code.co_name, frame.f_globals["__name__"]) != ("<module>", "__main__"):
        frame = frame.f_back
    path = getattr(sys.modules["__main__"], "__file__", None)
    if frame is None or path is None or not os.path.isfile(path):  # such a program is not imported
        return
    if frame.f_code.co_filename != path:
        return
    line, program = frame.f_lineno, ast.walk(ast.parse(pathlib.Path(path).read_bytes()))
    guards = (node for node in program if isinstance(node, ast.If))
    if not any(node.lineno <= line <= node.end_lineno for node in guards):
        raise RuntimeError(
            f"{what} starts processes that import this program: put line {line} of {path}, and "
            'whatever else is to be done once, below `if __name__ == "__main__":`.'
        )


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
            print(one_line(error), file=sys.stderr)  # the last line of the log is the reason
        sys.stderr.flush()
        os._exit(error.code if isinstance(error, SystemExit) else 1)
    os._exit(0)  # TensorFlow's threads are not waited for


def _follow(parent):
    """Ends this process with its parent, however that ends."""
    parent.join()
    os._exit(1)
