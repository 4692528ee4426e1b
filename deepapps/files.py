"""Files that are written beside and renamed into place, so a reader never sees half of one."""

import contextlib
import datetime
import json
import math
import os
import pathlib
import shutil
import tempfile

PICTURE, PAGE_OR_PICTURE = (".png",), (".html", ".png")  # endings of explanations
UNFINISHED = ".writing"  # ends the names of the folders in which files are written


def path_of(name):
    """A path that a user names, in which `~` stands for the home folder as in a shell."""
    return pathlib.Path(os.path.expanduser(name))


@contextlib.contextmanager
def write_atomically(path):
    """Yields a temporary path beside `path`; on success it is synced and renamed to `path`.

    A failure in the block deletes the temporary file and leaves what stood at `path` as it was.

    Raises: OSError, with the name of the file, when it cannot be written.
    """
    path = path_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(UNFINISHED, f".{path.name}.", path.parent))
    try:
        yield folder / path.name  # the name is kept: writers such as Keras look at its ending
        with open(folder / path.name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(folder / path.name, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_unfinished(folder):
    """Deletes what killed processes were writing in a folder and below."""
    for path in list(pathlib.Path(folder).rglob("*")):
        if is_unfinished(path):
            shutil.rmtree(path, ignore_errors=True)


def is_unfinished(path):
    """Whether a path is of a file that `write_atomically` had not finished."""
    return path.name.startswith(".") and path.name.endswith(UNFINISHED)


def check_ending(path, endings):
    """The ending of a path, in lower case; ValueError where it is none of those given."""
    ending = pathlib.PurePath(path).suffix.lower()
    if ending not in endings:
        raise ValueError(
            f"An explanation must be written as {' or '.join(endings)} here. Received: {path}"
        )
    return ending


def write_text(path, text):
    """Writes a text file in UTF-8, atomically."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes a value as indented JSON, atomically. NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path):
    """Reads a JSON file; ValueError with its name when it cannot be read or is not JSON."""
    return _parsed(path, json.loads)  # which knows UTF-8 and UTF-16, with and without a mark


def read_json_lines(path):
    """Reads a file of one JSON value a line; ValueError likewise."""
    return _parsed(path, lambda text: [json.loads(line) for line in text.splitlines()])


def storable(value):
    """A value as JSON can hold it: Python's numbers for NumPy's, and None for those that are not
    finite.
    """
    value = plain(value)
    if isinstance(value, dict):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(value):
    """Numbers and lists of Python for a number or an array of NumPy; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def new_folder(name):
    """A folder `runs/NAME-DATE-TIME` that does not exist yet."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path = pathlib.Path("runs") / f"{name}-{now}"
    count = 1
    while path.exists():
        count += 1
        path = path.with_name(f"{name}-{now}-{count}")
    return path


def mark_of(file):
    """Tells whether a file, which is never changed but replaced, is still what it was; None
    where it is not there.
    """
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _parsed(path, parse):
    try:
        return parse(path_of(path).read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path}: is not UTF-8 (byte 0x{byte:02x}).") from None
    except ValueError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}).") from None


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
