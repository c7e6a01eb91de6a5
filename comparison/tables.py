"""The tables of docs/comparison.md and of the README, each from the saved results."""

from collections.abc import Mapping, Sequence
from typing import Any


def each_engine(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(results["engines"].values())


def caution(results: Mapping[str, Any]) -> str:
    measured = results["measured"]
    return (
        f"Measured on {measured['on']} by `make bench`: {measured['rounds']} rounds in turns, {measured['cpus']} CPUs, "
        f"{measured['system']}, ministack {measured['versions']['ministack']}. Counts are exact. Times are those of an "
        "emulator, not of AWS, and bear comparison within this table only: the emulator sleeps 150 ms in every Step "
        "Functions execution, and runs the state machine and all else in one Python process."
    )


def counted(results: Mapping[str, Any], run_type: str) -> str:
    title = {"success": "a booked trip", "failPayment": "`failPayment`"}[run_type]
    rows = [
        [words, *(number(found["counts"][run_type].get(count), "{:g}") for found in each_engine(results))]
        for words, count in (
            ("Lambda invocations", "lambda_invocations"),
            ("billed ms (emulator)", "billed_ms"),
            ("state transitions", "state_transitions"),
            ("Restate invocations", "restate_invocations"),
        )
    ]
    operations = [found["counts"][run_type]["dynamodb_requests"] for found in each_engine(results)]
    detail = [
        f"{sum(found.values()):g} ({', '.join(f'{n:g} {name}' for name, n in found.items())})" for found in operations
    ]
    rows.append(["DynamoDB requests", *detail])
    return table([title, *results["engines"]], rows)


def times(results: Mapping[str, Any], run_type: str) -> str:
    rows: list[list[str]] = []
    for callers in each_engine(results)[0]["latency"][run_type]:
        rows.append([f"{callers} caller(s): median ms", *timed(results, run_type, callers, "median_ms")])
        if callers == "1":
            rows.append(["… less that of the emulator", *net(results, run_type)])
        rows.append(["… of rounds", *spread(results, run_type, callers, "median_of_rounds_ms", "{:.0f}")])
        rows.append(["… p99 ms", *timed(results, run_type, callers, "p99_ms")])
        rows.append(["… trips/s", *timed(results, run_type, callers, "trips_per_second", "{:.1f}")])
        rows.append(["… of rounds", *spread(results, run_type, callers, "trips_per_second_of_rounds", "{:.1f}")])
    title = {"success": "a booked trip", "failPayment": "`failPayment`"}[run_type]
    return table([title, *results["engines"]], rows)


# Invocations after the answer: Restate's notice and undo. All others are waited for, one after another.
AFTERWARDS = {"success": 1, "failPayment": 4}


def net(results: Mapping[str, Any], run_type: str) -> list[str]:
    emulator, shown = results["emulator"], list[str]()
    for name, found in results["engines"].items():
        invocations = found["counts"][run_type]["lambda_invocations"]
        waited = invocations - AFTERWARDS[run_type] if name == "Restate" else invocations - 1  # the front door waits
        fixed = waited * emulator["empty_function_ms"] + (0 if name == "Restate" else emulator["empty_execution_ms"])
        shown.append(f"{found['latency'][run_type]['1']['median_ms'] - fixed:.0f}")
    return shown


def timed(results: Mapping[str, Any], run_type: str, callers: str, what: str, shown: str = "{:.0f}") -> list[str]:
    return [number(found["latency"][run_type].get(callers, {}).get(what), shown) for found in each_engine(results)]


def spread(results: Mapping[str, Any], run_type: str, callers: str, what: str, shown: str) -> list[str]:
    found = [engine["latency"][run_type][callers][what] for engine in each_engine(results)]
    return [f"{shown.format(low)} to {shown.format(high)}" for low, high in found]


def local_process(results: Mapping[str, Any]) -> str:
    found = results["local_process"]
    rows = [[who, f"{used['cpu_ms']:.1f}", f"{used['busy']:.2f}"] for who, used in found["processes"].items()]
    return (
        f"The four services in one process (`make serve`), {found['callers']} callers: "
        f"{found['trips_per_second']:.0f} trips per second, notices included. Who has how much to do:\n\n"
        f"{table(['', 'CPU ms per trip', 'CPUs kept busy'], rows)}\n\n"
        f"A trip's seven calls to AWS, made by a process that does nothing else, take that process "
        f"{found['calls_cpu_ms']:.1f} ms: boto3's work. {limit(found)} A sampling profile of the services shows, "
        "beside boto3, an HTTP/2 server and Restate's SDK, all in Python, and next to nothing of the saga's own code."
    )


def limit(found: Mapping[str, Any]) -> str:
    if found["calls_cpu_ms"] < found["processes"]["MiniStack"]["cpu_ms"]:
        return "The emulator takes longer to answer them."
    return (
        "The emulator takes less to answer them, so it is not what these services wait for: calling it costs them more "
        "of the CPU than being called costs the emulator, whatever else they do or do not do."
    )


def cold(results: Mapping[str, Any]) -> str:
    first = [f"{name}: {found['cold_seconds']:.1f} s" for name, found in results["engines"].items()]
    rows = [
        [found["engine"], f"`{found['function']}`", f"{found['import_ms']:.0f}", f"{found['unpacked_mb']:.1f}",
         f"{found['zipped_mb']:.1f}"]
        for found in results["functions"]
    ]  # fmt: skip
    functions = table(["", "function", "imports and client, ms", "package MB", "zipped MB"], rows)
    return f"First trip after the deploy: {'; '.join(first)}.\n\n{functions}"


def faults(results: Mapping[str, Any]) -> str:
    rows: list[list[str]] = []
    for fault in ("undisturbed", "crash", "throttle"):
        faults = [found["faults"][fault] for found in each_engine(results)]
        cells = [f"{found['median_ms']:.0f} ms, {found['lambda_invocations']:g} invocations" for found in faults]
        rows.append([fault, *cells])
    rows.append(["cancelled, and something still stands", *(cancelled(found) for found in each_engine(results))])
    return table(["", *results["engines"]], rows)


def cancelled(found: Mapping[str, Any]) -> str:
    cancel = found["faults"]["cancel"]
    return f"{cancel['left_something_standing']} of {cancel['trips']}" if cancel else "cannot be cancelled"


def owned(results: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each engine: all lines, the workflow's, and the template's resources."""
    owned: dict[str, list[str]] = {"code": [], "workflow": [], "resources": []}
    stacks = {"Restate": "HolidayStack", "Express": "StepFunctionsExpress", "Standard": "StepFunctionsStandard"}
    for name in results["engines"]:
        engine = "Restate" if name == "Restate" else "Step Functions"
        owned["code"].append(str(sum(part[engine]["code"] for part in results["ownership"].values())))
        owned["workflow"].append(str(results["ownership"]["the workflow"][engine]["code"]))
        owned["resources"].append(str(sum(results["resources"][stacks[name.split()[-1]]].values())))
    return owned


def ownership(results: Mapping[str, Any]) -> str:
    engines = ("Restate", "Step Functions")
    rows = [
        [part, *(f"{found[engine]['code']} in {found[engine]['files']} files" for engine in engines)]
        for part, found in results["ownership"].items()
    ]
    totals = [
        [sum(found[engine][what] for found in results["ownership"].values()) for what in ("code", "files")]
        for engine in engines
    ]
    rows.append(["**in all**", *(f"**{code}** in {files} files" for code, files in totals)])
    stacks = ("HolidayStack", "StepFunctionsStandard")
    rows.append(["resources in the template", *(str(sum(results["resources"][stack].values())) for stack in stacks)])
    functions = [str(results["resources"][stack].get("AWS::Lambda::Function", 0)) for stack in stacks]
    rows.append(["… of which functions", f"{functions[0]}, the registration's included", functions[1]])
    return table(["lines of code", *engines], rows)


def hotel(results: Mapping[str, Any]) -> str:
    engines = ("Restate", "Step Functions")
    found = [results["hotel"][engine] for engine in engines]
    rows = [
        [words, *(str(count[key]) for count in found)]
        for words, key in (
            ("files to edit or add", "files"),
            ("places", "places"),
            ("lines added", "lines_added"),
            ("lines removed", "lines_removed"),
        )
    ]
    return table(["adding a hotel step, done once in both", *engines], rows)


def money(results: Mapping[str, Any]) -> str:
    costs: Mapping[str, Any] = results["money"]
    names = list(results["engines"])
    services = list(dict.fromkeys(service for name in names for service in costs[name]))
    rows = [[service, *(dollars_for(costs[name], service) for name in names)] for service in services]
    rows.append(["**in all, AWS's part**", *(f"**{dollars(results, name)}**" for name in names)])
    own = costs["Restate, a server of one's own"]
    server = ", ".join(f"{dollars:.2f} {load}" for load, dollars in own.items())
    return (
        f"{table(['dollars per million booked trips', *names], rows)}\n\n"
        f"A Restate server of one's own, on top, per million trips: {server}."
    )


def dollars_for(costs: Mapping[str, float | None], service: str) -> str:
    return number(costs[service], "{:.2f}", "not known") if service in costs else "—"


def dollars(results: Mapping[str, Any], name: str) -> str:
    return f"{sum(cost for cost in results['money'][name].values() if cost is not None):.2f}"


def number(value: float | None, shown: str, missing: str = "—") -> str:
    return missing if value is None else shown.format(value)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
