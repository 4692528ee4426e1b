"""The package: what the wheel holds, the public names, and the table of dependencies."""

import configparser
import importlib.util
import inspect
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import deepapps

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "docs")


def test_the_wheel_holds_deepapps_alone(tmp_path):
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=NOT_COPIED)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", tmp_path]
    if all(importlib.util.find_spec(name) for name in ("setuptools", "wheel")):
        options.append("--no-build-isolation")  # works without a network
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, source], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"deepapps-{deepapps.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    (information,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    assert {name.split("/")[0] for name in names} == {"deepapps", information}
    assert {"deepapps/py.typed", "deepapps/reporting/templates/report.html"} <= set(names)
    assert f"{information}/LICENSE" in {name.replace("/licenses/", "/") for name in names}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "deepapps").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


def test_the_public_names():
    assert len(deepapps.__all__) == len(set(deepapps.__all__)) <= 20
    assert set(deepapps.__all__) <= set(dir(deepapps))
    for name in deepapps.__all__:
        value = getattr(deepapps, name)
        if callable(value):
            assert inspect.getdoc(value), f"deepapps.{name} has no docstring"
    assert not hasattr(deepapps, "nonsense")


def test_importing_deepapps_loads_no_tensorflow():
    program = (
        "import sys, deepapps; print(sorted({'tensorflow', 'keras', 'numpy', 'matplotlib'} & "
        "set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n" and ended.stderr == ""


def test_every_dependency_has_a_lower_bound():
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    extras = dict(options["options.extras_require"])
    listed = [
        *options["options"]["install_requires"].splitlines(),
        *"\n".join(extras.values()).splitlines(),
    ]
    dependencies = [line for line in listed if line]
    assert len(dependencies) > 10
    for dependency in dependencies:
        assert re.fullmatch(r"[\w.-]+>=\d[\d.]*(,<[\d.]+)?", dependency), dependency


def test_every_module_says_what_it_is():
    for path in (ROOT / "deepapps").rglob("*.py"):
        text = path.read_text()
        assert not text or text.startswith('"""'), path
