"""jobs, fg, bg, wait, kill and disown: the commands that know this shell's jobs.

Whatever names no job of ours (an agent's pid, any process) goes on to the builtin of that name.
"""

import signal

from llmsh.abi import signals
from llmsh.abi.limits import PID_FIRST
from llmsh.lib import commands, term
from llmsh.lib.options import Given, parse
from llmsh.sh.errors import ShellError
from llmsh.sh.job import Job
from llmsh.sh.process import foreground, job_line, spawn
from llmsh.sh.shell import Shell


def _one(shell: Shell, words: list[str]) -> Job:
    if len(words) > 2:
        raise ShellError("one job at a time")
    return shell.jobs.find(words[1] if len(words) > 1 else "%+")


def _is_foreign(shell: Shell, words: list[str]) -> bool:
    """Whether a pid is named that is an agent's and no job's of ours: one that `run -d` started, perhaps."""
    name = words[1] if len(words) == 2 else ""
    is_pid = name.isascii() and name.isdigit() and len(name) < 18
    return is_pid and int(name) >= PID_FIRST and shell.jobs.by_pid(int(name)) is None


def _control(shell: Shell) -> None:
    if not shell.job_control:
        raise ShellError("no job control in this shell")


def jobs(shell: Shell, words: list[str]) -> int:
    """List jobs; the options are those of the builtin: `jobs [-lprs] [--json] [%JOB...]`."""
    module = commands.load("jobs")
    given = parse(module.COMMAND, words[1:]) if module else Given()
    shell.jobs.poll()
    for job in [shell.jobs.find(name) for name in given.operands] or list(shell.jobs):
        job.hear()
        state = job.state()
        if (given.flag("running") and state != "Running") or (given.flag("stopped") and state != "Stopped"):
            continue
        _show(shell, job, given)
        job.told = state
        if job.done:
            shell.jobs.forget(job, shell.pipefail)
    return 0


def _show(shell: Shell, job: Job, given: Given) -> None:
    if given.flag("json"):
        from llmsh.lib.forms import record

        pids = [pid for process in job.processes for pid in process.agents or [process.pid]]
        state = job.state().lower()
        record({"job": job.number, "pgid": job.pgid, "pids": pids, "state": state, "args": job.text})
    elif given.flag("pids"):
        term.line(str(leader(job)))
    elif given.flag("long"):
        head, rest = job_line(shell, job).split("  ", 1)
        term.line(f"{head}  {leader(job)} {rest}")
    else:
        term.line(job_line(shell, job))


def leader(job: Job) -> int:
    """The pid that stands for a job: its last agent's, or its first process's."""
    last = job.processes[-1]
    return last.agents[-1] if last.agents else job.pgid or last.pid


def fg(shell: Shell, words: list[str]) -> int:
    """Bring a job to the foreground: `fg [%JOB]`."""
    if _is_foreign(shell, words):
        line = " ".join(words)
        return foreground(shell, spawn(shell, [lambda _: commands.invoke("fg", words[1:])], line, background=False))
    _control(shell)
    shell.jobs.poll()
    job = _one(shell, words)
    if job.done:
        raise ShellError(f"{job.text}: the job has ended")
    shell.jobs.touch(job)
    if shell.terminal:
        shell.terminal.set(job.modes)
        shell.terminal.give(job.pgid)
    # Once a user sees the job's name, Ctrl-C is the job's. One that runs is not continued: a Ctrl-Z
    # that comes first would be undone.
    term.line(job.text)
    if job.stopped:
        _continue(job)
    return foreground(shell, job)


def bg(shell: Shell, words: list[str]) -> int:
    """Continue jobs in the background: `bg [%JOB...]`."""
    if _is_foreign(shell, words):
        return commands.invoke("bg", words[1:])
    _control(shell)
    shell.jobs.poll()
    for name in words[1:] or ["%+"]:
        job = shell.jobs.find(name)
        if job.done:
            raise ShellError(f"{job.text}: the job has ended")
        _continue(job)
        term.line(job_line(shell, job))
    return 0


def _continue(job: Job) -> None:
    for process in job.processes:
        process.stopped = 0
    job.told = "Running"
    job.signal(signal.SIGCONT)


