"""Real flights that are delivered into a bucket: Spark's tasks read them, and they are the files' rows."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from demo.publish import publish
from tests.servers.object_store import BUCKET, object_store

FIRST, LAST = date(2013, 7, 10), date(2013, 7, 11)
# With an engine of its own, which has the store's address and credentials in its environment.
INGEST = """
import json, sys
from pathlib import Path
import boto3
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.server import stop_engine
from lakehouse.engine.session import spark_session
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import ingest

landing, bucket = Path(sys.argv[1]), sys.argv[2]
of_files = load_sources()["flight_actuals"]
of_bucket = of_files.model_validate(
    of_files.model_dump(by_alias=True, exclude_none=True) | {"files": f"s3://{bucket}/in/{of_files.files}"}
)
spark, columns = spark_session(), [column.name for column in of_files.columns]
told = {}
for schema, source, folder in (("by_file", of_files, landing), ("by_bucket", of_bucket, Path("/nowhere"))):
    spark.sql(f"create schema {schema}")
    report = ingest(spark, landing=folder, declared={source.name: source}, schema=schema)
    rows = spark.table(f"{schema}.flight_actuals")
    told[schema] = {
        "hash": content_hash(rows.select(*columns), of_files.keys).rows,
        "landed": sum(batch.rows for batch in report.landed),
        "files": sorted(row[0] for row in rows.select("_source_file").distinct().collect()),
        "refused": len(report.refused),
    }
again = ingest(spark, landing=Path("/nowhere"), declared={source.name: source}, schema="by_bucket")
told["again"] = [len(again.landed), len(again.skipped)]
name = "in/flight_actuals/flight_actuals_2013-07-11.jsonl"
client = boto3.client("s3")
body = client.get_object(Bucket=bucket, Key=name)["Body"].read()
client.put_object(Bucket=bucket, Key=name, Body=body[: body.rindex(b"\\n", 0, -1) + 1])
changed = ingest(spark, landing=Path("/nowhere"), declared={source.name: source}, schema="by_bucket")
told["changed"] = [[each.file, each.reason] for each in changed.refused]
print(json.dumps(told))
spark.stop()
stop_engine()
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_bucket_lands_as_the_landing_zone_does(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    written = publish(FIRST, LAST, landing=landing, sources=["flight_actuals"])
    with object_store() as client:
        for path in written:
            client.upload_file(str(path), BUCKET, f"in/{path.relative_to(landing)}")
        ran = subprocess.run(
            [sys.executable, "-c", INGEST, str(landing), BUCKET],
            env={**os.environ, "LAKEHOUSE_WAREHOUSE": str(tmp_path / "warehouse")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    by_file, by_bucket = told["by_file"], told["by_bucket"]
    assert by_bucket["hash"] == by_file["hash"]
    assert by_bucket["landed"] == by_file["landed"] > 1000
    assert by_bucket["files"] == [f"s3://{BUCKET}/in/{each}" for each in by_file["files"]]
    assert by_bucket["refused"] == 0
    assert told["again"] == [0, 2]
    ((file, reason),) = told["changed"]
    assert file == f"s3://{BUCKET}/in/flight_actuals/flight_actuals_2013-07-11.jsonl"
    assert "landed before" in reason or "content" in reason
