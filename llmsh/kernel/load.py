"""Load averages: how many processes want the device, averaged over 1, 5 and 15 minutes.

Source: getloadavg(3). The averages decay by the time that passed, so they may be asked at any
time."""

import math

MINUTES = (1, 5, 15)


class Load:
    """Exponentially decaying averages of a count."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._averages = [0.0 for _ in MINUTES]

    def note(self, now: float, count: int) -> None:
        """The count has been this since the last note."""
        passed, self._at = max(0.0, now - self._at), now
        for index, minutes in enumerate(MINUTES):
            kept = math.exp(-passed / (60 * minutes))
            self._averages[index] = self._averages[index] * kept + count * (1 - kept)

    def averages(self) -> list[float]:
        """Over 1, 5 and 15 minutes."""
        return [round(value, 2) for value in self._averages]
