"""Active and reactive power of a machine enter, everything a three-phase energy meter shows leaves."""

from __future__ import annotations

import math
import random

from simulators.site import Site

PHASES = (("l1", "l2", 0.338), ("l2", "l3", 0.329), ("l3", "l1", 0.333))  # phase, next phase, share of the load


def electrical(power_kw: float, reactive_kvar: float, site: Site) -> dict[str, float]:
    """Return the momentary readings of a meter whose circuit draws `power_kw` and `reactive_kvar` (inductive > 0).

    power, power_l1…l3 [kW] · reactive_power, …_l1…l3 [kvar] · apparent_power, …_l1…l3 [kVA], S = √(P² + Q²) ·
    power_factor, …_l1…l3 [1], P / S with the sign of P · phase_angle_total [deg] · frequency [Hz] ·
    voltage_l1_n…l3_n, voltage_l1_l2, voltage_l2_l3, voltage_l3_l1, voltage_ln_avg, voltage_ll_avg [V] ·
    current_l1…l3, current_avg, current_sum [A], I = S / U.
    """
    apparent = math.hypot(power_kw, reactive_kvar)
    factor = power_kw / apparent if apparent > 0 else 1.0
    readings = {
        "power": power_kw,
        "reactive_power": reactive_kvar,
        "apparent_power": apparent,
        "power_factor": factor,
        "phase_angle_total": math.degrees(math.atan2(reactive_kvar, power_kw)),
        "frequency": site.frequency,
    }
    currents = 0.0
    for index, (phase, following, share) in enumerate(PHASES):
        volts = site.voltages[index]
        neighbour = site.voltages[(index + 1) % 3]
        readings[f"power_{phase}"] = power_kw * share
        readings[f"reactive_power_{phase}"] = reactive_kvar * share
        readings[f"apparent_power_{phase}"] = apparent * share
        readings[f"power_factor_{phase}"] = factor
        readings[f"voltage_{phase}_n"] = volts
        # 120° between the phases
        readings[f"voltage_{phase}_{following}"] = math.sqrt(volts**2 + neighbour**2 + volts * neighbour)
        readings[f"current_{phase}"] = current = apparent * share / volts * 1_000.0
        currents += current
    readings["current_sum"] = currents
    readings["current_avg"] = currents / 3
    readings["voltage_ln_avg"] = sum(site.voltages) / 3
    readings["voltage_ll_avg"] = (readings["voltage_l1_l2"] + readings["voltage_l2_l3"] + readings["voltage_l3_l1"]) / 3
    return readings


class Submeter:
    """The energy meter in a machine's feeder: its registers began long before the simulation."""

    def __init__(self, name: str, site: Site, export_kwh: float = 0.0, thd_current: float = 4.0) -> None:
        self.site, self.thd_current = site, thd_current
        start = random.Random(f"{site.seed}/{name}/index")
        self.energy_import = round(start.uniform(20_000, 125_000), 1)  # [kWh]
        self.energy_export = export_kwh
        self.reactive_import = round(self.energy_import * 0.5, 1)  # [kvarh]
        self.reactive_export = 0.0
        self.apparent_energy = round(self.energy_import * 1.1, 1)  # [kVAh]

    def read(self, power_kw: float, reactive_kvar: float, dt_s: float) -> dict[str, float]:
        """Count `dt_s` at these mean powers; return `electrical`, and what a meter keeps.

        energy_import, energy_export [kWh] with _l1…l3, and _t2 of a second tariff nobody uses · energy_net_total and
        _l1…l3, import less export · energy_total, energy_import_plus_export_total, energy_sum_l1…l3, import + export ·
        reactive_energy_import (reactive_energy_inductive), reactive_energy_export (…_capacitive),
        reactive_energy_total (reactive_energy_sum_total) [kvarh] · apparent_energy_total [kVAh] ·
        thd_voltage_l1…l3, thd_voltage_avg, thd_current_l1…l3 [%].
        """
        readings = electrical(power_kw, reactive_kvar, self.site)
        hours = dt_s / 3_600.0
        self.energy_import += max(power_kw, 0.0) * hours
        self.energy_export += max(-power_kw, 0.0) * hours
        self.reactive_import += max(reactive_kvar, 0.0) * hours
        self.reactive_export += max(-reactive_kvar, 0.0) * hours
        self.apparent_energy += readings["apparent_power"] * hours
        both = self.energy_import + self.energy_export
        net = self.energy_import - self.energy_export
        distortion = 1.8 + 0.8 * self.site.busy
        readings.update(
            energy_import=self.energy_import,
            energy_export=self.energy_export,
            energy_import_t2=0.0,
            energy_export_t2=0.0,
            energy_net_total=net,
            energy_total=both,
            energy_import_plus_export_total=both,
            reactive_energy_import=self.reactive_import,
            reactive_energy_inductive=self.reactive_import,
            reactive_energy_export=self.reactive_export,
            reactive_energy_capacitive=self.reactive_export,
            reactive_energy_total=self.reactive_import + self.reactive_export,
            reactive_energy_sum_total=self.reactive_import + self.reactive_export,
            apparent_energy_total=self.apparent_energy,
            thd_voltage_avg=distortion,
        )
        for phase, _, share in PHASES:
            readings[f"energy_import_{phase}"] = self.energy_import * share
            readings[f"energy_export_{phase}"] = self.energy_export * share
            readings[f"energy_net_{phase}"] = net * share
            readings[f"energy_sum_{phase}"] = both * share
            readings[f"thd_voltage_{phase}"] = distortion
            readings[f"thd_current_{phase}"] = self.thd_current
        return readings
