"""File systems that folders lie on. Source: proc_pid_mountinfo(5)."""

import os

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs")
"""File systems on which WAL, which needs shared memory between processes, is not safe."""


def on_network(path: str, mounts: str | None = None) -> bool:
    """Whether a folder lies on a network file system, by /proc/self/mountinfo (see proc(5))."""
    if mounts is None:
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
                mounts = file.read()
        except OSError:
            return False
    best, kind = "", ""
    path = os.path.realpath(path)
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace("\\040", " ").rstrip("/")
        if (path == point or path.startswith(point + "/")) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind in NETWORK
