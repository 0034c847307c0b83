"""`python -m playground up|down|status`: AWS on this machine, with the workload deployed."""

import argparse
import signal
import sys

from playground.down import processes_of, take_down
from playground.state import Playground, PlaygroundError, load_environment
from playground.up import bring_up


def note(text: str) -> None:
    print(f"playground: {text}", flush=True)


def up() -> None:
    playground = Playground.from_environment()
    bring_up(playground, note)
    note(f"{load_environment()['PLAYGROUND_URL']} is serving; `make playground-down` removes everything")


def down() -> None:
    playground = Playground.from_environment()
    take_down(playground, note)
    note("removed")


def status() -> None:
    playground = Playground.from_environment()
    environment = load_environment()
    note(f"running in {playground.folder}, process {', '.join(map(str, processes_of(playground)))}")
    note(f"service {environment['PLAYGROUND_URL']}, AWS API {environment['AWS_ENDPOINT_URL']}")
    note(f"log {playground.log_file}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m playground", description=__doc__)
    commands = {"up": up, "down": down, "status": status}
    parser.add_argument("command", choices=commands, help="start and deploy, remove everything, or print addresses")
    for number in (signal.SIGTERM, signal.SIGHUP):  # a CI job was cancelled, a terminal was closed
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        commands[parser.parse_args().command]()
    except PlaygroundError as error:
        print(f"playground: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("playground: interrupted; `make playground-down` removes what was started", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
