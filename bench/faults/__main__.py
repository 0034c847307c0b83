"""Each fault of the store for a few seconds, and what clients of the service saw of it."""

import sys
from dataclasses import replace
from urllib.parse import urlsplit

from bench.engine import missing, service_on_dynamodb
from bench.faults.observe import Observer, Seen
from bench.faults.proxy import FAULTS, Proxy
from bench.server import serving

HEADER = (
    "| the store | 200 | 503 | other | slowest | /healthz | /openapi.json | wrong | well again after |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def row(fault: str, seen: Seen) -> str:
    good, refused = seen.statuses[200], seen.statuses[503]
    other = seen.statuses.total() - good - refused
    slowest = [f"{seen.slowest.get(what, 0):.2f} s" for what in ("api", "/healthz", "/openapi.json")]
    cells = (fault, str(good), str(refused), str(other), *slowest, str(len(seen.wrong)), f"{seen.recovery:.2f} s")
    return f"| {' | '.join(cells)} |"


def main() -> int:
    if reason := missing():
        sys.exit(f"error: {reason}")
    wrong: list[str] = []
    with service_on_dynamodb() as program:
        engine = urlsplit(program.environ["AWS_ENDPOINT_URL_DYNAMODB"]).port or 0
        with Proxy(engine) as proxy:
            address = f"http://127.0.0.1:{proxy.port}"
            behind = replace(program, environ={**program.environ, "AWS_ENDPOINT_URL_DYNAMODB": address})
            with serving(behind) as server:
                observer = Observer(server.port, rounds=3)
                print(HEADER)
                for name, fault in {"is well": "", **FAULTS}.items():
                    seen = observer.watch(lambda fault=fault: proxy.change(fault), lambda: proxy.change(""))  # type: ignore[misc]  # bound in the loop
                    print(row(name, seen), flush=True)
                    wrong += [f"{name}: {what}" for what in seen.wrong]
            proxy.shutdown()
    for what in wrong:
        print(what)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
