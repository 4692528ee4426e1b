"""The cases of `fuzz.py`: crafted Runs, files, settings, flags and kills, each from a seed."""

import copy
import dataclasses
import gzip
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import zipfile
import zlib

import numpy as np

RUNS = pathlib.Path(__file__).parent / "data" / "runs-0.1"
SHARES = {"runs": 46, "files": 30, "flags": 14, "settings": 8, "kills": 2}

INPUTS = {  # a raw input that each Run predicts from, and its data for an evaluation
    "mnist": ("data/digits/0.png", "sample"),
    "image": ("data/shapes/disc/0.png", "data/shapes"),
    "words": ("a fine film", "data/reviews.tsv"),
    "given-vectors": ("a fine film", "data/reviews.tsv"),
    "characters": ("Anna", "data/names.tsv"),
    "subwords": ("what is it?", "data/questions.txt"),
    "many-labels": ("a fine film", None),
    "pairs-of-texts": ("a cat\ta dog", "data/pairs.csv"),
    "series": (None, "data/series.npz"),
    "translator-bahdanau": ("one red cat", "data/phrases.tsv"),
    "translator-luong": ("one red cat", "data/phrases.tsv"),
    "translator-transformer": ("one red cat", "data/phrases.tsv"),
    "summarizer": ("one red cat", "data/phrases.tsv"),
    "model": (None, None),
}
TASKS = {"image": "image", "mnist": "mnist", "summarizer": "summarizer"}
QUICK = ["--epochs", "1", "--no-progress", "--no-jit-compile", "--units", "4"]
# reads, learns and splits all data, and is refused before a step is trained
UNTRAINED = ["--batch-size", "1000000"]

NUMBERS = [0, -1, 1, 2, 3, 1.5, -0.0, 1e308, -1e308, 1e-320, 2**31, 2**63, 2**64, 10**30, 10**400]
TEXTS = [
    "",
    "a",
    "0",
    "\x00",
    "\u202e",
    "\ud800",
    "a\nb",
    "x" * 5000,
    "/dev/zero",
    "../..",
    "é" * 9,
]
OTHERS = [None, True, False, [], {}, [[]], [None], {"": None}, {"a": 1}, ["a", "a"]]
OTHERS += [float("nan"), float("inf"), float("-inf")]
RAW = [b"", b"\0" * 100, b"\xff\xfe\x00", b"null", b"[]", b"{}", b"NaN", b"1e999", b'"', b"{" * 9]
RAW += [b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000, b"\xef\xbb\xbf{}", bytes(range(256)) * 50]


@dataclasses.dataclass
class Case:
    """A command to run in a folder of its own.

    Attributes:
        words: Its arguments.
        about: What was made for it, in words.
        stdin: What it reads, bytes.
        output: Names of what it may write.
        kill_after: Seconds after which it is killed, and then run again with `--resume`.
    """

    words: list
    about: str
    stdin: bytes = b""
    output: tuple = ("out",)
    kill_after: float | None = None


def make_case(kind, number, seed, folder):
    """Makes the files of a case in an empty folder, and returns the `Case`."""
    luck = random.Random(f"{seed} {kind} {number}")
    return MAKERS[kind](luck, pathlib.Path(folder))


def kinds_of(cases, kind=None):
    """The kind and the number of each case, `cases` pairs; as many of each kind as `SHARES` say."""
    if kind:
        return [(kind, number) for number in range(cases)]
    rounds = [name for name, share in SHARES.items() for _ in range(share)]
    random.Random(0).shuffle(rounds)
    counts = dict.fromkeys(SHARES, -1)
    found = []
    for place in range(cases):
        name = rounds[place % len(rounds)]
        counts[name] += 1
        found.append((name, counts[name]))
    return found


# Runs


