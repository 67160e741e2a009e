"""Makes the manual: section 2 from the system call table, section 1 from the commands' own tables, the pages of
agents and of the configuration from units and keys, each with the text in tools/mantext/; and prose from there.

`python tools/man.py` writes them; `pages()` gives them to the test that says they are current.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmsh.abi import errors, records, syscalls, unitfile  # noqa: E402  # the checkout's, whatever is installed
from llmsh.abi.unit import Option as UnitOption  # noqa: E402  # the same
from llmsh.boot import config  # noqa: E402  # the same
from llmsh.lib import commands  # noqa: E402  # the same
from llmsh.lib.command import HELP, Command, Option  # noqa: E402  # the same
from tools.roff import Page  # noqa: E402  # the same

TEXTS = ROOT / "tools/mantext"
KINDS = {
    "int": "integer",
    "str": "string",
    "bool": "boolean",
    "num": "number",
    "strs": "list of strings",
    "ints": "list of integers",
    "map": "object of scalars",
}


def texts(name: str) -> dict[str, dict[str, Any]]:
    """The hand-written part: entry by call or command."""
    with (TEXTS / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def _signature(call: syscalls.Call) -> str:
    args = ", ".join(arg.name if arg.required else f"[{arg.name}]" for arg in call.args)
    return f"`{call.name}`({args})" + (" + body" if call.body else "")


def _argument(arg: syscalls.Arg) -> str:
    unit = " long" if arg.kind in ("str", "strs", "ints", "map") else ""
    bounds = f"{arg.low} to {arg.high}{unit}" if arg.high < 1 << 53 else f"{arg.low} or more"
    default = "" if arg.required else f" Default: {_value(arg.default)}."
    return f"{arg.doc or 'see above'}." + (f" {bounds}." if arg.kind != "bool" else "") + default


def _value(default: object) -> str:
    if default in ((), {}, ""):
        return "empty"
    return str(default).lower() if isinstance(default, bool) else str(default)


def call_page(call: syscalls.Call, text: dict[str, Any]) -> str:
    """The page of one system call."""
    page = Page(call.name, 2)
    page.name(call.name, call.doc)
    page.section("synopsis")
    page.text(_signature(call))
    page.section("description")
    page.text(text["text"])
    if call.args:
        page.section("arguments")
        for arg in call.args:
            page.item(f"`{arg.name}` ({KINDS[arg.kind]}{'' if arg.required else ', optional'})", _argument(arg))
    page.section("return value")
    page.text(", ".join(f"`{name}`" for name in call.result) + "." if call.result else "Nothing.")
    if "fields" in text:
        for name, meaning in getattr(records, text["fields"]).items():
            page.item(f"`{name}`", f"{meaning[:1].upper()}{meaning[1:]}.")
    page.section("errors")
    for name in ("EINVAL", *call.errors):
        page.item(f"`{name}`", f"{errors.MESSAGES[name].capitalize()}.")
    page.section("see also")
    page.text(", ".join(f"`{name}`" for name in [*text.get("see", []), "syscalls(2)"]))
    return page.done()


def index_page() -> str:
    """The index of all calls."""
    page = Page("syscalls", 2)
    page.name("syscalls", "the system calls of llmshd")
    page.section("description")
    page.text(
        "User space asks the kernel by these calls, as frames on its socket (`llmsh-wire(7)`). An argument of the wrong"
        " kind or out of bounds, or one that a call does not have, gives `EINVAL` whatever the call."
    )
    for call in syscalls.CALLS:
        page.item(f"`{call.name}(2)`", f"{call.doc[:1].upper()}{call.doc[1:]}.")
    page.section("errors")
    for name, meaning in errors.MESSAGES.items():
        status = errors.STATUSES.get(name, 1)
        page.item(f"`{name}`", f"{meaning.capitalize()}. A command that ends by it has status {status}.")
    page.section("see also")
    page.text("`llmsh(7)`, `llmsh-wire(7)`")
    return page.done()


def _flags(option: Option) -> str:
    names = ", ".join(f"`{each}`" for each in option.flags)
    return names + (f"{'=' if option.flags[-1].startswith('--') else ' '}{option.value}" if option.value else "")


def command_page(command: Command, text: dict[str, Any]) -> str:
    """The page of one command."""
    page = Page(command.name, 1)
    page.name(command.name, command.summary)
    page.section("synopsis")
    for form in command.usage:
        page.text(f"`llmsh {command.name}` {form}".rstrip())
    page.section("description")
    page.text(text["text"])
    if command.notes:
        page.text(command.notes)
    page.section("options")
    for option in (*command.options, HELP):
        page.item(_flags(option), f"{option.help[:1].upper()}{option.help[1:]}.")
    if "status" in text:
        page.section("exit status")
        page.text(text["status"])
    if "examples" in text:
        page.section("examples")
        page.text(text["examples"])
    page.section("see also")
    page.text(", ".join(f"`{name}`" for name in [*text.get("see", []), "llmsh(7)"]))
    return page.done()


def _unit_option(name: str, option: UnitOption) -> tuple[str, str]:
    """Tag and text of an option that a unit declares."""
    flags = f"`-{option.short}`, `--{name}`" if option.short else f"`--{name}`"
    tag = flags if option.type == "bool" else f"{flags}={name.upper()}"
    words = f"{option.help[:1].upper()}{option.help[1:]}."
    if option.choices:
        words += f" One of {', '.join(map(str, option.choices))}."
    if option.values:
        words += " Short forms: " + ", ".join(f"{short} for {long}" for short, long in option.values.items()) + "."
    if option.type != "bool" and option.default not in ("", 0):
        words += f" Default: {option.default}."
    return tag, words


def agents_page() -> str:
    """The agents that ship, a section each."""
    page, words = Page("llmsh-agents", 7), texts("agents")
    page.name("llmsh-agents", "the agents that ship with llm-sh")
    page.section("description")
    page.text(
        "Each of these is a unit file that `agents(1)` shows, and a starting point for one of your own"
        " (`llmsh-unit(5)`). All take the options of `run(1)`; those below are their own and follow the name."
    )
    for path in sorted((ROOT / "agents.d").glob("*.toml")):
        unit = unitfile.load(str(path), path.stem)
        page.section(unit.name)
        page.text(f"{unit.description[:1].upper()}{unit.description[1:].rstrip('.')}. Kind: `{unit.kind}`.")
        page.text(words[unit.name]["text"])
        for tag, text in (_unit_option(name, option) for name, option in unit.options.items()):
            page.item(tag, text)
        page.text(words[unit.name]["examples"])
    page.section("see also")
    page.text("`run(1)`, `agents(1)`, `llmsh-unit(5)`, `llmsh(7)`")
    return page.done()


def _plain(number: float) -> str:
    """A number without an exponent."""
    return str(int(number)) if number == int(number) else str(number)


def config_page() -> str:
    """The keys of the configuration."""
    page, words = Page("llmshd.toml", 5), texts("config")
    page.name("llmshd.toml", "configuration of llmshd")
    page.section("description")
    page.text(
        "The daemon reads `~/.config/llmsh/llmshd.toml` when it starts, and needs none. It is a TOML file of these"
        " keys; `llmshd --option KEY=VALUE` lays a value over it. A key that there is not, or a value of another kind"
        " or out of bounds, keeps the daemon from starting: one line names the file, the line and what was expected."
    )
    page.section("keys")
    for name, field in config.FIELDS.items():
        low, high = config.BOUNDS.get(name, (0, config.MAX))
        least, most = _plain(low), _plain(high)
        bounds = f" {least} to {most}." if high < config.MAX else f" At least {least}." if low else ""
        value = field.default
        default = f'"{value}"' if isinstance(value, str) else str(value).lower()
        page.item(f"`{name}` = {default}", words[name]["text"] + bounds)
    page.section("examples")
    page.text('    model = "qwen"\n    quantum = 8\n    idle_exit_s = 0')
    page.section("see also")
    page.text("`llmshd(8)`, `sched(2)`, `llmsh(7)`")
    return page.done()


def prose_page(path: Path) -> str:
    """A page that is prose: the summary first, `# heading`, `= tag` and its text, paragraphs."""
    name, _, number = path.name.rpartition(".")
    summary, *sections = re.split(r"^# ", path.read_text(), flags=re.MULTILINE)
    page = Page(name, int(number))
    page.name(name, summary.strip())
    for section in sections:
        heading, _, body = section.partition("\n")
        page.section(heading)
        text, *items = re.split(r"^= ", body, flags=re.MULTILINE)
        if text.strip():
            page.text(text)
        for item in items:
            tag, _, meaning = item.partition("\n")
            page.item(tag, meaning)
    return page.done()


def command_table(name: str) -> Command:
    """What the command of that name says of itself."""
    module = commands.load(name)
    assert module is not None, name
    table = module.COMMAND
    assert isinstance(table, Command)
    return table


def names() -> list[str]:
    """The commands that ship."""
    return sorted(path.stem for path in (ROOT / "builtins").glob("*.py"))


def pages() -> dict[str, str]:
    """Every page made here, by its path under man/."""
    calls, words = texts("calls"), texts("commands")
    made = {f"man2/{call.name}.2": call_page(call, calls[call.name]) for call in syscalls.CALLS}
    made |= {"man2/syscalls.2": index_page(), "man5/llmshd.toml.5": config_page(), "man7/llmsh-agents.7": agents_page()}
    made |= {f"man1/{name}.1": command_page(command_table(name), words[name]) for name in names()}
    made |= {f"man{path.name[-1]}/{path.name}": prose_page(path) for path in sorted(TEXTS.glob("pages/*"))}
    return made


def main() -> None:
    """Writes what has changed."""
    for path, text in pages().items():
        target = ROOT / "man" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
            print(f"man/{path}")


if __name__ == "__main__":
    main()
