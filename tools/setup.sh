#!/bin/sh
# Sets up .venv for running (`run`) or also for tests and checks (`dev`): finds what the machine must have, names
# what is missing in one line, makes the environment, leaves the rest to setup.py. It knows no package.
set -eu
cd "$(dirname "$0")/.."

missing() {
    echo "set-up: $1 is missing: $2" >&2
    exit 1
}

usable() { # is this a Python that can make a virtual environment?
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

command -v git >/dev/null 2>&1 || missing git "apt install git"
command -v "${CXX:-g++}" >/dev/null 2>&1 || missing "${CXX:-g++}" "apt install g++"

python= old=
for each in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if usable "$each"; then
        python=$each
        break
    fi
    if recent "$each"; then old=$each; fi
done
if [ -z "$python" ]; then
    [ -z "$old" ] || missing "python3-venv" "apt install python3-venv ($old has no ensurepip)"
    missing "Python 3.11 or newer" "apt install python3 python3-venv, or say make PYTHON=/path/to/python3"
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "set-up: making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
exec .venv/bin/python tools/setup.py "${1:-run}"
