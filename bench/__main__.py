"""``python -m bench NAME``: run one measurement. Results go to stdout, progress to stderr."""

import importlib
import sys

#: Module and summary by name.
BENCHES = {
    "sales": "sales over HTTP against the same rows written by hand",
    "reads": "what people look at, at 10,000 and at 1,000,000 sales",
    "retail": "a retailer's real till lines, replayed and compared with their file",
}


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in BENCHES:
        names = "\n".join(f"  {name:10} {summary}" for name, summary in BENCHES.items())
        print(f"usage: bin/bench NAME [--json] [...]\n\n{names}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"bench.{arguments[0]}")
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
