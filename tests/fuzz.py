"""Hostile and damaged input by the thousand: no command may end with anything but its work or one
line.

    python tests/fuzz.py --cases 5000

Files, flags, settings, crafted Runs and kills come from a seed (`fuzz_cases.py`). Most commands run
in processes that are forked from one that has TensorFlow loaded; one in `REAL` starts as a user
starts it. What is mishandled is printed with the command that runs it again; the status is 1 then.
A case is mishandled when its status is not 0 or 2; when it says more than one line of error, holds
Python's words or the bytes of a file; takes over 60 seconds or 2 GB; writes outside of its output;
leaves a process behind; or, after a kill, does not go on.
"""

import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import click
import fuzz_cases
import psutil

SECONDS, BYTES, CORES = 60, 2 * 2**30, os.cpu_count()
REAL = 100
MARK = "DEEPAPPS_FUZZ"  # a variable that tells the processes of a case
SHOWN = 600  # most characters of a line of error
# an error of Python itself, which says neither file nor rule
PYTHON = re.compile(
    r"Traceback|object has no attribute|NoneType|not subscriptable|unhashable|argument \d+ is"
    r"|positional argument|unexpected keyword|object is not|not iterable|list indices|out of range "
    r"for|zip\(\)|codec can't|Error\(|invalid literal|could not convert|must be real number|int too"
    r"|Warning: |\{\{node|<class |unsupported operand|not supported between|cannot unpack|to unpack"
)
NATIVE = re.compile(r"[EIW]\d{4} |WARNING: All log|\d{4}-\d\d-\d\d .*(cuda|tensorflow)")

context = multiprocessing.get_context("forkserver")


class Result:
    """How a command ended: its status, what it said, and the first rule that it broke."""

    def __init__(self, status, out, err, fault=""):
        self.status, self.out, self.err, self.fault = status, out, err, fault


def run(case, folder, real=False, words=None, kill_after=None):
    """Runs a case in its folder and watches it; returns the `Result`."""
    files = [folder.parent / name for name in ("stdin", "stdout", "stderr")]
    files[0].write_bytes(case.stdin)
    for path in files[1:]:
        path.write_bytes(b"")
    process = _start(words or case.words, folder, files, real)
    fault = _watched(process, kill_after)
    status = process.exitcode if isinstance(process, context.Process) else process.returncode
    out, err = (path.read_text("utf-8", errors="replace") for path in files[1:])
    return Result(status, out, err, fault)


def _start(words, folder, files, real):
    if not real:
        process = context.Process(target=_child, args=(words, folder, files))
        process.start()
        return process
    with open(files[0]) as stdin, open(files[1], "w") as stdout, open(files[2], "w") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "deepapps", *words],
            cwd=folder,
            env=os.environ | _environment(folder),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )


def _environment(folder):
    return {MARK: str(folder), "TMPDIR": str(folder.parent), "PYTHONUNBUFFERED": "1"}


