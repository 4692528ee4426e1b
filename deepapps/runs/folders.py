"""The folders of Runs and searches: whether one is free, a new one, and one process at a time in
each.
"""

import contextlib
import itertools
import os
import stat

import filelock

from deepapps.files import is_unfinished, mark_of, remove_unfinished

LOCK = ".lock"  # the file that is locked
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
    elif path.exists() and not all(map(_is_ours, path.iterdir())):
        raise ValueError(f"{path}: is not empty and holds no {what}. Choose another folder.")


def _is_ours(entry):
    """Whether an entry of a folder is none of the user's: a lock, or what a killed process left."""
    return entry.name == LOCK or is_unfinished(entry)


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

    The lock is a file in the folder, which stays there. On file systems without locks, as NFS often
    is, nothing is held.

    Args:
        file: The file that makes the folder one of its kind.
        mark: What `mark_of` the file was when the folder was found to be free.
        what: What to call the folder in an error line.
    Raises: ValueError when another process holds it, or has been there since.
    """
    folder = file.parent
    lock = filelock.FileLock(folder / LOCK, timeout=PATIENCE)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise ValueError(f"{folder}: another process is at work on this {what}.") from None
    except (NotImplementedError, OSError):  # a file system that has no locks
        pass
    try:
        if mark_of(file) != mark:
            raise ValueError(
                f"{folder}: another process has been at work on this {what} meanwhile."
            )
        yield
    finally:
        lock.release()


def tidy(folder):
    """Deletes what killed processes were writing in a folder, unless another process is at work."""
    if not any(map(is_unfinished, folder.rglob("*"))):
        return
    # not where others write, or there are no locks
    no_lock = contextlib.suppress(filelock.Timeout, NotImplementedError, OSError)
    with no_lock, filelock.FileLock(folder / LOCK, timeout=0):
        remove_unfinished(folder)


def remove_empty(folder):
    """Deletes a folder that holds nothing but the lock."""
    if [entry.name for entry in folder.iterdir()] == [LOCK]:
        (folder / LOCK).unlink()
        folder.rmdir()
