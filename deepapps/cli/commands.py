"""Groups of commands, whose commands are loaded when they are asked for."""

import click

from deepapps.registry import Registry
from deepapps.settings import close_names


class Group(click.Group):
    """Says what is missing, or which names are close, in one line; the command alone shows its
    help.

    Args:
        summaries: `{name: help in one line}` of the commands.
        registry: Where the commands are. Defaults to nowhere: they are added.
    """

    def __init__(self, *arguments, summaries=(), registry=None, **options):
        super().__init__(*arguments, **options)
        self._summaries, self._registry = dict(summaries), registry or Registry("command", {})

    def list_commands(self, ctx):
        return [*self._registry, *self.commands]

    def get_command(self, ctx, name):
        return self._registry[name] if name in self._registry else super().get_command(ctx, name)

    def format_commands(self, ctx, formatter):
        rows = [(name, self._summary(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _summary(self, ctx, name):
        known = self._summaries.get(name)
        return known or self.get_command(ctx, name).get_short_help_str(limit=100)

    def parse_args(self, ctx, args):
        if not args and ctx.parent:
            ctx.fail(
                f"Name one of: {', '.join(self.list_commands(ctx))}. See {ctx.command_path} --help."
            )
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx, args):
        names = self.list_commands(ctx)
        if args[0] not in names:
            ctx.fail(f"Unknown command {args[0]!r}.{close_names(args[0], names)}")
        return super().resolve_command(ctx, args)


def given(options):
    """The options that are given."""
    return {name: value for name, value in options.items() if value is not None}
