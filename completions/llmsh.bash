# Completion of llmsh for bash. Made by tools/completions.py: change a command's table, then `make man`.

_llmsh_commands='agents bg cd daemon dmesg echo exit export fg fork free help jobs kill limit logs lsdev map model nice pgrep pkill ps purge pwd renice run sched timeout uptime vmstat wait'

_llmsh_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }
_llmsh_file() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); }
_llmsh_pid() { local commands=$_llmsh_commands; _llmsh_words "$(llmsh ps -e -o pid= 2>/dev/null)"; }
_llmsh_agent() { local commands=$_llmsh_commands; _llmsh_words "$(llmsh agents ls --json 2>/dev/null | sed -n 's/.*"name": "\([^"]*\)".*/\1/p')"; }
_llmsh_model() { local commands=$_llmsh_commands; _llmsh_words "$(llmsh model ls --json 2>/dev/null | sed -n 's/.*"name": "\([^"]*\)".*/\1/p')"; }
_llmsh_command() { local commands=$_llmsh_commands; _llmsh_words "$(printf '%s\n' $commands)"; }
_llmsh_signal() { local commands=$_llmsh_commands; _llmsh_words "$(printf '%s\n' HUP INT QUIT KILL USR1 USR2 PIPE ALRM TERM CHLD CONT STOP TSTP TTIN TTOU)"; }
_llmsh_column() { local commands=$_llmsh_commands; _llmsh_words "$(printf '%s\n' pid ppid pgid sid stat nice oom agent model core tokens_in tokens_out ctx rss rss_bytes shared shared_bytes swap swap_bytes time_ms started elapsed_ms tty deadline wchan status args)"; }

_llmsh() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    if ((COMP_CWORD == 1)); then
        _llmsh_words "$_llmsh_commands --help --version -c"
        [[ ${#COMPREPLY[@]} == 0 && $word == */* ]] && _llmsh_file
        return
    fi
    case ${COMP_WORDS[1]} in
        agents)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--json --help'; return; fi
            if ((COMP_CWORD == 2)); then _llmsh_words 'ls show check'; return; fi
            _llmsh_agent
            ;;
        bg)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--help'; return; fi
            _llmsh_pid
            ;;
        cd)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--help'; return; fi
            _llmsh_file
            ;;
        daemon)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--json --grace --help'; return; fi
            if ((COMP_CWORD == 2)); then _llmsh_words 'status start stop restart'; return; fi
            _llmsh_file
            ;;
        dmesg)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-w --follow -f -W --follow-new -l --level -x --decode -T --ctime -t --notime --json --help'; return; fi
            _llmsh_file
            ;;
        echo)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-n -e -E --help'; return; fi
            _llmsh_file
            ;;
        exit)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--help'; return; fi
            _llmsh_file
            ;;
        export)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--help'; return; fi
            _llmsh_file
            ;;
        fg)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--help'; return; fi
            _llmsh_pid
            ;;
        fork)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-d --detach --seed --help'; return; fi
            _llmsh_pid
            ;;
        free)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-b --bytes -k --kibi -m --mebi -g --gibi -h --human -t --total -s --seconds -c --count --json --help'; return; fi
            _llmsh_file
            ;;
        help)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--json --help'; return; fi
            _llmsh_command
            ;;
        jobs)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-l --long -p --pids -r --running -s --stopped --json --help'; return; fi
            _llmsh_file
            ;;
        kill)
            case $before in
                -s|--signal) _llmsh_signal; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '-s --signal -l --list -L --table --help'; return; fi
            _llmsh_pid
            ;;
        limit)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-n --oom-score-adj -g --group-cells -s --session-cells --help'; return; fi
            _llmsh_pid
            ;;
        logs)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-f --follow -n --lines --help'; return; fi
            _llmsh_pid
            ;;
        lsdev)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-l --long -o --output -n --noheadings --json --help'; return; fi
            _llmsh_file
            ;;
        map)
            case $before in
                -m|--model) _llmsh_model; return ;;
                --json-schema) _llmsh_file; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '-P --max-procs -n --lines -0 --null -d --delimiter -u --unordered -k --keep-going -m --model --nice --timeout --deadline --value --late --grace --max-tokens --tokens --group-cells --oom-score-adj --context --output-limit --temp --temperature --top-k --top-p --min-p --repeat-penalty --frequency-penalty --presence-penalty --penalty-last --seed --stop --logit-bias --json-schema --ignore-eos --scores --json --raw --shift --deterministic --pipe-capacity --help'; return; fi
            _llmsh_agent
            ;;
        model)
            case $before in
                -t|--type) _llmsh_words 'Q8_0 Q6_K Q5_0 Q4_K_M IQ4_NL Q4_0'; return ;;
                --text) _llmsh_file; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '-f --force -b --bound -t --type --text -k --keep --json --help'; return; fi
            if ((COMP_CWORD == 2)); then _llmsh_words 'add pull ls rm info tune'; return; fi
            _llmsh_model
            ;;
        nice)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-n --adjustment --help'; return; fi
            _llmsh_command
            ;;
        pgrep)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-f --full -x --exact -v --inverse -i --ignore-case -n --newest -o --oldest -P --parent -g --pgroup -s --session -t --terminal -u --euid -r --runstates -c --count -l --list-name -a --list-full -d --delimiter --json --help'; return; fi
            _llmsh_agent
            ;;
        pkill)
            case $before in
                --signal) _llmsh_signal; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '--signal -f --full -x --exact -v --inverse -i --ignore-case -n --newest -o --oldest -P --parent -g --pgroup -s --session -t --terminal -u --euid -r --runstates -c --count -e --echo --help'; return; fi
            _llmsh_agent
            ;;
        ps)
            case $before in
                -o|--format) _llmsh_column; return ;;
                -O|--add) _llmsh_column; return ;;
                -k|--sort) _llmsh_column; return ;;
                -p|--pid) _llmsh_pid; return ;;
                -q|--quick-pid) _llmsh_pid; return ;;
                --ppid) _llmsh_pid; return ;;
                -C|--agent) _llmsh_agent; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '-e -A --all -a -d -f --full -l --long -y -j --jobs -H --forest -o --format -O --add -k --sort -p --pid -q --quick-pid --ppid -C --agent -t --tty -s --sid -g --group -u --user -N --deselect -T -r --running -w --cols --width --no-headers --no-heading --json --help'; return; fi
            _llmsh_file
            ;;
        purge)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--json --help'; return; fi
            _llmsh_file
            ;;
        pwd)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-L --logical -P --physical --help'; return; fi
            _llmsh_file
            ;;
        renice)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-n --priority --relative -p --pid -g --pgrp -u --user --help'; return; fi
            _llmsh_pid
            ;;
        run)
            case $before in
                -m|--model) _llmsh_model; return ;;
                --json-schema) _llmsh_file; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '-d --detach --best-of -m --model -n --nice --timeout --deadline --value --late --grace --max-tokens --tokens --group-cells --oom-score-adj --context --output-limit --temp --temperature --top-k --top-p --min-p --repeat-penalty --frequency-penalty --presence-penalty --penalty-last --seed --stop --logit-bias --json-schema --ignore-eos --scores --json --raw --shift --deterministic --pipe-capacity --help'; return; fi
            _llmsh_agent
            ;;
        sched)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '--json --help'; return; fi
            if ((COMP_CWORD == 2)); then _llmsh_words 'fair deadline fcfs mlfq rr'; return; fi
            _llmsh_file
            ;;
        timeout)
            case $before in
                -s|--signal) _llmsh_signal; return ;;
            esac
            if [[ $word == -* ]]; then _llmsh_words '-s --signal -k --kill-after --preserve-status --foreground -v --verbose --help'; return; fi
            _llmsh_command
            ;;
        uptime)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-p --pretty -s --since --json --help'; return; fi
            _llmsh_file
            ;;
        vmstat)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-n --one-header -t --timestamp --json --help'; return; fi
            _llmsh_file
            ;;
        wait)
            case $before in
            esac
            if [[ $word == -* ]]; then _llmsh_words '-n --next --timeout --json --help'; return; fi
            _llmsh_pid
            ;;
    esac
}

complete -F _llmsh llmsh