def crafted_run(luck, folder):
    name = luck.choice([*INPUTS, "search"])
    run = folder / "run"
    _write_search(run) if name == "search" else shutil.copytree(RUNS / name, run)
    (folder / "data").symlink_to(RUNS / "data")
    about = [name]
    for _ in range(luck.choice([1, 1, 1, 2, 3])):
        files = sorted(path for path in run.rglob("*") if path.name != "expected.json")
        weights = [4 if path.suffix in (".json", ".jsonl", ".keras") else 1 for path in files]
        path = luck.choices(files, weights)[0] if files else run / "settings.json"
        about.append(f"{path.name}: {_craft(luck, path)}")
    words, output = _use_of_run(luck, name)
    return Case(words, "; ".join(about), output=output)


def _write_search(folder):
    """A search of ten trials that have ended."""
    folder.mkdir()
    units = {"name": "units", "default": 8, "conditions": [], "min_value": 8, "max_value": 64}
    units |= {"step": 8, "sampling": "linear"}
    network = {"name": "network", "default": "mlp", "conditions": [], "values": ["mlp", "cnn"]}
    stored = {
        "task": "mnist",
        "settings": {"trials": 10, "tuner": "random"},
        "fixed": {"epochs": 1},
        "objectives": [["val_accuracy", "max"], ["parameters", "min"]],
        "space": [
            {"class_name": "Int", "config": units},
            {"class_name": "Choice", "config": network | {"ordered": False}},
        ],
        "space_file": None,
        "versions": {"deepapps": "0.1.0", "keras": "3.15.1"},
    }
    (folder / "search.json").write_text(json.dumps(stored))
    (folder / "best.json").write_text(json.dumps({"units": 16, "network": "cnn"}))
    with open(folder / "journal.jsonl", "w") as file:
        for number in range(10):
            values = {"units": 8 + number, "network": ["mlp", "cnn"][number % 2]}
            event = {"event": "begin", "trial": f"{number:04d}", "values": values}
            file.write(json.dumps(event) + "\n")
            figures = {"val_accuracy": number / 10, "parameters": 100 + number % 3}
            figures |= {"epochs": 1, "seconds": 1.5, "pruned": 0}
            event |= {"event": "end", "completed": True, "figures": figures, "message": ""}
            file.write(json.dumps(event) + "\n")
    metrics = {"test": {"accuracy": 0.5, "loss": 1.0}}
    for number in (1, 2):
        run = folder / "best" / f"0009-{number}"
        run.mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps(metrics))


def _craft(luck, path):
    """Changes a file of a Run; says how."""
    if path.suffix == ".keras" and zipfile.is_zipfile(path) and luck.random() < 0.8:
        return _craft_model(luck, path)
    if path.suffix in (".json", ".jsonl") and path.is_file() and luck.random() < 0.75:
        return _craft_json(luck, path)
    return _craft_file(luck, path)


def _craft_json(luck, path):
    lines = path.read_text(errors="replace").splitlines() if path.suffix == ".jsonl" else None
    try:
        value = json.loads(luck.choice(lines) if lines else path.read_text())
    except ValueError:
        return _craft_file(luck, path)
    for _ in range(luck.choice([1, 1, 2, 4])):
        value, how = mutated(luck, value)
    if lines:
        lines[luck.randrange(len(lines))] = json.dumps(value)
    path.write_text("\n".join(lines) + "\n" if lines else json.dumps(value))
    return how


def mutated(luck, value):
    """A JSON value with one part changed, and how, in words."""
    places = _places(value)
    parent, key = luck.choice(places) if places else (None, None)
    new = copy.deepcopy(luck.choice(luck.choice([NUMBERS, TEXTS, OTHERS])))
    if parent is None or luck.random() < 0.03:
        return new, f"is {new!r:.30}"
    how = luck.choice(["put", "put", "put", "delete", "add", "repeat"])
    if how == "put":
        parent[key] = new
    elif how == "delete":
        del parent[key]
    elif isinstance(parent, dict):
        parent[luck.choice(TEXTS)] = new
    elif how == "add":
        parent.insert(key, new)
    else:
        parent += parent * luck.choice([1, 50])
    return value, f"{how} {key!r:.30} {new!r:.30}"


