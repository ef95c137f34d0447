"""The metastore's absolute locations, read and moved with the warehouse while no engine has it open."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JJavaError

from lakehouse.engine.jars import spark_home
from lakehouse.engine.java import java

# Where Spark keeps a location in Hive's schema: of schemas, of tables, and of tables once more as an option.
_LOCATIONS = (("DBS", "DB_LOCATION_URI"), ("SDS", "LOCATION"), ("SERDE_PARAMS", "PARAM_VALUE"))
_NAMED = """
    select NAME, DB_LOCATION_URI from DBS
    union all
    select d.NAME || '.' || t.TBL_NAME, p.PARAM_VALUE
    from TBLS t
    join DBS d on t.DB_ID = d.DB_ID
    join SDS s on t.SD_ID = s.SD_ID
    join SERDE_PARAMS p on s.SERDE_ID = p.SERDE_ID and p.PARAM_KEY = 'path'
"""
_CLOSED = "08006"


def elsewhere(metastore: Path, tables: Path) -> dict[str, str]:
    """The schemas, and the tables (`schema.table`), that do not lie below a folder, each with its location.

    Args:
        metastore: the folder of the Derby database; no process has it open.
    """
    found: dict[str, str] = {}
    with derby(metastore) as database:
        rows = database.createStatement().executeQuery(_NAMED)
        while rows.next():
            if not f"{rows.getString(2)}/".startswith(f"{_uri(tables)}/"):
                found[str(rows.getString(1))] = str(rows.getString(2))
    return found


def relocate(metastore: Path, before: Path, after: Path) -> None:
    """Let every schema and table that lies below one folder lie below another.

    This writes into Hive's own tables: the Hive that Spark embeds (2.3) cannot move a schema, and registering
    all anew would lose what stands nowhere else, such as the SQL settings that a view was made with.

    Args:
        metastore: as above.
        before, after: the folder of tables (`Settings.tables_dir`) then and now.
    """
    old, new = _uri(before), _uri(after)
    with derby(metastore) as database:
        for table, column in _LOCATIONS:
            statement = database.prepareStatement(
                f"update {table} set {column} = cast(? as varchar(4000)) || substr({column}, {len(old) + 1}) "
                f"where substr({column} || '/', 1, {len(old) + 1}) = ?"
            )
            statement.setString(1, new)
            statement.setString(2, f"{old}/")
            statement.executeUpdate()
        database.commit()


def _uri(folder: Path) -> str:
    """A folder as Hadoop writes it: with one slash after `file:`, and nothing escaped."""
    return f"file:{folder}"


@contextmanager
def derby(folder: Path) -> Generator[Any]:
    """A JDBC connection to the Derby database in a folder, in a JVM that holds nothing else."""
    with java_classes(sorted((spark_home() / "jars").glob("derby*.jar"))) as jvm:
        connect = jvm.java.sql.DriverManager.getConnection
        connection = connect(f"jdbc:derby:{folder}")
        connection.setAutoCommit(False)
        yield connection
        connection.rollback()
        connection.close()
        try:
            connect(f"jdbc:derby:{folder};shutdown=true")
        except Py4JJavaError as error:
            # Derby tells by an exception that it did close the database.
            if error.java_exception.getSQLState() != _CLOSED:
                raise


@contextmanager
def java_classes(jars: Sequence[Path]) -> Generator[Any]:
    """A JVM that has these JARs: `jvm.java.util.Properties()` makes an object there."""
    gateway: Any = JavaGateway.launch_gateway(
        jarpath=str(next((spark_home() / "jars").glob("py4j-*.jar"))),
        classpath=":".join(map(str, jars)),
        javaopts=["-Dderby.stream.error.file=/dev/null"],
        java_path=str(java()[0]),
        enable_auth=True,
        die_on_exit=True,
    )
    try:
        yield gateway.jvm
    finally:
        gateway.shutdown()
        gateway.java_process.stdin.close()
        gateway.java_process.wait()
