"""Sizes and times that both sides rely on. What a user can set is in config; these are bounds."""

FRAME_MAX = 1 << 20
"""Bytes of one frame on the client socket, head and body."""
HEAD_MAX = 256 << 10
"""Bytes of one frame's JSON head."""
BODY_CHUNK = 64 << 10
"""Bytes of one body that a peer sends at a time."""
PIPE_CAPACITY = 4096
"""Bytes of a pipe. 64 KiB would be 15,000 tokens, and back-pressure would never be seen."""
PIPE_MIN, PIPE_MAX = 256, 1 << 20
PID_FIRST = 1 << 22
"""Agents' pids lie above every pid that Linux can give (2**22), so `kill N` means one thing."""
INIT = 1
NPROC_SESSION = 4096
NPROC_AGENT = 32
CLIENTS_MAX = 512
CLIENTS_RESERVED = 32
"""Connections beyond these, which may look and end things: with them a machine that is full is cleared."""
PS_PAGE = 64
"""Rows of one answer to ps: a frame is bounded, processes are not."""
STATUSES_KEPT = 1000
"""Exit statuses that `wait` still knows."""
ARGS_MAX = 128 << 10
"""Bytes of all arguments of one run."""
ENV_KEPT = ("LANG", "LC_ALL", "LC_MESSAGES", "TZ", "TERM", "COLUMNS", "LLMSH_MODEL")
"""The part of a caller's environment that a process keeps."""
SOCKET_PATH_MAX = 107
OOM_MAX = 1000
"""The largest oom_score_adj, and with a minus the smallest."""
OOM_SAME = 1001
"""In a call: as it is."""
STEP_MAX_MS = 150
CACHE_TYPES = ("auto", "f16", "bf16")
"""What cells may keep keys and values as."""
SEQUENCES_MAX = 256
"""Sequences of one llama.cpp context (LLAMA_MAX_SEQ)."""
