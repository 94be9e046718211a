"""`python -m installer install|uninstall …`, as scripts/install and scripts/uninstall call it."""

import sys

from installer.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
