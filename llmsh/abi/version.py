"""Versions of the interface and of the build.

MAJOR changes when an old client can no longer speak to a new daemon, MINOR when a call or a field is
added. BUILD is the release; it also names the daemon's code in the hello.
"""

MAJOR = 1
MINOR = 0
BUILD = "0.1.0"
