"""The buckets of an object store as paths: the client lists them, and Spark's tasks read what lies there.

Both use Arrow's S3 client, which takes credentials, region and address where all of Amazon's tools do: from
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and `AWS_ENDPOINT_URL`, from `~/.aws`, or from the
machine's role. The engine's tasks have the environment in which the engine was started.
"""

# Neither fsspec's wrapper nor pyarrow ships types.
# pyright: reportUnknownMemberType=false

from pathlib import Path
from typing import Any, cast

import pyarrow.fs
from fsspec import AbstractFileSystem, register_implementation
from fsspec.implementations.arrow import ArrowFSWrapper
from upath import UPath


class _ArrowS3(ArrowFSWrapper):
    """Arrow's S3 under the name that paths look for; the wrapper's own ways with names are those of HDFS."""

    # fsspec asks the class for it, where the wrapper has a property of instances.
    protocol = ("s3", "s3a")  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    root_marker = ""
    _strip_protocol = AbstractFileSystem.__dict__["_strip_protocol"]
    _parent = AbstractFileSystem.__dict__["_parent"]

    def __init__(self, of_bucket: str, **options: Any) -> None:
        # Of a URI, as Spark's tasks have it: only so is the address taken from the environment, and at Amazon
        # the region from the bucket.
        super().__init__(pyarrow.fs.FileSystem.from_uri(f"s3://{of_bucket}")[0], **options)

    def isdir(self, path: str) -> bool:
        """Whether anything lies below; fsspec's own says no also where the store does not answer."""
        return self.fs.get_file_info(self._strip_protocol(path)).type == pyarrow.fs.FileType.Directory

    def isfile(self, path: str) -> bool:
        """As `isdir`."""
        return self.fs.get_file_info(self._strip_protocol(path)).type == pyarrow.fs.FileType.File


register_implementation("s3", _ArrowS3, clobber=True)


def bucket(name: str) -> Path:
    """A bucket as a path: it has the methods of `pathlib`'s that a landing zone is asked for.

    >>> str(bucket("flights") / "in" / "day.csv")
    's3://flights/in/day.csv'
    """
    return cast(Path, UPath(f"s3://{name}", of_bucket=name))


def listed(folder: Path) -> list[tuple[Path, bool]]:
    """What lies in a folder of a bucket, and whether that is a folder: one request for a thousand names.

    Raises:
        OSError: it cannot be listed; FileNotFoundError or NotADirectoryError where there is none.
    """
    of_store = cast(UPath, folder)
    found = cast(list[dict[str, Any]], of_store.fs.ls(of_store.path, detail=True))
    return [(folder / str(each["name"]).rpartition("/")[2], each["type"] == "directory") for each in found]
