"""C{python -m hatwist.frontends.cli}"""

import sys

from hatwist.frontends.cli import main

if __name__ == "__main__":
    sys.exit(main())
