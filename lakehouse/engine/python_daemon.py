"""Spark's Python daemon, as Spark starts it, without Spark's archives on its path.

At each task a worker asks Python to look for new modules, and Python 3.11 then reads the directory of every
archive on the path again, once for each package in it: a tenth of a second for nothing (SPARK-54744, mended
in Spark 4.2). The same modules are installed beside this one.
"""

import sys

ARCHIVES = (".zip", ".jar")


def _forget_archives() -> None:
    sys.path[:] = [path for path in sys.path if not path.endswith(ARCHIVES)]
    for path in [path for path in sys.path_importer_cache if path.endswith(ARCHIVES)]:
        del sys.path_importer_cache[path]


if __name__ == "__main__":
    _forget_archives()
    from pyspark.daemon import manager

    manager()
