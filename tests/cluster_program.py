"""The resume scenario as a program for `deepapps launch -- python`: FOLDER [WORKER:CALL:POINT ...].

Each further argument is one kill: at its CALL-th call worker WORKER dies. The first time that the
cluster runs the first kill happens, then the second, and so on.
"""

import pathlib
import sys

import resume_scenario

from deepapps.distribution.cluster import find_cluster


def kill_of_this_run(folder, kills):
    """The kill that is this worker's turn, as `resume_scenario.train` takes it, or None."""
    index = find_cluster().index
    runs = pathlib.Path(f"{folder}.runs-{index}")
    number = len(runs.read_text()) if runs.exists() else 0
    with open(runs, "a") as file:
        file.write(".")
    worker, call, point = kills[number].split(":") if number < len(kills) else ("-1", 0, "")
    return (point, int(call)) if int(worker) == index else None


if __name__ == "__main__":
    folder, *kills = sys.argv[1:]
    resume_scenario.train(folder, "multi-worker", kill_of_this_run(folder, kills))