def _child(words, folder, files):
    """Runs the command line here, its output in files."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(_environment(folder))
    tempfile.tempdir = None
    for number, path in enumerate(files):
        os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
    from deepapps.cli.main import main

    status = main([str(word) for word in words])
    sys.stdout.flush()
    os._exit(status or 0)


def _watched(process, kill_after):
    """Waits for the end of a process, ends one that takes too much, and says what it was."""
    began = computed = time.monotonic()
    last = 0.0
    while _is_alive(process):
        time.sleep(min(0.2, 0.02 + (time.monotonic() - began) / 10))
        now = time.monotonic()
        if kill_after is not None and now - began > kill_after:
            os.kill(process.pid, signal.SIGKILL)
            _wait(process)
            return ""
        taken, seconds = _use(process.pid)
        if seconds > last + 0.5:
            computed, last = now, seconds
        # on a machine that others use too, what counts is what a process computes
        hangs = now - began > SECONDS and (now - computed > 20 or seconds > SECONDS * CORES)
        if taken > BYTES or hangs:
            for one in psutil.Process(process.pid).children(True):
                one.kill()
            os.kill(process.pid, signal.SIGKILL)
            _wait(process)
            return (
                f"took {taken / 2**30:.1f} GB" if taken > BYTES else f"hung, {seconds:.0f} s of CPU"
            )
    return ""


def _is_alive(process):
    return process.is_alive() if isinstance(process, context.Process) else process.poll() is None


def _wait(process):
    process.join() if isinstance(process, context.Process) else process.wait()


def _use(pid):
    """The most memory of a process of a case, in bytes, and the seconds that all have computed."""
    try:
        own = psutil.Process(pid)
        tree = [own, *own.children(True)]
        times = [one.cpu_times() for one in tree]
        return max(one.memory_info().rss for one in tree), sum(t.user + t.system for t in times)
    except psutil.Error:
        return 0, 0.0


def judged(case, result):
    """The rule that a result breaks, or an empty string."""
    lines = [line for line in result.err.splitlines() if not NATIVE.match(line)]
    errors = [line for line in lines if line.startswith("deepapps: ")]
    if result.fault:
        return result.fault
    if result.status == 1 and errors and "The loss is not finite" in errors[0]:
        return ""  # as docs/run.md has it
    if result.status not in (0, 2):
        return f"status {result.status}"
    if result.status == 2 and (len(errors) != 1 or lines[-1] != errors[0]):
        return "does not end with one line"
    # the reason is Keras's or Pillow's own
    own = [line for line in lines if not re.search(r"cannot be (loaded|read)", line)]
    if found := PYTHON.search("\n".join(own)):
        return f"says {found.group()!r}"
    if any(len(line) > SHOWN for line in lines) or len(lines) > 40:
        return f"says {max(map(len, lines))} characters, {len(lines)} lines"
    if any(not character.isprintable() for line in lines for character in line):
        return "says what cannot be printed"
    if case.about != "flags" and errors and case.words[1:2] == ["run"] and "run" not in errors[0]:
        named = [word for word in case.words[2:] if word[:1] not in "-{["] + ["train(model="]
        if not any(os.path.basename(word) in errors[0] for word in named if word):
            return "names no file"
    return ""


def entries(folder, free):
    """What stands in a folder and below, but for names that the case may write."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not any(name == one or name.startswith(f"{one}/") for one in free):
            about = os.lstat(path)
            found[name] = about.st_mode, about.st_size, about.st_mtime_ns
    return {name: about[:2] if path_is_folder(about) else about for name, about in found.items()}


def path_is_folder(about):
    return about[0] & 0o170000 == 0o040000


def tried(kind, number, seed, real=False, keep=None):
    """Makes and runs a case; returns `(case, result, fault)`."""
    place = pathlib.Path(keep or tempfile.mkdtemp(prefix="fuzz-"))
    folder = place / "case"
    folder.mkdir(parents=True)
    try:
        case = fuzz_cases.make_case(kind, number, seed, folder)
        if case.kill_after is not None:
            return case, *_killed(case, folder)
        before = entries(folder, case.output)
        result = run(case, folder, real)
        fault = judged(case, result)
        after = entries(folder, case.output)
        if not fault and before != after:
            changed = dict.fromkeys([*before, *after])
            changed = [name for name in changed if before.get(name) != after.get(name)]
            fault = f"wrote {', '.join(changed)[:200]}"
        left = [path.name for path in place.iterdir() if not path.name.startswith(_OWN)]
        if not fault and left:
            fault = f"left {', '.join(left)[:200]} in the temporary folder"
        return case, result, fault or _left_behind(folder)
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


_OWN = ("case", "stdin", "stdout", "stderr", "__autograph_generated")  # TensorFlow deletes its own


