"""python -m llmsh.boot: the daemon, llmshd."""

import sys

from llmsh.boot.main import main

if __name__ == "__main__":
    sys.exit(main())
