"""Gets one model by KServe's own storage library, in whose virtual environment this runs.

The folder is its argument; the URI comes by standard input, for it may hold a signature that lets anybody read. What
went wrong is printed as JSON, the library's own error first, then what caused it: the names of each one's classes, the
most special first, and what it says.
"""

import json
import os
import sys


def main() -> None:
    """Get it, or say why not."""
    uri = sys.stdin.read()
    (folder,) = sys.argv[1:]
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no report
    try:
        from kserve_storage import Storage  # type: ignore[import-not-found] # only in its own environment

        Storage.download(uri, folder)
    except Exception as error:
        causes = []
        cause: BaseException | None = error
        while cause is not None:
            kinds = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(cause).__mro__]
            causes.append({"kinds": kinds, "said": str(cause)})
            cause = cause.__cause__ or cause.__context__
        json.dump(causes, report)
        report.close()
        sys.exit(1)


if __name__ == "__main__":  # worker processes of the library import this file
    main()
