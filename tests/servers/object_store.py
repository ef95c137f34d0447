"""An object store on loopback, by moto's server: what Amazon's clients ask, over HTTP."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
import fsspec
from moto.server import ThreadedMotoServer

import lakehouse.ingest.object_store  # noqa: F401 - says who reads buckets

BUCKET = "flights-of-others"


@contextmanager
def object_store() -> Generator[Any]:
    """A store with an empty bucket, and the environment by which this process and its children find it.

    Yields:
        boto3's client of it.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with mock.patch.dict(os.environ, environment):
            # One of before asks another server.
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            client = boto3.client("s3")
            client.create_bucket(Bucket=BUCKET)
            yield client
    finally:
        server.stop()
