"""What a cell below the highest one costs: measured in turns, so that what else goes on does not count."""

from typing import Any

import pytest

from llmsh.abi.lease import TURN
from llmsh.drivers.fakecore import Options
from llmsh.kernel.calibration import SHARE
from llmsh.kernel.rates import Broken, Rates, restored
from llmsh.kernel.renting import LEAST, MOST, TRIES, Renting
from llmsh.kernel.settings import Settings
from llmsh.kernel.tax import RENT_MS
from tests.support.machine import Machine


def turns(low: float, high: float, drift: float = 0.0) -> list[float]:
    """Steps of four turns on a machine that becomes slower."""
    return [(high if at // TURN % 2 else low) + drift * at for at in range(4 * TURN)]


def renting(cells: int = 16_384) -> Renting:
    return Renting(Rates(), cells, 1)


def test_it_is_the_difference_over_the_cells() -> None:
    rent = renting()
    assert (rent.fill, rent.point) == (4096, (1, 1, 1, 1))
    rent.ended(turns(7.0, 9.048), "", 1.0)
    assert rent.rates.rent == pytest.approx(0.0005)
    assert not rent.wanted


def test_a_machine_that_slows_down_meanwhile_changes_little() -> None:
    rent = renting()
    rent.ended(turns(7.0, 9.048, drift=0.05), "", 1.0)
    assert rent.rates.rent == pytest.approx(0.0005, rel=0.15)


def test_of_disturbed_ones_the_middle_one_holds() -> None:
    rent = renting()
    for high in (7.0 + 4.096, 7.0 + 1.024, 70.0):
        assert rent.wanted
        rent.ended(turns(7.0, high), "", SHARE / 2)
    assert not rent.wanted
    assert rent.rates.rent == pytest.approx(0.001)


def test_that_a_cell_makes_a_step_faster_is_not_believed() -> None:
    rent = renting()
    for _ in range(TRIES):
        rent.ended(turns(9.0, 7.0), "", SHARE / 2)
    assert (rent.wanted, rent.rates.rent) == (False, None)
    steady = renting()
    steady.ended(turns(9.0, 8.99), "", 1.0)
    assert (steady.wanted, steady.rates.rent) == (False, 0.0)


def test_one_that_is_not_disturbed_is_enough() -> None:
    rent = renting()
    rent.ended(turns(7.0, 70.0), "", SHARE / 2)
    rent.ended(turns(7.0, 9.048), "", 1.0)
    assert not rent.wanted
    assert rent.rates.rent == pytest.approx(0.0005)


def test_what_gave_way_is_tried_again_and_what_fails_is_not_for_ever() -> None:
    rent = renting()
    for _ in range(20):
        rent.ended([0.0], "gave way", 1.0)
    assert rent.wanted
    for _ in range(TRIES):
        rent.ended([0.0], "no room", 1.0)
    assert (rent.wanted, rent.rates.rent) == (False, None)
    # A machine on which steps take so long that the second turn never comes.
    short = renting()
    for _ in range(TRIES):
        short.ended([700.0], "", 1.0)
    assert (short.wanted, short.rates.rent) == (False, None)


def test_a_small_cache_is_not_measured_and_a_large_one_not_filled() -> None:
    assert not renting(2 * LEAST - 1).wanted
    assert (renting(2 * LEAST).fill, renting(1 << 20).fill) == (LEAST, MOST)


def test_it_is_kept_with_the_table() -> None:
    rates = Rates()
    rates.rent = 0.00042
    kept = rates.record()
    assert restored(kept).rent == 0.00042
    assert not Renting(restored(kept), 16_384, 1).wanted
    assert restored({key: kept[key] for key in kept if key != "rent"}).rent is None
    for wrong in (-1, 2, "x"):
        with pytest.raises(Broken):
            restored(kept | {"rent": wrong})


# A whole kernel, over the fake device, whose cells cost what it is told.


class Shelf:
    """One table in memory."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    def find(self, model: str) -> Rates | None:
        return restored(self.kept[-1]) if self.kept else None

    def keep(self, model: str, rates: Rates) -> None:
        self.kept.append(rates.record())


def loaded(shelf: Shelf, options: Options) -> Machine:
    made = Machine(options, settings=Settings(strict=True, calibrate=True), shelf=shelf)
    made.client().post("load", model="fake")
    made.clock.run_until(lambda: made.kernel.hosts["fake"].ready)
    return made


def test_the_kernel_measures_it_and_keeps_it() -> None:
    shelf, options = Shelf(), Options(cells=20_000, context=4000, cell=0.002)
    made = loaded(shelf, options)
    host = made.kernel.hosts["fake"]
    assert host.swap.tax.rent == RENT_MS
    made.clock.run_until(lambda: host.tuning.complete and not host.tuning.measuring, 60)
    made.go(60)
    assert host.swap.tax.rent == pytest.approx(0.002)
    assert [table["rent"] for table in shelf.kept] == [0.002]
    made.sound()
    again = loaded(shelf, options)
    assert again.kernel.hosts["fake"].swap.tax.rent == 0.002
    assert again.client().call("lsdev", long=True)["rows"][0]["rates"]["rent"] == 0.002
    again.go(60)
    assert again.kernel.hosts["fake"].steps == 0
