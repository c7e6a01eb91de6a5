"""`python -m dependencies.run <module> …`: `python -m <module> …`, which Ctrl-C ends without a traceback, even early.

The imports alone take up to two seconds. After them, each command handles Ctrl-C itself.
"""

import runpy
import sys


def main() -> None:
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
