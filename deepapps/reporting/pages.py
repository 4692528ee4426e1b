"""HTML pages from the templates. What is put into them is escaped."""

import jinja2


def render(template, **values):
    """The page that a file of `deepapps/reporting/templates` makes of some values, as text."""
    loader = jinja2.PackageLoader("deepapps.reporting", "templates")
    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, **options)
    return environment.get_template(template).render(**values)
