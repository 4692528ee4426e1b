"""Files that are written beside and renamed into place, so a reader never sees half of one."""

import contextlib
import datetime
import gzip
import json
import math
import os
import pathlib
import shutil
import stat
import tempfile

from deepapps import typed_json

PICTURE, PAGE_OR_PICTURE = (".png",), (".html", ".png")  # endings of explanations
UNFINISHED = ".writing"  # ends the names of the folders in which files are written
LARGEST_TEXT = 2**28  # bytes: parsed they take several times as much memory
SHOWN = 500  # characters of a line that says what is wrong
# what takes more bytes than that may be at most so many times what is stored of it
SMALL, LARGEST_RATIO = 2**26, 100
LONGEST_LINE, CHUNK = 2**24, 2**24  # bytes of a line, and of a read
SMALL_TEXT = 2**22  # likewise, of lines: each takes some 200 bytes more in memory


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
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, and a file is to be written there. Move it away.")
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


def read_json(path, hint=object):
    """Reads a JSON file; ValueError, with its name, when it cannot be read, is not JSON, or does
    not fit a type hint of `typed_json.check_type`. NaN becomes None.
    """
    value = _parsed(path, typed_json.parse)
    with blamed_on(path):
        typed_json.check_type(value, hint)
    return value


def read_json_lines(path, hint=object):
    """Reads a file of one JSON value a line, each of which fits the hint; ValueError likewise."""
    values = _parsed(
        path, lambda text: [typed_json.parse(line) for line in text.split("\n") if line]
    )
    for number, value in enumerate(values, start=1):
        with blamed_on(f"{path}: line {number}"):
            typed_json.check_type(value, hint)
    return values


@contextlib.contextmanager
def blamed_on(file):
    """A ValueError in the block becomes one that says which file is damaged, and why."""
    try:
        yield
    except ValueError as error:
        reason = str(error).removesuffix(".")
        raise ValueError(f"{file}: is damaged: {reason}.") from None


def read_text(path, encoding_of=lambda content: "utf-8-sig"):
    """The text of a file; ValueError, with its name, when it cannot be read.

    Args:
        path: The file.
        encoding_of: Function from its bytes to their encoding. Defaults to UTF-8.
    """
    path = path_of(path)
    try:
        check_regular(path)
        if path.stat().st_size > LARGEST_TEXT:
            raise ValueError(f"{path}: must have at most {LARGEST_TEXT:,} bytes.")
        content = path.read_bytes()
        return content.decode(encoding_of(content))
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path}: is not UTF-8 (byte 0x{byte:02x}).") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}).") from None


def check_regular(path):
    """Raises ValueError for a device, a pipe or a socket, which may never end; a name of nothing is
    let pass.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path}: is no regular file. It is not opened.")


@contextlib.contextmanager
def open_data(path):
    """Yields a data file, opened to read its bytes, unpacked where its name ends in `.gz`.

    Raises: ValueError, with its name, for what is no regular file, and, as it is read, for a `.gz`
        that unpacks to over `LARGEST_RATIO` times its size. OSError, EOFError and zlib.error for
        what cannot be read.
    """
    check_regular(path)
    with open(path, "rb") as stored:
        is_packed = str(path).lower().endswith(".gz")
        with gzip.GzipFile(fileobj=stored) if is_packed else stored as file:
            yield _Bounded(file, path, stored)


class _Bounded:
    """A file to read, as far as it unpacks to at most `LARGEST_RATIO` times its size."""

    def __init__(self, file, path, stored):
        self._file, self._path, self._stored, self._taken = file, path, stored, 0

    def read(self, size):
        """The next bytes, at most so many. They take memory as they come, not as they are asked
        for.
        """
        parts = []
        while size and (part := self._counted(self._file.read(min(size, CHUNK)), SMALL)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def readline(self, size):
        """The next line, or its first bytes, at most so many."""
        return self._counted(self._file.readline(size), SMALL_TEXT)

    def _counted(self, content, small):
        self._taken += len(content)
        if self._file is not self._stored and self._taken > small:
            check_unpacked(self._path, self._taken, self._stored.tell(), small)
        return content


def lines_of(file, path):
    """The lines of an opened file, bytes, and their numbers; ValueError for one too long."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise ValueError(f"{path}: line {number}: has more than {LONGEST_LINE:,} bytes.")
        yield number, line


def check_unpacked(where, unpacked, stored, small=SMALL):
    """Raises ValueError for what unpacks to much more bytes than are stored of it."""
    if unpacked > max(small, LARGEST_RATIO * stored):
        raise ValueError(
            f"{where}: unpacks to over {LARGEST_RATIO} times its size: unpack it. Received: "
            f"{unpacked:,} bytes, of {stored:,}"
        )


def shown(text, most=SHOWN):
    """A line that may hold parts of a file, in printable characters; of a long one the beginning
    and the end.
    """
    text = str(text)
    if len(text) > most:
        text = f"{text[: most * 2 // 3]} ... {text[-most // 3 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
    text = read_text(path, json.detect_encoding)  # UTF-8 and UTF-16, with and without a mark
    try:
        return parse(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}).") from None
    except ValueError as error:
        raise ValueError(f"{path}: is damaged: {error}.") from None


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