def _places(value):
    """All `(container, key)` of a JSON value; of long lists the ends alone."""
    found, waiting = [], [value] if isinstance(value, dict | list) else []
    while waiting:
        part = waiting.pop()
        items = part.items() if isinstance(part, dict) else enumerate(part)
        items = list(items)
        for key, item in items[:20] + items[20:][-5:]:
            found.append((part, key))
            if isinstance(item, dict | list):
                waiting.append(item)
    return found


def _craft_file(luck, path):
    """Damages a file, or puts something else in its place; says how."""
    how = luck.choice(
        [
            "raw",
            "raw",
            "cut",
            "flip",
            "flip",
            "delete",
            "folder",
            "link",
            "dangling",
            "fifo",
            "long",
        ]
    )
    content = path.read_bytes() if path.is_file() else b""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if how == "raw":
        path.write_bytes(luck.choice(RAW))
    elif how == "cut":
        path.write_bytes(content[: luck.randrange(len(content) + 1)])
    elif how == "flip":
        path.write_bytes(flipped(luck, content))
    elif how == "folder":
        path.mkdir()
    elif how == "link":
        path.symlink_to("/etc/passwd")
    elif how == "dangling":
        path.symlink_to("nowhere")
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "long":
        path.write_bytes(content + b"\n" + content)
    return how


def flipped(luck, content):
    """Bytes of which a few are changed, left out or doubled."""
    content = bytearray(content or b"x")
    for _ in range(luck.choice([1, 3, 20])):
        place = luck.randrange(len(content))
        how = luck.randrange(3)
        if how == 0:
            content[place] = luck.randrange(256)
        elif how == 1 and len(content) > 1:
            del content[place : place + luck.choice([1, 4, 64])]
        else:
            content[place:place] = content[place : place + luck.choice([1, 8])]
        content = content or bytearray(b"x")
    return bytes(content)


def damaged(luck, content, how):
    """Bytes with some of them changed, cut off, or replaced by others; as they are otherwise."""
    if how == "flip":
        return flipped(luck, content)
    if how == "cut":
        return content[: luck.randrange(len(content))]
    return luck.choice(RAW) if how == "raw" else content


def _craft_model(luck, path):
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
            config = json.loads(parts["config.json"])
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError):  # what was damaged before
        return _craft_file(luck, path)
    how = luck.choice(["config", "config", "config", "weights", "missing", "more", "sizes", "swap"])
    if how == "config":
        for _ in range(luck.choice([1, 1, 2])):
            config, what = mutated(luck, config)
        parts["config.json"] = json.dumps(config).encode()
        how = what
    elif how == "weights":
        parts["model.weights.h5"] = flipped(luck, parts["model.weights.h5"])
    elif how == "missing":
        del parts[luck.choice(list(parts))]
    elif how == "more":
        parts[luck.choice(["x", "../x", "assets/a.txt", "/abs"])] = b"x" * 100
    elif how == "swap":
        other = RUNS / luck.choice(list(INPUTS)) / "model.keras"
        shutil.copy(other, path)
        return f"the model of {other.parent.name}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    if how == "sizes":
        content = bytearray(path.read_bytes())
        place = content.rindex(b"PK\x01\x02") + 24
        content[place : place + 4] = struct.pack("<I", luck.choice([0, 1, 2**31, 2**32 - 1]))
        path.write_bytes(content)
    return how


def _use_of_run(luck, name):
    """A command on a Run, and what it may write."""
    if name == "search":
        return ["report", "run"], ("run/report",)
    raw, data = INPUTS[name]
    task = TASKS.get(name, "translator" if name.startswith("translator") else "sequence")
    ways = ["predict", "evaluate", "explain", "report", "report", "resume"]
    way = luck.choice(ways)
    if way == "predict":
        return ["predict", "run", raw or "x", *luck.choice([[], ["--json"]])], ()
    if way == "evaluate":
        own = data is None or luck.random() < 0.2
        return ["evaluate", "run", *([] if own else ["--data", data]), "--json"], ()
    if way == "explain":
        return ["explain", "run", raw or "x", "--to", "out.png"], ("out.png",)
    if way == "report":
        return ["report", "run"], ("run/report",)
    return ["train", task, "--output", "run", "--resume", "--epochs", "1"], ("run",)