def disown(shell: Shell, words: list[str]) -> int:
    """Forget jobs, so that they get no HUP from us: `disown [%JOB...]`."""
    for job in [shell.jobs.find(name) for name in words[1:] or ["%+"]]:
        shell.jobs.remove(job)
    return 0


# wait.


def wait(shell: Shell, words: list[str]) -> int:
    """Wait for some or all; agents that are not ours go to the builtin: `wait [PID | %JOB...]`."""
    names = [word for word in words[1:] if word != "--"]
    if not names:
        shell.jobs.poll()
        for job in list(shell.jobs):
            # A stopped job ends when somebody at our prompt continues it, so the prompt must come.
            shell.jobs.wait(job, untraced=shell.job_control)
            if job.done:
                shell.jobs.forget(job, shell.pipefail)
        return 0
    if any(name.startswith("-") for name in names):
        return commands.invoke("wait", words[1:])
    status = 0
    for name in names:
        status = _wait_one(shell, name)
    return status


def _wait_one(shell: Shell, name: str) -> int:
    if name.startswith("%"):
        try:
            return _wait_for(shell, shell.jobs.find(name))
        except ShellError as error:
            shell.complain(f"wait: {error}")
            return 127
    if not (name.isascii() and name.isdigit()) or len(name) > 18:
        raise ShellError(f"{name}: neither a pid nor a job")
    pid = int(name)
    if pid in shell.jobs.statuses:
        return shell.jobs.statuses[pid]
    if job := shell.jobs.by_pid(pid):
        return _wait_for(shell, job)
    if pid >= PID_FIRST:
        return commands.invoke("wait", [name])
    shell.complain(f"wait: {name}: not a child of this shell")
    return 127


def _wait_for(shell: Shell, job: Job) -> int:
    shell.jobs.wait(job, untraced=False)
    status = job.exit_status(shell.pipefail)
    shell.jobs.forget(job, shell.pipefail)
    return status


# kill.


def kill(shell: Shell, words: list[str]) -> int:
    """Signal jobs and processes: %JOB becomes pids, the rest is the builtin's."""
    shell.jobs.poll()
    number = _signal(words[1:])
    out: list[str] = []
    woken: list[Job] = []
    for index, word in enumerate(words[1:], 1):
        if not word.startswith("%"):
            out.append(word)
            continue
        job = shell.jobs.find(word)
        targets = _targets(job, number)
        if "--" not in words[1:index] and "--" not in out and any(t.startswith("-") for t in targets):
            out.append("--")
        out += targets
        if job.stopped and number in (signal.SIGTERM, signal.SIGHUP):
            woken.append(job)
    status = commands.invoke("kill", out)
    for job in woken:
        _continue(job)
    return status


def _signal(args: list[str]) -> int:
    """The signal that kill's arguments name; TERM when they name none that we know."""
    for index, arg in enumerate(args):
        if arg in ("-s", "-n", "--signal"):
            name = args[index + 1] if index + 1 < len(args) else ""
        elif arg.startswith("-") and arg != "--":
            name = arg.removeprefix("--signal=").removeprefix("-s").removeprefix("-n").removeprefix("-")
        else:
            break
        try:
            return signals.number(name)
        except ValueError:
            continue
    return signal.SIGTERM


def _targets(job: Job, number: int) -> list[str]:
    """The pids to signal. A process that runs agents passes on what it can catch; STOP and KILL it
    cannot: those go to the agents, and it follows them."""
    job.hear()
    groups = [f"-{process.agents[0]}" for process in job.processes if process.agents and process.status is None]
    own = [f"-{job.pgid}"] if job.pgid else [str(p.pid) for p in job.processes if p.status is None]
    if not groups or number not in (signal.SIGSTOP, signal.SIGKILL):
        return own or [str(job.processes[-1].pid)]
    if number == signal.SIGKILL:
        return groups + own
    return groups + [str(p.pid) for p in job.processes if not p.agents and p.status is None]


def hang_up(shell: Shell) -> None:
    """The terminal has gone: tell every job."""
    for job in shell.jobs:
        if not job.done:
            job.signal(signal.SIGHUP)
            if job.stopped:
                job.signal(signal.SIGCONT)
