#!/bin/sh
# The main job on real text: a document through `summarize` while another agent works in the background; looking at
# both, stopping, continuing, killing. Each command is shown before it runs; all of them can be typed as they are.
# It has a daemon of its own, so that one of yours is not disturbed; models are those you have.
set -eu
cd "$(dirname "$0")/.."

own=$(mktemp -d "${TMPDIR:-/tmp}/llmsh-demo.XXXXXX")
export XDG_RUNTIME_DIR="$own/run" XDG_STATE_HOME="$own/state" XDG_CONFIG_HOME="$own/config"
unset LLMSH_SOCKET LLMSH_MODEL
mkdir -m 700 "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME" "$XDG_CONFIG_HOME"
trap 'llmsh daemon stop >/dev/null 2>&1 || true; rm -rf "$own"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

say() { printf '\n# %s\n' "$*"; }

show() { # the command, then what it does
    printf '%s$ %s%s\n' "$bold" "$1" "$plain"
    eval "$1"
}

until_busy() { # until an agent of this name has its first tokens: the next command looks at it
    tries=0
    until [ "$(llmsh ps -C "$1" -o tokens_in= | tr -d ' \n0')" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 3000 ] || { echo "demo: $1 does not start; llmsh dmesg may say why" >&2; exit 1; }
        sleep 0.1
    done
}

summary=$own/summary.txt

say "The model that agents use unless they are told another. It is downloaded the first time."
show 'llmsh model pull smollm2'
show 'llmsh model ls'

say "An agent in the background, at nice 10: it translates a chapter, line by line. We get its pid."
show 'book=$(llmsh run -d --nice 10 translate -l fr < examples/alice.txt)'
show 'echo $book'
until_busy translate

say "A document piped through another agent while the first one works."
show 'cat examples/library.txt | llmsh run summarize > $summary &'
until_busy summarize

say "Both are processes. STAT: R is running, N is nice. RSS counts the cells they hold in the model's cache."
show 'llmsh ps -e -o pid,stat,ni,agent,tokens_in,tokens_out,rss,wchan'

say "The document first: on one core nice 0 has 9.3 times the share of nice 10, on two each has its own."
show 'wait $! && cat $summary'

say "Stop the translation. Nothing that was computed is lost, and no token is made any more."
show 'llmsh kill -STOP $book'
show 'llmsh ps -o pid,stat,ni,agent,tokens_out,rss,wchan -p $book'
show 'llmsh ps -o pid,stat,ni,agent,tokens_out,rss,wchan -p $book'

say "Let it go on where it stopped."
show 'llmsh kill -CONT $book'
show 'llmsh ps -o pid,stat,ni,agent,tokens_out,rss,wchan -p $book'

say "What it has written so far."
show 'llmsh logs $book | head -5'

say "Enough: kill it. Its status is 128 + 9, in any shell, now and later."
show 'llmsh kill -KILL $book'
show 'llmsh wait $book || echo $?'
show 'llmsh ps -e'

say "That was it. Next: .venv/bin/llmsh is the shell; llmsh help lists the commands; man/ has a page for each."
