"""Random games: whatever users, limits, policies and dying engines do together, everybody comes to an end."""

import os

import pytest

from tests.support.game import Game

GAMES = 100
FIRST = 1000 * int(os.environ.get("LLMSH_SEED", "1"))
REMEMBERED = (
    814047,  # a goal was moved, and moved back once its lease had been returned, without end
    905091,  # two who score kept each other out of a limit that was one cell too low for either
    921061,  # the same of a whole cache
    819086,  # one waited for swap memory that another had, and this one for the first one's claim on cells
    974046,  # who waited for cells of its limit had a seat taken for it, again and again
    974096,  # the same where goals decide
)


@pytest.mark.parametrize("seed", [*REMEMBERED, *range(FIRST, FIRST + GAMES)])
def test_everybody_comes_to_an_end(seed: int) -> None:
    game = Game(seed)
    game.play()
    game.finish()
