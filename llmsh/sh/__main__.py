"""python -m llmsh.sh: the shell without the command line around it."""

import sys

from llmsh.sh.main import main

sys.exit(main(sys.argv[1:]))