# Files


def odd_file(luck, folder):
    (folder / "data").symlink_to(RUNS / "data")
    kind = luck.choice(list(FILES))
    name, about, runs = FILES[kind](luck, folder)
    run = luck.choice(runs)
    shutil.copytree(RUNS / run, folder / "run")
    task = TASKS.get(run, "translator" if run.startswith("translator") else "sequence")
    how = luck.choice(["train", "train", "evaluate", "validation", "predict"])
    if how == "predict":
        return Case(["predict", "run", name], f"{kind}: {about}", output=())
    if how == "evaluate":
        return Case(["evaluate", "run", "--data", name], f"{kind}: {about}", output=())
    train = ["train", task, *QUICK[:3], *UNTRAINED, "--output", "out"]
    data = INPUTS[run][1] or "data/reviews.tsv"
    data = ["--data", data, "--validation", name] if how == "validation" else ["--data", name]
    if luck.random() < 0.2:
        data.append("--skip-bad-files" if task in ("image", "mnist") else "--skip-bad-lines")
    return Case([*train, *data], f"{kind}: {about}")


def _text_file(luck, folder):
    source = luck.choice(["names.tsv", "reviews.tsv", "pairs.csv", "questions.txt", "phrases.tsv"])
    content = (RUNS / "data" / source).read_bytes()
    end = luck.choice([".tsv", ".csv", ".txt", ".jsonl"] + [pathlib.Path(source).suffix] * 4)
    how = luck.choice(["flip", "cut", "raw", "gz", "gz cut", "long line", "bomb", "wide", "same"])
    content = damaged(luck, content, how)
    if how == "long line":
        content += luck.choice([b"a ", b"\t", b'"', b"\xf0\x9f\x98\x80"]) * luck.choice(
            [10**5, 10**6]
        )
    elif how == "wide":
        content = b"\n".join([b"\t".join([b"x"] * luck.choice([1, 50, 3000]))] * 20)
    if how in ("gz", "gz cut", "bomb"):
        content = _zipped(luck, content, how == "bomb")
        content = content[: luck.randrange(len(content))] if how == "gz cut" else content
        end += ".gz"
    (folder / f"file{end}").write_bytes(content)
    return f"file{end}", how, ["words", "characters", "subwords", "pairs-of-texts", "summarizer"]


def _zipped(luck, content, is_bomb):
    """Content with gzip; a bomb unpacks to gigabytes."""
    if not is_bomb:
        return gzip.compress(content, 1)
    part = gzip.compress((luck.choice([b"\0", b"a b\tc\n", b"x"]) * 2**20)[: 2**20], 9)
    return part * luck.choice([20, 3000, 6000])


