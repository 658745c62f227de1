"""C{python -m hatwist.cli}"""

import sys

from hatwist.cli import main

if __name__ == "__main__":
    sys.exit(main())
