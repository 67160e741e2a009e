"""Random games: whatever users, limits, policies and dying engines do together, everybody comes to an end."""

import os

import pytest

from tests.support.game import Game

GAMES = 100
FIRST = 1000 * int(os.environ.get("LLMSH_SEED", "1"))
REMEMBERED = (
    814047,  # a goal was moved, and moved back once its lease had been returned, without end
    819086,  # one waited for swap memory that another had, and this one for the first one's claim on cells
)


@pytest.mark.parametrize("seed", [*REMEMBERED, *range(FIRST, FIRST + GAMES)])
def test_everybody_comes_to_an_end(seed: int) -> None:
    game = Game(seed)
    game.play()
    game.finish()
