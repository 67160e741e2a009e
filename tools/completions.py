"""Makes completions/ for bash, zsh and fish from the commands' own tables.

`python tools/completions.py` writes them; `scripts()` gives them to the test that says they are current. What only
the running system knows (pids, agents, models) the scripts ask llmsh for. It knows no command.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmsh.abi import records, signals  # noqa: E402  # the checkout's, whatever is installed
from llmsh.lib.command import HELP, Command, Option  # noqa: E402  # the same
from tools.man import command_table, names  # noqa: E402  # the same

HEAD = "# Completion of llmsh for {}. Made by tools/completions.py: change a command's table, then `make man`.\n"
ASK = {
    "pid": "llmsh ps -e -o pid= 2>/dev/null",
    "agent": 'llmsh agents ls --json 2>/dev/null | sed -n \'s/.*"name": "\\([^"]*\\)".*/\\1/p\'',
    "model": 'llmsh model ls --json 2>/dev/null | sed -n \'s/.*"name": "\\([^"]*\\)".*/\\1/p\'',
    "command": "printf '%s\\n' $commands",
    "signal": f"printf '%s\\n' {' '.join(signals.NUMBERS)}",
    "column": f"printf '%s\\n' {' '.join(records.PS)}",
}
"""What prints the candidates of each kind; files are the shell's own matter."""


def tables() -> list[Command]:
    """Every command that ships."""
    return [command_table(name) for name in names()]


def _flags(command: Command) -> list[str]:
    return [flag for option in (*command.options, HELP) for flag in option.flags]


def _valued(command: Command) -> list[Option]:
    """Options whose value can be completed."""
    return [option for option in command.options if option.complete or option.choices]


def _bash_words(kind: str, choices: tuple[str, ...]) -> str:
    """A bash command that fills COMPREPLY."""
    if choices:
        return f"_llmsh_words '{' '.join(choices)}'"
    return f"_llmsh_{kind}" if kind in ASK else "_llmsh_file"


def bash() -> str:
    """For bash 4 and later."""
    out = [HEAD.format("bash"), f"_llmsh_commands='{' '.join(names())}'", ""]
    out += ['_llmsh_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }']
    out += ['_llmsh_file() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); }']
    for kind, ask in ASK.items():
        out.append(f'_llmsh_{kind}() {{ local commands=$_llmsh_commands; _llmsh_words "$({ask})"; }}')
    out += ["", "_llmsh() {", "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}"]
    out += ["    if ((COMP_CWORD == 1)); then", '        _llmsh_words "$_llmsh_commands --help --version -c"']
    out += ["        [[ ${#COMPREPLY[@]} == 0 && $word == */* ]] && _llmsh_file", "        return", "    fi"]
    out += ["    case ${COMP_WORDS[1]} in"]
    for command in tables():
        out.append(f"        {command.name})")
        out.append("            case $before in")
        for option in _valued(command):
            fill = _bash_words(option.complete, option.choices)
            out.append(f"                {'|'.join(option.flags)}) {fill}; return ;;")
        out.append("            esac")
        out.append(f"            if [[ $word == -* ]]; then _llmsh_words '{' '.join(_flags(command))}'; return; fi")
        if command.choices:
            verbs = " ".join(command.choices)
            out.append(f"            if ((COMP_CWORD == 2)); then _llmsh_words '{verbs}'; return; fi")
        out.append(f"            {_bash_words(command.operands, ())}")
        out.append("            ;;")
    out += ["    esac", "}", "", "complete -F _llmsh llmsh"]
    return "\n".join(out) + "\n"


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


def _zsh_option(option: Option) -> list[str]:
    """Specifications for _arguments, one a spelling."""
    words = _quoted(option.help).replace("[", "(").replace("]", ")").replace(":", ",")
    action = f"({' '.join(option.choices)})" if option.choices else f"_llmsh_{option.complete or 'file'}"
    value = f":{option.value.lower()}:{action}" if option.value else ""
    return [f"'*{flag}{'=' if value and flag.startswith('--') else ''}[{words}]{value}'" for flag in option.flags]


def zsh() -> str:
    """For zsh's compsys."""
    out = ["#compdef llmsh", HEAD.format("zsh"), f"local commands='{' '.join(names())}'"]
    for kind, ask in ASK.items():
        asked = ask.replace("$commands", "${=commands}")
        out.append(f'_llmsh_{kind}() {{ local -a found; found=(${{(f)"$({asked})"}}); compadd -a found }}')
    out += ["_llmsh_file() { _files }", "", "if ((CURRENT == 2)); then", "    local -a described=("]
    out += [f"        '{command.name}:{_quoted(command.summary)}'" for command in tables()]
    out += ["    )", "    _describe command described", "    _files -g '*/*'", "    return", "fi", ""]
    out += ["local name=$words[2]", "shift words", "((CURRENT--))", "case $name in"]
    for command in tables():
        specs = [spec for option in (*command.options, HELP) for spec in _zsh_option(option)]
        if command.choices:
            specs.append(f"'1:verb:({' '.join(command.choices)})'")
        kind = command.operands if command.operands in ASK else "file"
        specs.append(f"'*:operand:_llmsh_{kind}'")
        out += [f"    {command.name})", "        _arguments -s \\"]
        out += [f"            {spec} \\" for spec in specs[:-1]] + [f"            {specs[-1]}", "        ;;"]
    out += ["esac"]
    return "\n".join(out) + "\n"


def fish() -> str:
    """For fish 3 and later."""
    out = [HEAD.format("fish"), f"set -g __llmsh_commands {' '.join(names())}"]
    out += [
        "function __llmsh_verb",
        "    set -l words (commandline -opc)",
        "    test (count $words) -eq 2; and test $words[2] = $argv[1]",
        "end",
        "complete -c llmsh -n __fish_is_first_token -f",
    ]
    for kind, ask in ASK.items():
        out += [f"function __llmsh_{kind}", f"    {ask.replace('$commands', '$__llmsh_commands')}", "end"]
    for command in tables():
        out.append(f"complete -c llmsh -n __fish_is_first_token -a {command.name} -d '{_fish(command.summary)}'")
        seen = f"-n '__fish_seen_subcommand_from {command.name}'"
        for option in (*command.options, HELP):
            out.append(f"complete -c llmsh {seen} {_fish_option(option)} -d '{_fish(option.help)}'")
        if command.choices:
            out.append(f"complete -c llmsh -n '__llmsh_verb {command.name}' -f -a '{' '.join(command.choices)}'")
        if command.operands in ASK:
            out.append(f"complete -c llmsh {seen} -f -a '(__llmsh_{command.operands})'")
    return "\n".join(out) + "\n"


def _fish(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _fish_option(option: Option) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    if not option.value:
        return flags
    if option.choices:
        return f"{flags} -x -a '{' '.join(option.choices)}'"
    return f"{flags} -x -a '(__llmsh_{option.complete})'" if option.complete in ASK else f"{flags} -r"


def scripts() -> dict[str, str]:
    """Every script by its name in completions/."""
    return {"llmsh.bash": bash(), "_llmsh": zsh(), "llmsh.fish": fish()}


def main() -> None:
    """Writes what has changed."""
    for name, text in scripts().items():
        path = ROOT / "completions" / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"completions/{name}")


if __name__ == "__main__":
    main()
