"""Input for programs that do one thing to a whole input, or the same to each of its lines.

Which of the two: the unit's option `lines`, when it has one. It joins intake.py and lines.py, which
have the same functions.
"""

from llmsh.abi.program import Effect, Event, Image
from llmsh.programs import intake, lines
from llmsh.programs.intake import Intake, Item
from llmsh.programs.lines import Lines

Supply = Intake | Lines
OPTION = "lines"


def opened(image: Image) -> Supply:
    """The input of this process, nothing read yet."""
    return lines.opened(image) if image.options.get(OPTION) is True else intake.opened(image)


def receive(supply: Supply, event: Event) -> Supply:
    """The supply after what it asked for has come."""
    return lines.receive(supply, event) if isinstance(supply, Lines) else intake.receive(supply, event)


def advance(supply: Supply) -> tuple[Supply, Effect | Item | None]:
    """What is needed next: an effect, an item, or None at the end. Raises Error E2BIG."""
    return lines.advance(supply) if isinstance(supply, Lines) else intake.advance(supply)
