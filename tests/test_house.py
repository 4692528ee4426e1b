"""The house: which module imports which. An import goes down, never up, and never in a circle;
lazy ones count.
"""

import ast
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1] / "deepapps"
FLOORS = (  # the rooms, from the top floor down
    "cli",
    "apps",
    "demo",
    "tuning",
    "federation",
    "compression",
    "runs",
    "export",
    "training",
    "tasks",
    "inference",
    "reporting",
    "distribution",
    "networks",
    "data",
    "metrics",
    "layers",
    "keras_internals",
    "registry",
    "task",
    "settings",
    "files",
    "typed_json",
    "tensorflow_start",
    "errors",
)
MOST_LAZY = 25


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


def imports(module):
    """Every import of a module: the names that are imported, and whether it stands inside a
    function.

    What a `Registry` loads by name, "module:attribute", is one, too.
    """

    def visit(node, lazy):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield [alias.name for alias in child.names], lazy
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{module}: imports are absolute"
                yield [f"{child.module}.{alias.name}" for alias in child.names], lazy
            elif isinstance(child, ast.Call) and getattr(child.func, "attr", "") == "import_module":
                yield [], True
            elif isinstance(child, ast.Constant) and re.match(
                r"deepapps(\.\w+)+:\w+$", str(child.value)
            ):
                yield [child.value.partition(":")[0]], False
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, lazy or inner)

    return list(visit(MODULES[module], False))


def own(name):
    """The module of deepapps that an imported name is, or is in; None for another package."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name if name.startswith("deepapps.") else None


GRAPH = {
    module: {
        target
        for names, _ in imports(module)
        for name in names
        if (target := own(name)) and target != module
    }
    for module in MODULES
}


def room(module):
    return (module.split(".") + [""])[1]


def test_every_room_stands_in_the_order_and_says_what_it_is_for():
    rooms = {room(module) for module in MODULES if "." in module} - {"__main__"}
    assert rooms <= set(FLOORS)
    for module, tree in MODULES.items():
        assert ast.get_docstring(tree), f"{module} does not say what it is for"


def test_imports_go_down():
    up = [
        f"{module} -> {target}"
        for module, targets in GRAPH.items()
        if "." in module and room(module) != "__main__"
        for target in targets
        if FLOORS.index(room(module)) > FLOORS.index(room(target))
    ]
    assert up == []


def test_there_is_no_circle():
    circles = [circle for module in GRAPH if (circle := way_back(module))]
    assert circles == []


def way_back(module):
    """A way from a module to itself, or None."""
    seen, left = set(), [(module,)]
    while left:
        path = left.pop()
        for target in GRAPH[path[-1]]:
            if target == module:
                return " -> ".join((*path, target))
            if target not in seen:
                seen.add(target)
                left.append((*path, target))
    return None


def test_few_imports_are_lazy():
    lazy = [(module, names) for module in MODULES for names, is_lazy in imports(module) if is_lazy]
    assert len(lazy) <= MOST_LAZY, lazy


def test_inputs_become_arrays_and_outputs_answers_without_tensorflow():
    """What an export needs beside its own runtime, and what writes a report of a finished Run."""
    modules = [module for module in MODULES if room(module) in ("data", "tasks", "reporting")]
    modules = [module for module in modules if module != "deepapps.tasks.model"]
    modules += ["deepapps.metrics.classification", "deepapps.metrics.sentences"]
    program = f"""
import importlib, sys
for module in {modules}:
    importlib.import_module(module)
import numpy as np
from deepapps.data.images.load import LearnedImages
from deepapps.tasks import TASKS
task = TASKS["mnist"](learned=LearnedImages(["a", "b"], (8, 8, 1)))
images = task.encode(np.zeros((3, 8, 8), "uint8"))
assert [answer["label"] for answer in task.decode(np.eye(2)[[0, 1, 0]])] == ["a", "b", "a"]
assert task.measure(np.eye(2), np.array([0, 1]), None)["accuracy"] == 1
print([name for name in ("tensorflow", "keras", "jax") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "[]\n", ended.stderr


def test_private_names_of_others_stand_in_one_file():
    """Names that begin with an underscore and that no class or module of deepapps defines."""
    public = {"_replace", "_asdict", "_exit"}  # of named tuples, and of `os`
    own = {
        getattr(node, "name", getattr(node, "attr", getattr(node, "id", "")))
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store))
    }
    found = {
        (module, node.attr)
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)
        if node.attr not in own | public and module != "deepapps.keras_internals"
    }
    inside = re.compile(r"keras\.src|tensorflow\.python|keras_tuner\.src")
    found |= {
        (module, name)
        for module in MODULES
        for names, _ in imports(module)
        for name in names
        if inside.match(name) and module != "deepapps.keras_internals"
    }
    assert found == set()
