"""A heat flow in natural gas enters; volume and flow at a stated reference temperature leave."""

from __future__ import annotations

NCV_0C_MJ_M3 = 38.931  # per m³ at 0 °C, 101.325 kPa: default of China's 24 industry guidelines (389.31 GJ per 10⁴ Nm³)


class GasMeter:
    """A volume-corrected gas meter; its m³ are at `reference_celsius` and 101.325 kPa.

    The net calorific value of such a m³ is ncv = NCV₀·273.15 / (273.15 + reference).
    """

    def __init__(self, reference_celsius: float = 0.0, ncv_0c_mj_m3: float = NCV_0C_MJ_M3, start: float = 0.0) -> None:
        self.ncv_mj_m3 = ncv_0c_mj_m3 * 273.15 / (273.15 + reference_celsius)
        self.volume = start

    def read(self, heat_kw: float, dt_s: float) -> dict[str, float]:
        """Count `dt_s` at `heat_kw`; return volume [m3] and volume_flow [m3/h]."""
        flow = heat_kw * 3.6 / self.ncv_mj_m3
        self.volume += flow * dt_s / 3_600.0
        return {"volume": self.volume, "volume_flow": flow}