def _npz_file(luck, folder):
    source = np.load(RUNS / "data" / "series.npz")
    arrays = {key: source[key] for key in source.files}
    how = luck.choice(["flip", "cut", "claim", "claim", "claim", "types", "bomb", "keys", "raw"])
    path, series = folder / "file.npz", luck.random() < 0.5
    if not series:
        arrays = {"x": np.zeros((40, 8, 8), "uint8"), "y": np.arange(40) % 4}
    if how == "types":
        key = luck.choice(list(arrays))
        array = arrays[key] if arrays[key].dtype.kind in "iuf" else np.arange(4)
        with np.errstate(all="ignore"):
            arrays[key] = luck.choice(
                [
                    np.float32("nan"),
                    array.astype("complex64"),
                    array.astype("O"),
                    array.astype("S3"),
                    array[..., None],
                    array[:0],
                    -array.astype("float64") * 1e300,
                    np.nan_to_num(array).astype("int64") * 2**55,
                    np.full(array.shape, np.inf),
                ]
            )
    elif how == "keys":
        arrays[luck.choice(["x_train", "labels", "class_names", "y"])] = luck.choice(
            [np.array(["a"]), np.arange(3), np.array([["a"]])]
        )
    np.savez_compressed(path, **arrays)
    if how == "claim":
        _claim(luck, path)
    elif how == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, shape in {"x": (3 * 2**30,), "y": (4,)}.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                    file.write(_npy_header(shape, "|u1"))
                    for _ in range(shape[0] // 2**24):
                        file.write(bytes(2**24))
    elif how in ("flip", "cut", "raw"):
        content = path.read_bytes()
        content = {
            "flip": flipped(luck, content),
            "cut": content[: luck.randrange(len(content))],
            "raw": luck.choice(RAW),
        }[how]
        path.write_bytes(content)
    return "file.npz", how, ["series"] if series else ["mnist", "image"]


def _claim(luck, path):
    """Has an array of an .npz claim a size or a type that it does not hold."""
    shape = luck.choice(
        [(2**40,), (2**200,), (2**33, 8, 8), (-1, 8, 8), (2**63, 2), (0,) * 40, (1,) * 70, (3.5,)]
    )
    dtype = luck.choice(["|u1", "<f8", "|O", "<U99999999", "|V2147483647", "nonsense"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in luck.choice([("x", "y"), ("x_train", "y_train")]):
            archive.writestr(f"{key}.npy", _npy_header(shape, dtype) + bytes(1000))


def _npy_header(shape, dtype):
    text = repr({"descr": dtype, "fortran_order": False, "shape": tuple(shape)}).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _idx_folder(luck, folder):
    place = folder / "files"
    place.mkdir()
    images, labels = np.zeros((40, 8, 8), "uint8"), np.arange(40) % 4
    how = luck.choice(["flip", "cut", "claim", "claim", "bomb", "raw"])
    end = ".gz" if how == "bomb" else luck.choice(["", ".gz"])
    for kind, array in (("images", images), ("labels", labels.astype("uint8"))):
        sizes = array.shape
        if how == "claim":
            sizes = tuple(luck.choice([s, 2**32 - 1, 0, s + 1, 2**20]) for s in sizes)
        content = bytes([0, 0, 8, array.ndim]) + b"".join(s.to_bytes(4, "big") for s in sizes)
        content += array.tobytes()
        content = damaged(luck, content, how)
        content = gzip.compress(content) if end else content
        if how == "bomb":
            content += gzip.compress(bytes(2**20)) * 5000
        (place / f"train-{kind}-idx{array.ndim}-ubyte{end}").write_bytes(content)
    return "files", how, ["mnist", "image"]


def _image_folder(luck, folder):
    place, about = folder / "files", []
    for name in ("a", "b"):
        (place / name).mkdir(parents=True)
        for number in range(6):
            source = RUNS / "data" / "shapes" / "disc" / f"{number}.png"
            shutil.copy(source, place / name / source.name)
    for _ in range(luck.choice([1, 2])):
        path = (
            place / luck.choice("ab") / luck.choice(["0.png", "9.png", "9.jpg", "9.bmp", "9.webp"])
        )
        about.append(f"{path.name}: {_odd_image(luck, path)}")
    return "files", "; ".join(about), ["image", "mnist"]


def _image_file(luck, folder):
    name = luck.choice(["file.png", "file.jpg", "file.bmp", "file.webp"])
    shutil.copy(RUNS / "data" / "digits" / "3.png", folder / name)
    return name, _odd_image(luck, folder / name), ["mnist", "image"]


def _odd_image(luck, path):
    how = luck.choice(["craft", "craft", "header", "bomb", "pillow", "chunk"])
    if how == "craft":
        path.touch()
        return _craft_file(luck, path)
    if how == "pillow":
        from PIL import Image

        mode = luck.choice(["1", "L", "P", "I;16", "RGBA", "CMYK", "F", "LA"])
        size = luck.choice([(1, 1), (1, 20000), (20000, 1), (13000, 13000), (3, 5)])
        Image.new(mode, size).save(
            path, luck.choice(["PNG", "TIFF", "BMP"]) if mode == "L" else "TIFF"
        )
        return f"{mode} {size}"
    size = luck.choice(
        [(30000, 30000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1), (0, 0), (8000, 8000)]
    )
    kind, packed = luck.choice([0, 2, 3, 6, 7]), zlib.compress(bytes(2**20), 9)
    if how == "bomb":
        packed = zlib.compress(bytes(2**26), 9)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", *size, 8, kind, 0, 0, 0)
    )
    if how == "chunk":
        text = b"a\0\0" + zlib.compress(b"x" * 2**26, 9)
        content += _chunk(luck.choice([b"zTXt", b"iCCP", b"eXIf"]), text)
    path.write_bytes(content + _chunk(b"IDAT", packed) + _chunk(b"IEND", b""))
    return f"{how} {size}"


def _chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def _odd_entry(luck, folder):
    """Something that is no regular file."""
    end = luck.choice([".tsv", ".npz", ".csv", ".png", "", ".txt.gz"])
    path = folder / f"file{end}"
    how = luck.choice(
        ["/dev/zero", "/dev/urandom", "fifo", "socket", "link", "loop", "folder", "dev", "sparse"]
    )
    if how.startswith("/dev/") or how == "dev":
        path.symlink_to(how if how != "dev" else "/dev/zero")
        if how != "dev":
            return how, how, ["words", "mnist", "summarizer", "series"]
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))
    elif how == "link":
        path.symlink_to("nowhere")
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "folder":
        path.mkdir()
        os.mkfifo(path / "train-images-idx3-ubyte")
        os.mkfifo(path / "train-labels-idx1-ubyte")
    else:
        with open(path, "wb") as file:
            file.truncate(5 * 2**30)
    return path.name, how, ["words", "mnist", "summarizer", "series"]


