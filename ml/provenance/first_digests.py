"""The digests of runs from before digests were written down: what their files are when the first ones are."""

from collections.abc import Iterator

from pyspark.sql import SparkSession

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.model.bundle import read_files
from ml.provenance.digests import begin, has_begun
from ml.tracking.registry import ModelVersion, all_versions, model_version
from ml.tracking.runs import ARCHIVE, MANIFEST, VALIDATED, find_artifact


def trust_registered(spark: SparkSession, progress: Progress = silent) -> int:
    """Write down what the files of all registered versions are, before the first run is written down.

    Without any digest all is let through; with the first one, only what has one. The versions that scored
    until then go on to score, as they were trusted the moment before. Done once, in one commit.

    Returns:
        how many versions.
    """
    if has_begun(spark):
        return 0
    found: dict[str, dict[str, bytes]] = {}
    for name, version in all_versions():
        try:
            model = model_version(name, version)
            found.setdefault(model.run_id, {}).update(_files(model))
        except LakehouseError as error:
            # What is gone neither runs nor scores.
            progress(f"{name} version {version} is not written down: {error.what}")
    begin(spark, found)
    return len(found)


def _files(model: ModelVersion) -> Iterator[tuple[str, bytes]]:
    yield from read_files(model.folder).items()
    for name in (MANIFEST, ARCHIVE):
        path = find_artifact(model.run_id, name)
        if path is not None:
            yield name, path.read_bytes()
    validated = find_artifact(model.run_id, VALIDATED)
    if validated is not None:
        for name, content in read_files(validated).items():
            yield f"{VALIDATED}/{name}", content
