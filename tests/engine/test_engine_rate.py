"""How many tokens a step may have, from numbers alone."""

from llmsh.engine.rate import FIRST, SMALLEST, Rate


def seen(*steps: tuple[int, float]) -> Rate:
    rate = Rate()
    for tokens, ms in steps:
        rate.saw(tokens, ms)
    return rate


def test_a_first_step_is_small() -> None:
    assert Rate().room(120) == FIRST
    assert seen((2, 30.0)).room(120) == FIRST, "a step of two says nothing about a prompt"


def test_the_room_is_what_fits_and_at_most_twice_what_was_tried() -> None:
    assert seen((32, 64.0)).room(40) == 20
    assert seen((32, 3.2)).room(120) == 64


def test_a_step_has_some_room_always_unless_it_must_be_short() -> None:
    rate = seen((32, 640.0))
    assert rate.room(60) == SMALLEST
    assert rate.room(60, least=1) == 3


def test_short_steps_find_out_that_a_token_costs_less_again() -> None:
    """Else one slow step would keep prompts in pieces of a few tokens for as long as somebody is in front."""
    rate = seen((32, 640.0))
    for _ in range(30):
        rate.saw(rate.room(60, least=1), 4.0 * rate.room(60, least=1))
    assert rate.room(60, least=1) >= SMALLEST


def test_a_short_step_does_not_make_a_token_dearer() -> None:
    rate = seen((32, 64.0))
    rate.saw(2, 29.0)
    assert rate.room(40) == 20


def test_a_large_step_says_what_a_token_costs_in_a_small_one() -> None:
    tiled, plain = Rate(), Rate(tiled=False)
    for rate in (tiled, plain):
        rate.saw(100, 400.0)
    assert (tiled.room(120), plain.room(120)) == (24, 30)