FILES = {
    "text": _text_file,
    "npz": _npz_file,
    "idx": _idx_folder,
    "images": _image_folder,
    "image": _image_file,
    "odd": _odd_entry,
}


# Flags and settings

VALUES = [
    "",
    "0",
    "-1",
    "1",
    "2",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "-1e308",
    "1e-400",
    "1e400",
    "0.5",
]
VALUES += ["1000000000", str(2**31), str(2**63), str(2**64), "9" * 30, "9" * 5000, "1.5", "true"]
VALUES += [
    "none",
    "auto",
    "a\nb",
    "\u202e",
    "é",
    "x" * 3000,
    "--",
    "-",
    "/dev/zero",
    "0=1",
    "0=nan",
]
VALUES += ["0=1e999", "0=1,0=2", "a=1", "mirrored:0", "mirrored:-1", "mirrored:99999999", "tfds:"]
SMALLEST = {"epochs": ["--epochs", "1"], "units": ["--units", "4"]}
# what a case writes, or runs; and what makes a recurrent network compile for minutes
UNUSED = ("output", "space", "logs", "to", "cache", "jit_compile")
SMALL = {
    "mnist": ["--data", "data/shapes", "--network", "mlp", "--batch-size", "8"],
    "image": ["--data", "data/shapes", "--network", "mlp", "--batch-size", "8"],
    "sequence": ["--data", "data/names.tsv", "--embedding-size", "4", "--batch-size", "8"],
    "translator": ["--data", "data/phrases.tsv", "--vocabulary-size", "300", "--batch-size", "8"],
    "summarizer": ["--data", "data/phrases.tsv", "--vocabulary-size", "300", "--batch-size", "8"],
}


