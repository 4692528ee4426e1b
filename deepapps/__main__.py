"""`python -m deepapps` is the `deepapps` command."""

import sys

from deepapps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
