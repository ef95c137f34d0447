"""Who writes the tables of an object store: one engine, which has put its name there.

Delta commits to S3 by looking whether a file is there, then writing it: two engines that do so at once lose a
commit without an error. On a disk the warehouse's own lock keeps a second engine away; in a store it is an
object, put under the condition that there is none. It stays when a machine dies: nobody can know whether that
still writes.
"""

import fcntl
import json
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

_NAME = "_engine.json"
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class Claim:
    """Which engine writes here; the machine's name and the warehouse's folder there tell it from others."""

    machine: str
    warehouse: str
    since: str


def take(config: Settings) -> None:
    """Claim the tables for this warehouse's engine; nothing is done for tables on a disk.

    The caller holds the warehouse's lock, so a claim of this machine and warehouse is a dead engine's.

    Raises:
        LakehouseError: another engine has them.
    """
    if config.tables is None:
        return
    store, bucket, key = _store(config)
    ours = _ours(config)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        held = ours if _put(store, bucket, key, ours) else _held(store, bucket, key)
        if held is None and _put(store, bucket, key, ours):
            # Let go in between.
            held = ours
    # The first is of a store that was not reached at all.
    except (BotoCoreError, ClientError) as error:
        raise LakehouseError(
            f"{config.tables} cannot be written: {error}", "are bucket, endpoint and credentials right?"
        ) from error
    if held is None:
        raise LakehouseError(f"{config.tables} was claimed by another engine just now", "try again")
    if (held.machine, held.warehouse) != (ours.machine, ours.warehouse):
        raise LakehouseError(
            f"{config.tables} is written by the engine of {held.warehouse} on {held.machine}, "
            f"since {held.since}",
            f"run `lakehouse down` there; if that machine is no more, delete {config.tables}/{_NAME}",
        )


def release(config: Settings) -> None:
    """Let others claim the tables: this warehouse's engine has ended, or none could start.

    Where an engine of this warehouse lives, by its lock, the claim is that one's, and stays.

    Raises:
        LakehouseError: the store does not answer; the claim stays.
    """
    if config.tables is None:
        return
    from botocore.exceptions import BotoCoreError, ClientError

    config.engine_dir.mkdir(parents=True, exist_ok=True)
    with (config.engine_dir / "alive.lock").open("a") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            _delete(config)
        except (BotoCoreError, ClientError) as error:
            raise LakehouseError(
                f"the claim on {config.tables} could not be taken back: {error}",
                "run `lakehouse down` again when the store answers, or no engine elsewhere may write there",
            ) from error


def _delete(config: Settings) -> None:
    store, bucket, key = _store(config)
    held, ours = _held(store, bucket, key), _ours(config)
    if held is not None and (held.machine, held.warehouse) == (ours.machine, ours.warehouse):
        store.delete_object(Bucket=bucket, Key=key)


def _put(store: Any, bucket: str, key: str, claim: Claim) -> bool:
    """Whether the claim was put: only where there is none."""
    from botocore.exceptions import ClientError

    try:
        store.put_object(Bucket=bucket, Key=key, Body=json.dumps(asdict(claim)).encode(), IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _TAKEN:
            raise
        return False
    return True


def variables(config: Settings) -> dict[str, str]:
    """What an engine's Python workers find the same store by."""
    return {} if config.s3_endpoint is None else {"LAKEHOUSE_S3_ENDPOINT": config.s3_endpoint}


def _ours(config: Settings) -> Claim:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Claim(socket.gethostname(), str(config.warehouse.resolve()), now)


def _held(store: Any, bucket: str, key: str) -> Claim | None:
    from botocore.exceptions import ClientError

    try:
        return Claim(**json.loads(store.get_object(Bucket=bucket, Key=key)["Body"].read()))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise


def _store(config: Settings) -> tuple[Any, str, str]:
    """The store's client, the bucket, and the key of the claim."""
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise LakehouseError(
            "boto3 is not installed, which tables in an object store need", "install the project's extra `s3`"
        ) from error
    # Typed by stubs that are not in the lock.
    place = urlparse(str(config.tables))
    client: Any = boto3.client(  # pyright: ignore
        "s3",
        endpoint_url=config.s3_endpoint,
        region_name=None if config.s3_endpoint is None else "us-east-1",
        config=Config(
            s3={"addressing_style": "path" if config.s3_endpoint else "auto"}, retries={"max_attempts": 3}
        ),
    )
    return client, place.netloc, f"{place.path.strip('/')}/{_NAME}"
