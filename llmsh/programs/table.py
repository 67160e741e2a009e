"""All programs by kind. The kernel is given this table; it knows no program by name."""

from llmsh.abi.program import Program
from llmsh.programs.chat import Chat
from llmsh.programs.classify import Classify
from llmsh.programs.extract import Extract
from llmsh.programs.filter import Filter
from llmsh.programs.prompt import Prompt

PROGRAMS: dict[str, Program] = {
    program.kind: program for program in (Prompt(), Filter(), Classify(), Extract(), Chat())
}
