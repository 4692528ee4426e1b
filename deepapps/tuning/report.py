"""The report of a search: one self-contained HTML page, as that of a Run."""

from deepapps.files import blamed_on, read_json
from deepapps.reporting.plots import figure_name
from deepapps.reporting.report import duration, setting_text, write_page
from deepapps.reporting.sections import MISSING, Picture, Section, Table, figure_text
from deepapps.tuning import plots
from deepapps.tuning.importance import columns_of, importances
from deepapps.tuning.journal import FAILED, PRUNED
from deepapps.tuning.progress import ranked
from deepapps.tuning.statistics import check_figures, mean_and_error, pareto_front


def write_search_report(found):
    """Writes the report of a `Search` into its folder, in place of an earlier one; returns its
    path.
    """
    with blamed_on(f"{found.path}/search.json or journal.jsonl"):
        return write_page(found.path, lambda folder: _contents(found, folder))


def _contents(found, folder):
    """What the template needs; the pictures are drawn into `folder`."""
    rows = found.trials
    scored = ranked(rows, found.objectives)
    for row in scored:
        present = {name: value for name, value in row.figures.items() if value is not None}
        check_figures(found.objectives, present)
    stored = read_json(found.path / "search.json")
    sections = _best(found, scored) + _curves(found, rows, scored, stored["space"], folder)
    sections += _front(found, scored, folder) + [_table(found, rows, scored)]
    return {
        "name": f"Search: {found.task}",
        "command": found.command,
        "deterministic": found.settings.workers == 1 and found.fixed.get("deterministic", True),
        "part": "validation",
        "summary": _summary(found, rows),
        "headlines": _headlines(found, scored),
        "sections": sections,
        "lists": _lists(found, stored["versions"]),
    }


def _summary(found, rows):
    """How many trials there were, how they ended, and what they cost, in a sentence."""
    seconds = sum(row.figures.get("seconds") or 0 for row in rows)
    epochs = round(sum(row.figures.get("epochs") or 0 for row in rows))
    counts = {status: sum(row.status == status for row in rows) for status in (PRUNED, FAILED)}
    told = "".join(f", {count} {status}" for status, count in counts.items() if count)
    return (
        f"{len(rows)} trials{told}; {epochs} epochs, {duration(seconds)} of training, "
        f"{found.settings.workers} at a time."
    )


def _headlines(found, scored):
    if not scored:
        return []
    best = [
        (figure_name(one.figure), _short(scored[0].figures[one.figure])) for one in found.objectives
    ]
    return [*best, ("Best trial", scored[0].trial)]


def _best(found, scored):
    """The score of the best trial beside the figures of its settings with fresh seeds: what
    picking it flatters.
    """
    if not scored:
        return []
    test = {name: mean_and_error(values) for name, values in found.test_figures.items()}
    names = [name.removeprefix("val_") for name in scored[0].figures if name.startswith("val_")]
    rows = [
        (
            figure_name(name),
            [
                figure_text(scored[0].figures.get(f"val_{name}")),
                *(figure_text(value) for value in test.get(name, (None, None))),
            ],
        )
        for name in dict.fromkeys([*names, *test])
    ]
    settings = [(name, [_short(value)]) for name, value in found.best_settings.items()]
    text = (
        "A search picks the trial that did best on the validation split, luck included. So its "
        "settings were trained again with fresh seeds and measured on the test split, which no "
        "trial has seen."
    )
    columns = [f"Trial {scored[0].trial}, validation", "Fresh seeds, test", "Standard error"]
    sections = [Section("The best settings", [Table("Setting", ["Value"], settings)])]
    return (
        [*sections, Section("Is it luck?", [Table("Figure", columns, rows)], text)]
        if test
        else sections
    )


def _curves(found, rows, scored, space, folder):
    if not scored:
        return []
    first = found.objectives[0]
    ended = {row.trial: row.figures[first.figure] for row in rows if first.figure in row.figures}
    plots.plot_progress(ended, first, folder / "progress.png")
    sections = [
        Section(
            "Over the trials", [Picture("progress.png", "Score of each trial, and the best so far")]
        )
    ]
    columns = columns_of(scored, space)
    scores = [row.figures[first.figure] for row in scored]
    if not columns or len(scored) < 2:
        return sections
    plots.plot_parallel(columns, scores, first, folder / "parallel.png")
    picture = Picture(
        "parallel.png", "A line for each trial through its hyperparameters; the best one stands out"
    )
    sections.append(
        Section("Hyperparameters together", [picture], "The best trial is the orange line.")
    )
    if weights := importances(columns, scores):
        plots.plot_importances(weights, folder / "importances.png")
        text = (
            "How much worse a random forest predicts the score of trials it has not seen when one "
            "hyperparameter is shuffled; the lines are one standard deviation over forests grown "
            "on other draws of the trials."
        )
        picture = Picture(
            "importances.png", "Importance of each hyperparameter, with its uncertainty"
        )
        sections.append(Section("Importance", [picture], text))
        columns = sorted(columns, key=lambda column: list(weights).index(column.name))
    plots.plot_slices(columns, scores, first, folder / "slices.png")
    picture = Picture("slices.png", "Score over each hyperparameter")
    return [*sections, Section("Each hyperparameter", [picture])]


def _front(found, scored, folder):
    """The trials that no other one beats in all objectives."""
    if len(found.objectives) < 2 or not scored:
        return []
    points = [[row.figures[one.figure] for one in found.objectives] for row in scored]
    front = pareto_front(points, [one.sign for one in found.objectives])
    contents = []
    if len(found.objectives) == 2:
        plots.plot_front(points, front, found.objectives, folder / "front.png")
        contents.append(Picture("front.png", "Trials by both objectives, and the Pareto front"))
    names = [one.figure for one in found.objectives]
    cells = [
        (scored[place].trial, [_short(scored[place].figures[name]) for name in names])
        for place in front
    ]
    contents.append(Table("Trial", [figure_name(name) for name in names], cells))
    return [
        Section(
            "Pareto front",
            contents,
            "Each other trial is worse than one of these in every objective.",
        )
    ]


def _table(found, rows, scored):
    """All trials, the best first, then those that failed or still run."""
    order = [*scored, *(row for row in rows if row not in scored)]
    shown = [one.figure for one in found.objectives] + ["epochs", "seconds"]
    values = dict.fromkeys(name for row in rows for name in row.values)
    told = ["Message"] if any(row.message for row in rows) else []
    cells = [
        (
            row.trial,
            [
                row.status,
                *(_short(row.figures.get(name)) for name in shown),
                *(_short(row.values.get(name)) for name in values),
                *([row.message or MISSING] if told else []),
            ],
        )
        for row in order
    ]
    return Section(
        "Trials", [Table("Trial", ["Status", *map(figure_name, shown), *values, *told], cells)]
    )


def _short(value):
    """A figure or a setting as text, with four digits."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return setting_text(value)


def _lists(found, versions):
    parts = {
        "Search": found.settings.as_dict(),
        "Fixed settings": found.fixed,
        "Versions": versions,
    }
    return {
        title: [(name, setting_text(value)) for name, value in part.items()]
        for title, part in parts.items()
        if part
    }
