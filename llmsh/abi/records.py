"""Records that commands print: their fields, units and meaning. `--json` prints them whole.

A cell is one token's keys and values in a core's cache; `rss`, `shared` and `swap` count cells and
have a `_bytes` twin.
"""

PS: dict[str, str] = {
    "pid": "process id",
    "ppid": "parent: an agent, the machine's own process that started it, or 1",
    "pgid": "process group",
    "sid": "session: the OS session of the connection",
    "stat": "state letter, then + foreground, < and N for nice",
    "nice": "nice value, -20 to 19",
    "oom": "oom_score_adj, -1000 to 1000: who has more leaves the cells, or loses its image, first",
    "agent": "unit name",
    "model": "model name",
    "core": "index of the core that holds its cells, -1 for none",
    "tokens_in": "tokens computed as input",
    "tokens_out": "tokens generated",
    "ctx": "length of its context in tokens",
    "rss": "cells in the cache",
    "rss_bytes": "the same in bytes",
    "shared": "cells it shares with others",
    "shared_bytes": "the same in bytes",
    "swap": "cells saved outside the cache",
    "swap_bytes": "the same in bytes",
    "time_ms": "device time charged to it",
    "started": "start, seconds since the epoch",
    "elapsed_ms": "time since the start",
    "tty": "terminal, as pts/3, or ?",
    "deadline": "seconds left until its deadline, `late` when it has passed or cannot be met, null without one",
    "wchan": "what it waits for, or -",
    "status": "exit status of a zombie, else null",
    "args": "its command line",
}

LSDEV: dict[str, str] = {
    "name": "device name",
    "kind": "llama or fake",
    "model": "model name",
    "pid": "OS pid of the engine",
    "state": "starting, ready, dead; out: made room for others; waiting: for room",
    "incarnation": "how many engines this device has had",
    "threads": "threads of each core at work for one token",
    "threads_batch": "the same for prefill",
    "cores": "contexts over the model, at work or not",
    "cells": "cells of all cores; deterministic processes have a core of their own, while there are any",
    "cells_used": "cells in use",
    "sequences": "sequences in use",
    "cell_bytes": "bytes of a cell",
    "bytes": "memory that it takes when loaded: the file, all cells and what an engine needs beside them",
    "context": "the longest context in tokens",
    "tokens_in": "tokens computed as input",
    "tokens_out": "tokens generated",
    "steps": "decodes",
    "moves": "how often a process went from one core to another, with its cells or before it had any",
}

RATES: dict[str, str] = {
    "cpus": "threads that the engine may have at once",
    "made": "when measuring began, seconds since the epoch",
    "measured": "points that are known",
    "wanted": "points that are worth measuring",
    "complete": "whether nothing more is to be measured",
    "input_cost": "what a token of input costs, in generated ones",
    "rent": "milliseconds that a cell adds to a step of one token, whoever has it, null before it was measured",
    "changes": "how often another configuration was chosen",
    "chosen": "cores, threads, threads_batch and seats (sequences a step) in use, null before any was chosen",
    "runnable": "how many could run when that was last looked at, 0 before any could",
    "restore": "compute_ms and copy_ms (a token), write_ms and read_ms (a MiB of the swap file), null if not measured",
    "points": "cores at once, threads of each, batch (sequences), tokens of each, ms, factor slower by now, doubtful",
}

CORES: dict[str, str] = {
    "core": "index of the core",
    "used": "cells in use, with those that are reserved",
    "highest": "cells up to the highest one in use",
    "tax_ms": "milliseconds that cells of who does not run, and holes, add to a step for each token that it makes",
}

VMSTAT: dict[str, str] = {
    "up_ms": "time up",
    "runnable": "processes that run or could run",
    "blocked": "processes that wait for the device",
    "swap": "cells saved outside the caches",
    "used": "cells in use",
    "free": "cells that nobody has",
    "highest": "cells up to the highest one in use, of all cores together: a step of a core goes over all of its own",
    "tax_ms": "milliseconds that cells of who does not run, and holes, add to a step for each token that it makes, on "
    "the core where this is most",
    "cores": "cores that work at once, as chosen for the model that runs, or ran last; 0 when no engine is there",
    "threads": "threads of each of them for one token",
    "seats": "sequences in a step of each, of those that generate",
    "swapped_in": "cells put back so far",
    "swapped_out": "cells saved so far",
    "tokens_in": "tokens computed as input so far",
    "tokens_out": "tokens generated so far",
    "steps": "decodes so far",
    "changes": "how often other cores, threads or seats were chosen so far; the first choice for each engine counts",
    "moves": "how often a process went from one core to another so far, with its cells or before it had any",
}
