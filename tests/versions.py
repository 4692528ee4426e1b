"""Runs the tests of layers and loop on other versions.

    python tests/versions.py [--folder FOLDER] [SET ...]

A set is an environment of its own: `lowest` has all lower bounds of setup.cfg, `newest-3.11` to
`newest-3.13` what pip takes today on that Python, `nightly` Keras's nightly. It is made again when
setup.cfg changes. Prints a line for each set; the exit status is 1 if one fails. An interpreter is
`python3.12` on the path, one of pyenv's, or `$PYTHON3_12`.
"""

import argparse
import configparser
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
SETS = {
    "lowest": "3.11",
    "newest-3.11": "3.11",
    "newest-3.12": "3.12",
    "newest-3.13": "3.13",
    "nightly": "3.11",
}
TESTS = ("tests/layers", "tests/training", "tests/distribution")
VERSIONS = (
    "import sys, keras, tensorflow; print(sys.version.split()[0], tensorflow.__version__, "
    "keras.__version__)"
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all by default"
    )
    parser.add_argument(
        "--folder", type=pathlib.Path, default=ROOT / ".venv-versions", help="of the environments"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.sets) - set(SETS)
    if unknown:
        parser.error(f"no set {unknown.pop()!r}: {', '.join(SETS)}")
    results = {name: run(name, arguments.folder / name) for name in arguments.sets or SETS}
    for name, (line, _) in results.items():
        print(f"{name:12} {line}")
    return any(failed for _, failed in results.values())


def run(name, folder):
    """The line of a set, and whether it failed."""
    interpreter = find_python(SETS[name])
    if interpreter is None:
        return f"skipped: no python{SETS[name]} here", False
    make(name, folder, interpreter)
    python, quiet = str(folder / "bin" / "python"), {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = subprocess.run(
        [python, "-c", VERSIONS], env=quiet, capture_output=True, text=True, check=True
    ).stdout
    command = [python, "-m", "pytest", "-q", "--numprocesses", "auto", "--dist", "loadfile", *TESTS]
    tests = subprocess.run(command, cwd=ROOT, env=quiet, stdout=subprocess.PIPE, text=True)
    print(tests.stdout)
    versions = "Python {}, TensorFlow {}, Keras {}".format(*found.split())
    return f"{versions}: {tests.stdout.strip().splitlines()[-1].strip('= ')}", tests.returncode != 0


def find_python(version):
    """The path of an interpreter that runs, or None."""
    paths = [os.environ.get(f"PYTHON{version.replace('.', '_')}"), shutil.which(f"python{version}")]
    paths += glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}*/bin/python"))
    for path in filter(None, paths):
        command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(command, capture_output=True, text=True).stdout.strip() == version:
            return path
    return None


def make(name, folder, interpreter):
    """Makes the environment, unless it is there and setup.cfg is what it was then."""
    made, settings = folder / "made-of.cfg", (ROOT / "setup.cfg").read_text()
    if made.exists() and made.read_text() == settings:
        return
    subprocess.run([interpreter, "-m", "venv", folder], check=True)
    if name == "lowest":
        pip(folder, "install", *lower_bounds())
        pip(folder, "install", "--no-deps", "--editable", ".")
    else:
        pip(folder, "install", "--upgrade", "--editable", ".[test]")
    if name == "nightly":
        pip(folder, "uninstall", "--yes", "keras", "keras-nightly")
        pip(folder, "install", "keras-nightly")
    made.write_text(settings)


def pip(folder, *arguments):
    command = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        *arguments,
    ]
    subprocess.run(command, cwd=ROOT, check=True)


def lower_bounds():
    """`name==version` of each requirement, its lowest version."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    core, test = parser["options"]["install_requires"], parser["options.extras_require"]["test"]
    return [re.sub(r">=([^,]+).*", r"==\1", line) for line in (*core.split(), *test.split())]


if __name__ == "__main__":
    sys.exit(main())
