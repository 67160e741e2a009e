#!/bin/sh
# Makes the three lock files anew from pyproject.toml: every package by version and hash, no host and no path.
#   requirements.lock        what llm-sh needs to run
#   requirements-dev.lock    what its tests and checks need besides
#   requirements-build.lock  what compiles and packs, pip itself included
# It knows nothing of installing. Needs uv (any release), which it puts into .lock-venv when it is missing.
set -eu
cd "$(dirname "$0")/.."

if command -v uv >/dev/null 2>&1; then
    uv=uv
else
    [ -x .lock-venv/bin/uv ] || { python3 -m venv .lock-venv && .lock-venv/bin/pip install -q uv; }
    uv=.lock-venv/bin/uv
fi

compile() { # OUT ARGS...: resolve for every Python from 3.11 on
    out=$1
    shift
    "$uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --no-annotate --no-header --upgrade --allow-unsafe "$@" -o "$out"
}

compile requirements.lock pyproject.toml
compile requirements-all.lock pyproject.toml --group pyproject.toml:dev -c requirements.lock
compile requirements-build.lock --group pyproject.toml:build

# The second file keeps only what the first has not: one place says each version.
awk '
    FNR == NR { if (!/^ /) seen[$1] = 1; next }
    !/^ /     { keep = !($1 in seen) }
    keep
' requirements.lock requirements-all.lock >requirements-dev.lock
rm -f requirements-all.lock

if grep -nE '://|^-|@ ' requirements*.lock; then
    echo "lock: a host or a path got into a lock file" >&2
    exit 1
fi