def _killed(case, folder):
    """Kills a command, looks for what it leaves behind, and goes on with it."""
    result = run(case, folder, kill_after=case.kill_after)
    if fault := result.fault or _left_behind(folder):
        return result, fault
    result = run(case, folder, words=[*case.words, "--resume"])
    fault = judged(case, result) or (f"status {result.status}" if result.status else "")
    hidden = [str(path) for path in (folder / "out").rglob(".*.writing")]
    return result, fault or (f"left {hidden[0]}" if hidden else "")


def _left_behind(folder, patience=10):
    """Says which processes of a case still run."""
    end = time.monotonic() + patience
    while found := [one for one in psutil.process_iter() if _is_of(one, folder)]:
        if time.monotonic() > end:
            for one in found:
                one.kill()
            return f"left {len(found)} processes behind"
        time.sleep(0.2)
    return ""


def _is_of(process, folder):
    try:
        return process.environ().get(MARK) == str(folder)
    except (psutil.Error, OSError):
        return False


@click.command()
@click.option("--cases", default=5000, show_default=True, help="Number of cases.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--kind", type=click.Choice(list(fuzz_cases.SHARES)), help="Cases of this kind alone."
)
@click.option("--jobs", default=2, show_default=True, help="Cases at a time.")
@click.option("--first", default=0, help="Number of the first case.")
@click.option("--only", type=int, help="The number of the one case to run, with --kind.")
@click.option("--keep", help="New folder in which the files of --only are left.")
def main(cases, seed, kind, jobs, first, only, keep):
    """Runs cases; prints those that are mishandled, and how to run them again."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as the command has it
    context.set_forkserver_preload(
        ["tensorflow", "keras", "deepapps.runs.train", "deepapps.reporting.report", "fuzz_cases"]
    )
    if only is not None:
        case, result, fault = tried(kind, only, seed, keep=keep)
        print(
            case, f"status {result.status}", result.out[-2000:], result.err[-3000:], fault, sep="\n"
        )
        sys.exit(bool(fault))
    sys.exit(bool(run_all(fuzz_cases.kinds_of(cases + first, kind)[first:], seed, jobs)))


def run_all(chosen, seed, jobs):
    """Runs cases, `(kind, number)` each; returns how many were mishandled. Ctrl-C ends early."""
    faults, seconds, began = 0, collections.defaultdict(list), time.monotonic()
    statuses = collections.Counter()

    def one(place):
        start = time.monotonic()
        found = tried(*chosen[place], seed, real=place % REAL == REAL - 1)
        seconds[chosen[place][0]].append(time.monotonic() - start)
        return *chosen[place], *found

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(one, place) for place in range(len(chosen))]
        try:
            for count, future in enumerate(concurrent.futures.as_completed(waiting), 1):
                name, number, case, result, fault = future.result()
                statuses[name, result.status] += 1
                if fault:
                    faults += 1
                    _show(name, number, seed, case, result, fault)
                if count % 100 == 0:
                    print(f"{count} cases, {faults} mishandled", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    for name, values in seconds.items():
        ends = {status: n for (of, status), n in sorted(statuses.items(), key=str) if of == name}
        mean = sum(values) / len(values)
        print(f"{name}: {len(values)} cases, {mean:.2f} s each, statuses {ends}")
    minutes = (time.monotonic() - began) / 60
    count = sum(map(len, seconds.values()))
    print(f"{count} cases in {minutes:.1f} minutes: {faults} mishandled")
    return faults


def _show(name, number, seed, case, result, fault):
    again = f"python tests/fuzz.py --seed {seed} --kind {name} --only {number}"
    words = " ".join(f"{word:.60}" for word in case.words)
    lines = [line for line in result.err.splitlines() if not NATIVE.match(line)]
    said = list(itertools.islice(reversed(lines), 2))
    print(f"{fault}: {again}\n  {case.about[:300]!r}\n  deepapps {words}", flush=True)
    for line in said[::-1]:
        print(f"  | {line[:300]!r}", flush=True)


if __name__ == "__main__":
    main()
