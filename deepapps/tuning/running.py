"""A search at work: the trials, the tables, the best settings with fresh seeds. Imports Keras
Tuner.
"""

import contextlib
import functools
import json
import logging
import shutil
import signal

from deepapps.distribution.pool import share_out, start_server
from deepapps.files import read_json, remove_unfinished, write_json
from deepapps.runs.folders import locked, remove_empty
from deepapps.runs.work import versions
from deepapps.settings import TrainingSettings
from deepapps.training.interruption import stop_requests
from deepapps.tuning.journal import FAILED, RUNNING
from deepapps.tuning.oracles import make_oracle
from deepapps.tuning.progress import Progress, best_row, write_table
from deepapps.tuning.trial import PRELOADED, is_helper
from deepapps.tuning.tuner import NoneSucceeded, Stopped, TrialTuner

_OWN = (
    "search.json",
    "journal.jsonl",
    "trials.csv",
    "best.json",
    "trials",
    "best",
    "report",
)
_logger = logging.getLogger(__name__)


def run_search(found, space):
    """Runs the trials of a search, trains the best settings afresh, and writes the report;
    returns the `Search`.
    """
    settings, context = found.settings, start_server(PRELOADED)
    oracle = make_oracle(settings, found.objectives, _epochs(found, space))
    report = Progress(found.journal, found.objectives, oracle.limit, settings.progress)
    slots = share_out(settings.workers, settings.threads)
    held = contextlib.nullcontext() if is_helper() else _held(found)
    with held, stop_requests() as requests, report:
        tuner = TrialTuner(oracle, space, settings, found.path, report, slots, context, requests)
        if not is_helper():
            _start(found, oracle, space)
            oracle.on_end = functools.partial(_write_tables, found, oracle, space)
            oracle.on_end()
        try:
            ended = tuner.search()
            if is_helper():
                return found
            _check_some_succeeded(found)
            tuner.train_afresh(best_row(found.trials, found.objectives).trial, found.best_settings)
        except NoneSucceeded:
            _check_some_succeeded(found)
        except Stopped:
            _leave(found, requests[0])
    found.report()
    if not ended:
        _logger.warning("The time is up. Go on with: %s", found.resume_command)
    return found


@contextlib.contextmanager
def _held(found):
    """The folder is there, and no other process searches into it; one that stays empty is
    deleted again.
    """
    found.path.mkdir(parents=True, exist_ok=True)
    try:
        with locked(found.path / "search.json", found.mark, "search"):
            yield
    finally:
        with contextlib.suppress(OSError):
            remove_empty(found.path)


def _start(found, oracle, space):
    """Writes search.json, once the space is known to be good, and has the oracle remember."""
    hyperparameters = oracle.get_space()
    space.check(hyperparameters)
    described = json.loads(json.dumps(hyperparameters.get_config()["space"]))
    remove_unfinished(found.path)
    if not found.is_resumed:
        _clear(found.path)
    elif read_json(found.path / "search.json")["space"] != described:
        raise ValueError(f"{found.path}: is a search of another space. Search into another folder.")
    write_json(
        found.path / "search.json",
        {
            "task": found.task,
            "settings": found.settings.as_dict(),
            "fixed": found.fixed,
            "objectives": [[one.figure, one.direction] for one in found.objectives],
            "space": described,
            "space_file": found.space_file,
            "versions": versions(),
        },
    )
    if found.settings.tuner == "bayesian":  # three times as many would be most of the trials
        oracle.num_initial_points = 3 + sum(
            type(one).__name__ != "Fixed" for one in hyperparameters.space
        )
    found.journal.mend()
    oracle.replay(found.journal)


def _write_tables(found, oracle, space):
    """Writes trials.csv and best.json as they now stand."""
    rows = found.trials
    write_table(found.path / "trials.csv", rows)
    best = best_row(rows, found.objectives)
    if best is not None:
        write_json(
            found.path / "best.json", space(oracle.trials[best.trial].hyperparameters.copy())
        )


def _check_some_succeeded(found):
    """Raises RuntimeError when no trial has; if all have failed, after showing what the first
    one said.
    """
    ended = [row for row in found.trials if row.status != RUNNING]
    if any(row.status != FAILED for row in ended):
        return
    if not ended:
        raise RuntimeError(
            f"No trial has ended within the time limit. Go on with: {found.resume_command}"
        )
    log = found.path / "trials" / f"{ended[0].trial}.log"
    if log.exists():
        _logger.error("%s", log.read_text(encoding="utf-8", errors="replace").rstrip())
    raise RuntimeError(f"All {len(ended)} trials failed; the first: {ended[0].message}")


def _leave(found, number):
    """Says how to go on, and ends the process or, after Ctrl-C, raises KeyboardInterrupt."""
    name = signal.Signals(number).name
    _logger.warning("Stopped by %s; nothing is lost. Go on with: %s", name, found.resume_command)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _clear(path):
    """Deletes the old search; its search.json last, so that the folder still counts as one of a
    search.
    """
    for name in reversed(_OWN):
        if (path / name).is_dir():
            shutil.rmtree(path / name)
        else:
            (path / name).unlink(missing_ok=True)


def _epochs(found, space):
    """The epochs of a trial; of `hyperband` the most of one."""
    return TrainingSettings(**{**space.task.training, **space.split(found.fixed)[1]}).epochs
