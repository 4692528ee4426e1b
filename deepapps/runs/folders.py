"""The folders of Runs and searches: whether one is free, a new one, and one process at a time in
each.
"""

import contextlib
import fcntl
import itertools
import os
import stat
import time

from deepapps.files import is_unfinished, mark_of

PATIENCE = 3.0  # seconds in which a killed process may let go of a folder


def check_free(path, overwrite, file="settings.json", what="Run"):
    """Raises ValueError where nothing new may be put.

    Args:
        path: The folder.
        overwrite: Whether one of the same kind may be replaced.
        file, what: The file that makes a folder one of that kind, and its name. Default to those of
            a Run.
    """
    if (path / file).exists():
        if not overwrite:
            raise ValueError(
                f"{path}: holds a {what} already. Choose another, or --resume or --overwrite."
            )
        check_plain(path)
    elif path.exists() and any(not is_unfinished(entry) for entry in path.iterdir()):
        raise ValueError(f"{path}: is not empty and holds no {what}. Choose another folder.")


def check_plain(folder):
    """Raises ValueError for a folder that holds anything but files and folders.

    A link may lead out of it, to be read or written, and a pipe keeps its reader waiting for ever.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(place, name)).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                what = "a link" if stat.S_ISLNK(mode) else "neither file nor folder"
                raise ValueError(
                    f"{os.path.join(place, name)}: is {what}, which must not be in a Run. Remove "
                    "it."
                )


def claimed(path):
    """Makes the folder; or, where it is there already, one with a number behind its name."""
    for number in itertools.count(1):
        free = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with contextlib.suppress(FileExistsError):
            free.mkdir(parents=True)
            return free


@contextlib.contextmanager
def locked(file, mark, what):
    """No other process holds the folder of a file while the block runs.

    On file systems without such locks, as NFS often is, nothing is held.

    Args:
        file: The file that makes the folder one of its kind.
        mark: What `mark_of` the file was when the folder was found to be free.
        what: What to call the folder in an error line.
    Raises: ValueError when another process holds it, or has been there since.
    """
    folder = file.parent
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, what)
        if mark_of(file) != mark:
            raise ValueError(
                f"{folder}: another process has been at work on this {what} meanwhile."
            )
        yield
    finally:
        os.close(handle)


def _lock(handle, folder, what):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ValueError(f"{folder}: another process is at work on this {what}.") from None
            time.sleep(0.05)
        except OSError:  # a file system that has no locks
            return
        else:
            return
