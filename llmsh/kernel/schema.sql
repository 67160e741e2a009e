-- The journal's tables, number 1. Times are seconds since the epoch.
CREATE TABLE process (
    pid      INTEGER PRIMARY KEY,
    ppid     INTEGER NOT NULL,
    pgid     INTEGER NOT NULL,
    sid      INTEGER NOT NULL,
    agent    TEXT NOT NULL,
    model    TEXT NOT NULL,
    started  REAL NOT NULL,
    detached INTEGER NOT NULL,
    record   TEXT NOT NULL,     -- all that was accepted, as JSON
    ended    INTEGER,           -- order of ending, null while it runs
    status   INTEGER,
    signal   INTEGER,
    reason   TEXT,
    time     REAL
);
CREATE INDEX process_ended ON process (ended);

-- The token log of a process that runs, in runs of 32-bit tokens (little-endian); dropped at its end.
CREATE TABLE tokens (
    pid    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    tokens BLOB NOT NULL,
    PRIMARY KEY (pid, at)
) WITHOUT ROWID;

-- name: last_pid, ends (how many processes have ended)
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counter VALUES ('last_pid', 0), ('ends', 0);
