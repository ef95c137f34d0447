"""Hive's tables in a database of the settings, made before Hive opens it.

Hive would make each table when it first needs it, by a second connection, which in PostgreSQL waits for ever
for the locks of the first. So DataNucleus, by which Hive keeps its records, is asked to make all at once.
"""

import re
import zipfile

import sqlalchemy as sa
from py4j.protocol import Py4JJavaError
from sqlalchemy.exc import OperationalError

from lakehouse.engine.config import metastore_connection
from lakehouse.engine.jars import jar_paths, spark_home
from lakehouse.engine.java import class_path
from lakehouse.engine.metastore import java_classes
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

_MODEL = "org.apache.hadoop.hive.metastore.model"
# The names of tables as Hive's own defaults have them.
_NAMES = {
    "javax.jdo.PersistenceManagerFactoryClass": "org.datanucleus.api.jdo.JDOPersistenceManagerFactory",
    "datanucleus.rdbms.identifierFactory": "datanucleus1",
    "datanucleus.identifierFactory": "datanucleus1",
    "datanucleus.connectionPoolingType": "None",
    "datanucleus.schema.autoCreateAll": "true",
}
# DataNucleus's own, for the numbers of rows; it makes it when the first number is asked for.
_COUNTERS = "SEQUENCE_TABLE"
# Schemas of every warehouse: the first ingestion makes one, the first gate the other.
_OURS = ("bronze", "lakehouse")
# Classes that are columns of others' tables, though they name one.
_EMBEDDED = re.compile(r'<class [^>]*embedded-only="true"[^>]*>')


def make_tables(config: Settings) -> None:
    """Make the tables that the settings' database lacks; nothing is done for Derby.

    Raises:
        LakehouseError: the database cannot be reached, or this user may not make tables in it, or it is the
            metastore of another warehouse.
    """
    if config.metastore_url is None:
        return
    described = _described()
    wanted = {name.upper() for name in re.findall(r'\btable="(\w+)"', _EMBEDDED.sub("", described))} | {
        _COUNTERS
    }
    existing = _existing(config)
    if "DBS" in existing:
        _refuse_another_warehouses(config)
    if not wanted - existing:
        return
    with java_classes(class_path(jar_paths())) as jvm:
        classes, properties = jvm.java.util.HashSet(), jvm.java.util.Properties()
        for name in re.findall(r'<class name="(\w+)"', described):
            classes.add(f"{_MODEL}.{name}")
        for key, value in {**_NAMES, **metastore_connection(config)}.items():
            properties.setProperty(key, value)
        try:
            factory = jvm.javax.jdo.JDOHelper.getPersistenceManagerFactory(properties)
            manager = factory.getNucleusContext().getStoreManager()
            manager.createSchemaForClasses(classes, jvm.java.util.Properties())
        except Py4JJavaError as error:
            raise LakehouseError(
                f"the metastore's tables could not be made: {error.java_exception.getMessage()}",
                "may the user of LAKEHOUSE_METASTORE_USER create tables there?",
            ) from error
    _make_counters(config)
    lacking = sorted(wanted - _existing(config))
    if lacking:
        raise LakehouseError(f"the metastore lacks tables: {', '.join(lacking)}", "name an empty database")


def address(config: Settings) -> sa.URL:
    """The address of the settings' database, for Python."""
    return sa.make_url(str(config.metastore_url).removeprefix("jdbc:")).set(
        drivername="postgresql+psycopg2",
        username=config.metastore_user,
        password=config.metastore_password,
    )


def _refuse_another_warehouses(config: Settings) -> None:
    """An engine writes where the metastore says that a schema lies, whatever the settings say."""
    engine = sa.create_engine(address(config))
    try:
        with engine.connect() as database:
            query = 'select "NAME", "DB_LOCATION_URI" from "DBS" where "NAME" in :names order by 1'
            names = sa.bindparam("names", _OURS, expanding=True)
            found = database.execute(sa.text(query).bindparams(names)).all()
    finally:
        engine.dispose()
    for name, location in found:
        if location != f"{config.tables_uri}/{name}.db":
            # Not the whole address, in which a password may stand.
            place = address(config)
            raise LakehouseError(
                f"database {place.database} on {place.host} is another warehouse's metastore: its schema "
                f"{name} lies in {location}, this one's tables in {config.tables_uri}",
                "set LAKEHOUSE_METASTORE_URL to this warehouse's own database, or move the warehouse back",
            )


def _make_counters(config: Settings) -> None:
    """As Hive's own scripts for PostgreSQL have it."""
    columns = '"SEQUENCE_NAME" varchar(255) primary key, "NEXT_VAL" bigint not null'
    engine = sa.create_engine(address(config))
    try:
        with engine.begin() as database:
            database.execute(sa.text(f'create table if not exists "{_COUNTERS}" ({columns})'))
    finally:
        engine.dispose()


def _existing(config: Settings) -> set[str]:
    engine = sa.create_engine(address(config))
    try:
        return set(sa.inspect(engine).get_table_names())
    except OperationalError as error:
        raise LakehouseError(
            f"the metastore's database does not answer: {error.orig}",
            "is it up, and are LAKEHOUSE_METASTORE_URL, _USER and _PASSWORD right?",
        ) from error
    finally:
        engine.dispose()


def _described() -> str:
    """Hive's description of its tables, from its JAR."""
    (jar,) = (spark_home() / "jars").glob("hive-metastore-*.jar")
    with zipfile.ZipFile(jar) as archive:
        return archive.read("package.jdo").decode()
