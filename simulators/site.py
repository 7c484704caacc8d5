"""What all machines of one factory share: place, weather, shifts and the supply's voltage and frequency."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.schedule import Schedule
from simulators.wander import Wander
from simulators.weather import Weather


@dataclass
class Site:
    """A factory at `latitude`, `longitude` [deg]; everything random in it follows from `seed`."""

    seed: int = 1
    latitude: float = 23.0  # Dongguan
    longitude: float = 113.75
    schedule: Schedule = field(default_factory=Schedule)
    busy: float = field(default=0.0, init=False)  # share of full production [1]
    frequency: float = field(default=50.0, init=False)  # [Hz]
    voltages: tuple[float, float, float] = field(default=(230.0, 230.0, 230.0), init=False)  # phase to neutral [V]

    def __post_init__(self) -> None:
        self.weather = Weather(f"{self.seed}/weather", self.longitude)
        self._frequency = Wander(f"{self.seed}/frequency", tau_s=60, every_s=5)
        self._voltage = Wander(f"{self.seed}/voltage", tau_s=1_800, every_s=30)
        self._time_ns: int | None = None

    def advance(self, now_ns: int, dt_s: float) -> None:
        """Set everything to the middle of the step that ends at `now_ns`; asked twice for one step it does nothing."""
        if now_ns == self._time_ns:
            return
        self._time_ns = now_ns
        middle_ns = now_ns - int(dt_s * 5e8)
        self.weather.advance(middle_ns)
        self.busy = self.schedule.level(middle_ns)
        self.frequency = 50.0 + 0.015 * self._frequency.at(middle_ns)
        # A busy factory pulls its transformer down by some volts; phases differ a little.
        volts = 233.0 - 4.0 * self.busy + 1.2 * self._voltage.at(middle_ns)
        self.voltages = (volts - 0.6, volts + 0.5, volts + 0.1)
