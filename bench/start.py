"""How soon the service answers after its start, beside the yardstick."""

import statistics

from bench.data import PAGE
from bench.machine import CLIENT, on
from bench.programs import PAGE_FILE, path_of, service_on_sqlite, yardstick
from bench.report import Report
from bench.rounds import ratio
from bench.scale import Scale
from bench.server import serving


def measure(report: Report, scale: Scale) -> None:
    program = service_on_sqlite(PAGE)
    with serving(program) as server:  # uncounted: it also writes bytecode, which the image has
        PAGE_FILE.write_bytes(server.page(path_of(1)))
    ours: list[float] = []
    bare: list[float] = []
    with on(CLIENT):
        for _ in range(scale.starts):
            for started, times in ((program, ours), (yardstick(), bare)):
                with serving(started) as server:
                    times.append(server.seconds_to_answer)
    remark = f"{statistics.median(ours):.2f} against {statistics.median(bare):.2f} s"
    report.measured("start", ratio(ours, bare), remark)
    report.details["start"] = {"service": ours, "yardstick": bare}
