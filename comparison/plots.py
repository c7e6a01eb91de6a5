"""latency.png and throughput.png, from the saved results."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

COLOURS = {"Restate": "#5b5bd6", "Step Functions Express": "#e5873c", "Step Functions Standard": "#b0483a"}


def plot(results: Mapping[str, Any], directory: Path) -> None:
    """latency.png and throughput.png: what the tables say, by number of callers."""
    import_module("matplotlib").use("agg")
    pyplot = import_module("matplotlib.pyplot")
    names = list(results["engines"])
    for file, title, median, spread in (
        ("latency", "ms to the answer: median (bar), median of each round (line)", "median_ms", "median_of_rounds_ms"),
        ("throughput", "trips per second", "trips_per_second", "trips_per_second_of_rounds"),
    ):
        figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
        for panel, run_type in zip(axes, ("success", "failPayment"), strict=True):
            for place, name in enumerate(names):
                latency = results["engines"][name]["latency"][run_type]
                found = list(latency.values())
                heights = [turn[median] for turn in found]
                below = [max(0, turn[median] - turn[spread][0]) for turn in found]
                above = [max(0, turn[spread][1] - turn[median]) for turn in found]
                at = [index + (place - 1) * 0.27 for index in range(len(found))]
                panel.bar(at, heights, 0.25, yerr=(below, above), color=COLOURS[name], label=name, capsize=2)
                panel.set_xticks(range(len(found)), [f"{callers} caller(s)" for callers in latency])
            panel.set_title(run_type)
            panel.spines[["top", "right"]].set_visible(False)
        axes[0].legend(frameon=False, fontsize=8)
        figure.suptitle(f"{title} (emulator, {results['measured']['cpus']} CPUs)", fontsize=10)
        figure.savefig(directory / f"{file}.png", dpi=110, metadata={"Software": None})
        pyplot.close(figure)
