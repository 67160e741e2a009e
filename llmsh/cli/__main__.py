"""`python -m llmsh.cli`: the same as `llmsh`."""

import sys

from llmsh.cli.main import main

sys.exit(main())
