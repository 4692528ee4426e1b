"""The `deepapps` command: flags in, answers on stdout, one line of error out. One file per group
of commands.
"""
