"""A folder that stands for /sys on a device: cores with governors, a thermal sensor, a battery."""

from __future__ import annotations

from pathlib import Path


class FakeSysfs:
    """cores: their governors at the start; all run at 1500 MHz, and the kernel slows them down at 85 °C."""

    def __init__(self, folder: Path, governors: tuple[str, ...] = ("ondemand", "schedutil")) -> None:
        self.folder = folder
        for core, governor in enumerate(governors):
            self.write(f"devices/system/cpu/cpu{core}/cpufreq/scaling_governor", governor)
            self.write(f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", "1500000")
            self.write(f"devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq", "1800000")
        zone = "class/thermal/thermal_zone0"
        for name, text in (
            ("temp", "48312"),
            ("type", "cpu-thermal"),
            ("trip_point_0_type", "passive"),
            ("trip_point_0_temp", "85000"),
            ("trip_point_1_type", "critical"),
            ("trip_point_1_temp", "110000"),
        ):
            self.write(f"{zone}/{name}", text)

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n")

    def battery(self, status: str, microamperes: int, microvolts: int) -> None:
        for name, text in (
            ("type", "Battery"),
            ("capacity", "81"),
            ("status", status),
            ("current_now", str(microamperes)),
            ("voltage_now", str(microvolts)),
        ):
            self.write(f"class/power_supply/battery/{name}", text)

    def governors(self) -> list[str]:
        found = sorted(self.folder.glob("devices/system/cpu/cpu*/cpufreq/scaling_governor"))
        return [path.read_text().strip() for path in found]
