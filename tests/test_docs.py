"""The documentation holds what it says: its code runs, its commands parse, its links and tables are
true.

Run as a program, `python tests/test_docs.py`, it writes the tables of settings anew.
"""

import configparser
import dataclasses
import json
import pathlib
import re
import shlex
import subprocess

import click
import pytest
import yaml

from deepapps.apps import configure
from deepapps.cli import main as cli
from deepapps.settings import TrainingSettings, types_of
from deepapps.tasks import TASKS, find_task
from deepapps.tasks.image_classification import ImageSettings
from deepapps.tasks.sequence_classification import SequenceSettings
from deepapps.tasks.summarization import SummarizerSettings
from deepapps.tasks.translation import TranslatingSettings, TranslatorSettings
from deepapps.tuning.search_settings import SearchSettings

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# what a line of a shell block may run
COMMANDS = ("deepapps", "make", "pip", "git", "cd", "ls", "python")


def blocks(page, *languages):
    """The code blocks of a page in these languages, as `(first line, code)`."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, b.start(2)) + 1, b[2])
        for b in BLOCK.finditer(text)
        if b[1] in languages
    ]


def named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for line, code in blocks(page, "python"):
        # an error shows the line of the page
        exec(compile("\n" * (line - 1) + code, page, "exec"), names)


def command_lines():
    """Every command of the shell blocks, as `page:line`, words. Output, in a block with `$`,
    stays out.
    """
    for page in PAGES:
        for line, code in blocks(page, "sh", "console"):
            joined = code.replace("\\\n", "  ")
            prompt = any(text.startswith("$ ") for text in joined.splitlines())
            for text in joined.splitlines():
                if text.strip() and (text.startswith("$ ") or not prompt):
                    for command in text.removeprefix("$ ").split(" | "):
                        yield f"{named(page)}:{line}", shlex.split(command, comments=True)


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=f"{at} {' '.join(words)}") for at, words in command_lines()]
)
def test_command_line_is_one(words):
    assert words[0] in COMMANDS
    if words[0] == "deepapps":
        parse(words[1:])
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    if words[0] == "python":
        assert (ROOT / words[1]).exists()


def parse(words):
    """Parses a command line of `deepapps`, and checks the values of the settings in it."""
    command = cli.command
    words = [word for word in words if word != "--debug"]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(None, name)
    try:
        context = command.make_context(command.name, list(words))
    except click.exceptions.Exit as done:  # --help and --version
        assert done.exit_code == 0
        return
    if command.name in TASKS:
        task = find_task(command.name)
        names = {*task.Settings.names(), *TrainingSettings.names()}
        configure(
            command.name, {k: v for k, v in context.params.items() if k in names and v is not None}
        )


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "yaml", "json", "bash")], ids=named
)
def test_recipes_have_no_mistake_of_syntax(page):
    """The commands of deepapps in them are parsed, too."""
    for _, code in blocks(page, "json"):
        json.loads(code)
    for _, code in blocks(page, "bash"):
        subprocess.run(["bash", "-n"], input=code, text=True, check=True)
        lines = [
            line.partition("deepapps ")[2] for line in code.splitlines() if "deepapps " in line
        ]
        assert lines
        for line in lines:
            parse(shlex.split(line))
    for _, code in blocks(page, "yaml"):
        words = list(commands_of(yaml.safe_load(code)))
        assert words
        for one in words:
            parse(one)


def commands_of(value):
    """The words behind `deepapps` of every container that a YAML value describes."""
    if isinstance(value, dict) and "command" in value:
        name, *words = value["command"] + value.get("args", [])
        assert name == "deepapps"
        yield words
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from commands_of(part)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        other = page.parent / path if path else page
        assert other.exists(), f"{named(page)}: {target}"
        if anchor:
            assert anchor in anchors(other), f"{named(page)}: {target}"


def anchors(page):
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [named(page) for page in PAGES[1:] if f"({named(page)})" not in readme] == []


def test_pictures_are_small():
    assert [
        p.name for p in (ROOT / "docs" / "images").iterdir() if p.stat().st_size > 100_000
    ] == []


def settings_tables():
    """The tables of settings, `{name: Markdown}`, made from the dataclasses."""
    kinds = (
        ImageSettings,
        SequenceSettings,
        TranslatorSettings,
        SummarizerSettings,
        TranslatingSettings,
        TrainingSettings,
        SearchSettings,
    )
    tables = {kind.__name__: settings_table(kind) for kind in kinds}
    for name in TASKS:
        rows = [
            f"| `{key}` | {default_text(value)} |"
            for key, value in find_task(name).training.items()
        ]
        tables[f"training of {name}"] = "\n".join(["| setting | default |", "|---|---|", *rows])
    return tables


def settings_table(kind):
    types = types_of(kind)
    rows = [
        f"| `{f.name}` | {default_text(f.default)} | {range_text(types[f.name], f.metadata)} | "
        f"{f.metadata['help']} |"
        for f in dataclasses.fields(kind)
    ]
    return "\n".join(["| setting | default | values | meaning |", "|---|---|---|---|", *rows])


def default_text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"`{value}`"


def range_text(types, limits):
    """What a setting may be: `cnn`, `mlp`; integer, at least 1; ..."""
    kinds = {int: "integer", float: "number", bool: "yes or no", dict: "dict", str: "text"}
    choices = limits["choices"] or ()
    named_kinds = [
        text for kind, text in kinds.items() if kind in types and not (kind is str and choices)
    ]
    rules = {"at least": limits["minimum"], "at most": limits["maximum"], "above": limits["above"]}
    bounds = [f"{rule} {bound:g}" for rule, bound in rules.items() if bound is not None]
    numbers = [", ".join([" or ".join(named_kinds), *bounds])] if named_kinds else []
    return " or ".join(
        [*numbers, *([", ".join(f"`{choice}`" for choice in choices)] if choices else [])]
    )


def page_of(name):
    """The page that has a table."""
    own = {"TranslatingSettings": "translator.md", "SearchSettings": "search.md"}
    return ROOT / "docs" / own.get(name, "settings.md")


def marked(name):
    return re.compile(f"(<!-- {re.escape(name)} -->\n).*?(\n<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", settings_tables())
def test_table_of_settings_is_true(name):
    text = page_of(name).read_text(encoding="utf-8")
    assert settings_tables()[name] in text, "python tests/test_docs.py writes the tables anew"
    assert len(marked(name).findall(text)) == 1


def test_table_of_dependencies_is_true():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    groups = {"core": setup["options"]["install_requires"], **setup["options.extras_require"]}
    wanted = [
        (group, *line.split(",")[0].split(">="))
        for group, lines in groups.items()
        for line in lines.split()
    ]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `([^`]+)` \| ([\d.]+) \| (\S.+) \|$", text, re.MULTILINE)
    assert sorted(row[:3] for row in rows) == sorted(wanted)


def write_tables():
    for name, table in settings_tables().items():
        page = page_of(name)
        text = page.read_text(encoding="utf-8")
        text = marked(name).sub(lambda mark, table=table: f"{mark[1]}{table}{mark[2]}", text)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_tables()
