"""Process states as ps(1) shows them, and the legal moves between them.

R  running or runnable          S  sleeping: waits for input, a message, a full pipe
D  waits for the device         T  stopped by a signal
Z  ended, not waited for        X  gone (never shown)
"""

RUN, SLEEP, DISK, STOPPED, ZOMBIE, DEAD = "R", "S", "D", "T", "Z", "X"

MOVES: dict[str, str] = {
    RUN: "SDTZ",
    SLEEP: "RDTZ",
    DISK: "RSTZ",
    STOPPED: "RSDZ",
    ZOMBIE: "X",
    DEAD: "",
}
"""From each state, the states that may follow. A move that is not here is a bug: a panic."""
