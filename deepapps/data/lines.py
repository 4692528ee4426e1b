"""The lines of text files, plain or .gz, and what is done with a line that cannot be used."""

import codecs
import logging
import zlib

from deepapps.files import LARGEST_TEXT, lines_of, open_data

MARKS = {  # byte order marks; those of UTF-32 begin like those of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_logger = logging.getLogger(__name__)


class BadLines:
    """What to do with a line that cannot be used: raise ValueError, or count it.

    Args:
        where: The file, or the folder of files, for messages.
        skip: Whether such lines are counted.
        unit: "line", or "file" where an example is a file of its own.
    """

    def __init__(self, where, skip, unit="line"):
        self.where, self.skip, self.unit, self.count, self.first = where, skip, unit, 0, None

    def add(self, place, fault):
        """Takes down a line by its number, or a file by its name."""
        problem = f"{self.unit} {place}: {fault}"
        if not self.skip:
            raise ValueError(
                f"{self.where}: {problem} (--skip-bad-lines leaves such {self.unit}s out)"
            )
        self.count, self.first = self.count + 1, self.first or problem

    def report(self):
        """Warns of how many were left out, and of the first."""
        if self.count:
            number = (
                f"1 {self.unit} left out:"
                if self.count == 1
                else f"{self.count} {self.unit}s left out; the first:"
            )
            _logger.warning("%s: %s %s", self.where, number, self.first)


def read_lines(path, bad, encoding=None, empty=False):
    """Yields the lines of a file that can be used, with their numbers.

    Args:
        path: The file; unpacked where its name ends in .gz.
        bad: `BadLines`, told of lines of another encoding and of those that hold a NUL byte.
        encoding: A name that Python knows. None: UTF-16 or UTF-32 where the file begins with
            their byte order mark, else UTF-8.
        empty: Also yield the lines without text.
    Raises: ValueError when the file cannot be read.
    """
    try:
        with open_data(path) as file:
            for number, content, codec in _lines(file, path, encoding):
                try:
                    line = content.decode(codec).rstrip("\r\n").replace("\r", " ")
                except UnicodeDecodeError as error:
                    name = codec.removesuffix("-sig").upper()
                    byte = f"byte 0x{content[error.start]:02x}"
                    bad.add(number, f"is not {name} ({byte}); --encoding names another, as cp1252.")
                    continue
                if "\0" in line:
                    bad.add(number, f"holds a NUL byte{_maybe_utf16(content)}.")
                elif empty or line.strip():
                    yield number, line
    except LookupError:
        raise ValueError(f"Unknown encoding {encoding!r}, such as utf-8, utf-16, cp1252.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: cannot be read as {error.encoding} ({error.reason}).") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from None


def _lines(file, path, encoding):
    """Yields the number, the bytes and the encoding of each line of an opened file."""
    lines = lines_of(file, path)
    number, first = next(lines, (1, b""))
    encoding = encoding or encoding_of(first)
    if "\n".encode(encoding)[-1:] != b"\n":  # UTF-16, say, whose line ends are no single byte
        text = (first + file.read(LARGEST_TEXT)).decode(encoding)
        lines = enumerate(text.encode().split(b"\n"), start=1)
        number, first = next(lines)
        encoding = "utf-8"
    elif b"\r" in first and not first.endswith(b"\n"):  # old Macs end lines so
        lines = enumerate(first.split(b"\r"), start=1)
        number, first = next(lines)
    yield number, first, encoding
    encoding = encoding.removesuffix("-sig")  # a mark stands in line 1 alone
    for number, line in lines:
        yield number, line, encoding


def encoding_of(head):
    """The encoding of a file by the bytes that it begins with."""
    marked = (encoding for mark, encoding in MARKS.items() if head.startswith(mark))
    return next(marked, "utf-8-sig")


def _maybe_utf16(line):
    """A hint for files in UTF-16 without a byte order mark: every other byte of English is 0."""
    return ": --encoding utf-16-le reads UTF-16" if line.count(0) > len(line) / 4 else ""