def odd_flags(luck, folder):
    from deepapps.cli.main import command

    (folder / "data").symlink_to(RUNS / "data")
    verb = luck.choice(["train"] * 6 + ["predict", "evaluate", "tune", "launch", "explain"])
    words = [verb]
    made = command.get_command(None, verb)
    if verb in ("train", "tune"):
        task = luck.choice(list(SMALL))
        made = made.get_command(None, task)
        words += [task, *SMALL[task], *QUICK[:3], *QUICK[4:]]
        words += ["--output", "out"] if verb == "train" else ["--output", "out", "--trials", "1"]
    else:
        run = luck.choice(["mnist", "words", "translator-luong", "series"])
        shutil.copytree(RUNS / run, folder / "run")
        words += {
            "predict": ["run", INPUTS[run][0] or "x"],
            "evaluate": ["run", "--data", INPUTS[run][1]],
            "explain": ["run", INPUTS[run][0] or "x", "--to", "out/a.png"],
            "launch": ["--timeout", "20"],
        }[verb]
    names = [option for option in made.params if option.opts[0].startswith("--")]
    names = [option for option in names if option.name not in UNUSED]
    for option in luck.sample(names, min(len(names), luck.choice([1, 1, 1, 2, 3]))):
        flag = luck.choice([*option.opts, *option.secondary_opts])
        words.append(flag)
        if not option.is_flag:
            choices = [] if option.name != "network" else ["rnn", "cnn", "transformer"]
            words.append(luck.choice(VALUES + choices * 8).replace("\0", ""))
    if verb == "tune":  # its trials are trained in the case of kills
        words += ["--batch-size", "0"]
    if verb == "launch":
        words += ["--", luck.choice(["train", "predict", "x", "tune"]), "mnist", "--epochs", "0"]
    return Case(words, "flags")


def odd_settings(luck, folder):
    from deepapps.settings import TrainingSettings
    from deepapps.tasks import find_task

    (folder / "data").symlink_to(RUNS / "data")
    task = luck.choice(list(SMALL))
    flags = SMALL[task]
    settings, kind = {"data": flags[1]}, find_task(task)
    names = [*kind.Settings.names(), *kind.training, "epochs", "batch_size", "class_weight", "seed"]
    fields = TrainingSettings.__dataclass_fields__ | kind.Settings.__dataclass_fields__
    defaults = {name: field.default for name, field in fields.items()}
    names = [name for name in names if name not in UNUSED]
    for name in luck.sample(names, luck.choice([1, 2, 3])):
        own = [NUMBERS] * 6 if isinstance(defaults.get(name), int | float) else [TEXTS]
        values = luck.choice([NUMBERS, TEXTS, OTHERS, *own])
        choices = name in fields and fields[name].metadata["choices"]
        settings[name] = luck.choice(choices if choices and luck.random() < 0.6 else values)
    content = json.dumps(settings).encode()
    how = luck.choice(["plain"] * 6 + ["flip", "cut", "raw", "entry"])
    path = folder / "settings.json"
    path.write_bytes(content)
    if how == "flip":
        path.write_bytes(flipped(luck, content))
    elif how == "cut":
        path.write_bytes(content[: luck.randrange(len(content))])
    elif how == "raw":
        path.write_bytes(luck.choice(RAW))
    elif how == "entry":
        how = _craft_file(luck, path)
    words = ["train", task, "--settings", "settings.json", "--output", "out", *QUICK[2:4]]
    words += [
        word for name in ("epochs", "units") if name not in settings for word in SMALLEST[name]
    ]
    words += flags[:-2] if luck.random() < 0.7 else flags[2:-2]
    words += UNTRAINED if luck.random() < 0.5 else flags[-2:]
    return Case(words, f"{how}: {content[:300].decode()}")


# Kills


def killed(luck, folder):
    """A training, or a search, that is killed at some instant and then goes on."""
    (folder / "data").symlink_to(RUNS / "data")
    task = luck.choice(["mnist", "sequence"])
    words = ["train", task, *SMALL[task], *QUICK[2:], "--epochs", "3", "--batch-size", "16"]
    words += ["--checkpoint-seconds", "0", "--output", "out"]
    if luck.random() < 0.3:
        words = ["tune", task, *SMALL[task], *QUICK, "--trials", "1", "--retrain", "1"]
        words += ["--batch-size", "16", "--output", "out"]
    return Case(words, "killed", kill_after=luck.uniform(0.2, 9))


MAKERS = {
    "runs": crafted_run,
    "files": odd_file,
    "flags": odd_flags,
    "settings": odd_settings,
    "kills": killed,
}
