"""The one helper that hands out Spark sessions: on our engine, or on the user's own server (SPARK_REMOTE)."""

import atexit
import logging
import os
import signal
import sys
import threading
import uuid
from concurrent.futures import Future
from concurrent.futures import TimeoutError as DeadlineExceeded
from datetime import UTC, datetime
from types import FrameType

from grpc import RpcError
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession as ConnectSession
from pyspark.sql.session import SparkSession

from lakehouse.engine import server, state
from lakehouse.engine.clone import release
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings, settings

# They print each error's SQL and stack on standard error, beside the exception that says it all. PySpark
# switches the last one off, and Alembic's set-up of logging (MLflow, Dagster) on again: a level stays.
_LOG_ERRORS_TWICE = ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "pyspark.sql.connect.logging")

_log = logging.getLogger(__name__)


class _Current:
    """This process's session, and what it was opened on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.pid = 0
        self.target = ""
        self.session: ConnectSession | None = None
        # PySpark closes a session that nobody holds, in whatever thread finds that out: one of its own then
        # waits for itself, and the process hangs. Those that were replaced are held.
        self.replaced: list[ConnectSession] = []
        self.descriptor: int | None = None
        self.hooked = False


_current = _Current()


def spark_session(config: Settings | None = None) -> SparkSession:
    """The Spark Connect session of this process, in UTC and with ANSI on.

    A new one is made when the engine was replaced, the session expired, or the process was forked. With
    SPARK_REMOTE set by the user, that server is used and nothing is started.

    Raises:
        LakehouseError: the engine cannot start or is another one, or the user's server does not answer.
    """
    config = config or settings()
    with _current.lock:
        target = connect_environment(config)
        session = _current.session if (_current.pid, _current.target) == (os.getpid(), target) else None
        if session is not None and not _answers(session):
            session, target = None, connect_environment(config, renew=True)
        if session is None:
            session = _open(target, config.connect_timeout_seconds)
            if _current.session is not None:
                _current.replaced.append(_current.session)
            _current.session, _current.target, _current.pid = session, target, os.getpid()
        # The public class and Connect's share one interface, but no base class that a type checker sees.
        return session  # pyright: ignore[reportReturnType]


def connect_environment(config: Settings | None = None, *, renew: bool = False) -> str:
    """Make sure that the engine is up, and set SPARK_REMOTE and the token in this process's environment.

    Args:
        renew: ask for another session even on the same engine.

    Returns:
        the address, with this process's session in it.
    """
    config = config or settings()
    # PySpark's functions ask this variable, and not the session, whether they speak Connect.
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    if server.is_foreign():
        return os.environ["SPARK_REMOTE"]
    engine = server.ensure_engine(config)
    known = _registered.get(engine.instance)
    if known is None or renew or known[0] != os.getpid():
        interrupt_dead_clients(config, engine)
        known = (os.getpid(), _register(config, engine))
        _registered.clear()
        _registered[engine.instance] = known
    os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = state.token(config.engine_dir)
    os.environ["SPARK_REMOTE"] = os.environ[server.OURS] = known[1]
    # gRPC tells every connection attempt on standard error otherwise.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    return known[1]


# Engine instance → (process, address with this process's session).
_registered: dict[str, tuple[int, str]] = {}


def _register(config: Settings, engine: state.EngineState) -> str:
    user = f"pid-{os.getpid()}"
    session_id = str(uuid.uuid4())
    client = state.Client(
        pid=os.getpid(),
        instance=engine.instance,
        session_id=session_id,
        user_id=user,
        command=" ".join(sys.argv)[:200],
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _current.descriptor = state.register_client(config.engine_dir, client)
    _interrupt_on_exit()
    return _address(engine, client)


def _address(engine: state.EngineState, client: state.Client) -> str:
    return f"{engine.address}/;user_id={client.user_id};session_id={client.session_id}"


def _open(target: str, deadline: int) -> ConnectSession:
    """Open a session within a deadline, and make it the default, also for code that asks PySpark itself.

    Without the deadline a wrong token is retried for ever.
    """

    unanswered: list[ConnectSession] = []

    def connect() -> ConnectSession:
        session = ConnectSession.builder.remote(target).create()
        unanswered.append(session)
        if server.is_ours(target):
            _give_up_soon(session)
        session.conf.set("spark.sql.ansi.enabled", "true")
        session.conf.set("spark.sql.session.timeZone", "UTC")
        return session

    for name in _LOG_ERRORS_TWICE:
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)
    ConnectSession._default_session = None  # pyright: ignore[reportPrivateUsage]
    ConnectSession._active_session = threading.local()  # pyright: ignore[reportPrivateUsage]
    opened: Future[ConnectSession] = Future()

    def attempt() -> None:
        try:
            opened.set_result(connect())
        except BaseException as error:  # noqa: BLE001 (whoever waits for it raises it)
            opened.set_exception(error)

    # A daemon: a pool's threads are waited for at the end of the process, and PySpark tries for minutes.
    threading.Thread(target=attempt, name="spark-connect", daemon=True).start()
    try:
        return opened.result(timeout=deadline)
    except DeadlineExceeded:
        # It takes leave of the server at the end of the process, and would try that for minutes as well.
        for session in unanswered:
            session.client.set_retry_policies([DefaultPolicy(max_retries=0)])
        raise LakehouseError(
            f"{target.split(';')[0]} did not answer within {deadline} s",
            "is it up, does its address say localhost, is SPARK_CONNECT_AUTHENTICATE_TOKEN its token?",
        ) from None


def _give_up_soon(session: ConnectSession) -> None:
    """Our engine is on this machine: it answers, or it is dead. Spark would retry for ten minutes."""
    session.client.set_retry_policies([DefaultPolicy(max_retries=6, max_backoff=2000)])


def _answers(session: ConnectSession) -> bool:
    if session.is_stopped:
        return False
    try:
        session.conf.get("spark.sql.session.timeZone")
    except PySparkException:
        return False
    return True


def interrupt_dead_clients(config: Settings, engine: state.EngineState) -> list[state.Client]:
    """Stop what clients that died without a word (kill -9) left running, and forget them.

    A killed client does not stop its statement: it would commit minutes later. Where one cannot be
    interrupted, the others are, and its file stays for the next look.

    Returns:
        the clients that were dead and are forgotten.

    Raises:
        PySparkException: of the first that could not be interrupted.
    """
    dead: list[state.Client] = []
    failures: list[Exception] = []
    for path in state.unreadable_clients(config.engine_dir):
        # A power cut may leave such a file; that there was one also means that its session is gone.
        _log.warning("%s says nothing that can be read, and its process is gone: deleted", path)
        path.unlink(missing_ok=True)
    for path, client, alive in state.clients(config.engine_dir):
        if alive:
            continue
        try:
            if client.instance == engine.instance:
                _end_session(config, engine, client)
        except (PySparkException, RpcError) as error:
            failures.append(error)
            continue
        path.unlink(missing_ok=True)
        dead.append(client)
    if failures:
        raise failures[0]
    return dead


def settled_session(config: Settings | None = None) -> SparkSession:
    """The session of this process, as `spark_session`, once nothing of its killed children runs any more.

    For cleaning up: what a killed dbt still builds would come after it.
    """
    config = config or settings()
    session = spark_session(config)
    if not server.is_foreign():
        interrupt_dead_clients(config, server.ensure_engine(config))
    return session


def _end_session(config: Settings, engine: state.EngineState, client: state.Client) -> None:
    os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = state.token(config.engine_dir)
    session = ConnectSession(connection=_address(engine, client))
    _give_up_soon(session)
    try:
        release(session)
    except PySparkException as error:
        # A session that was closed before, or whose engine died, runs nothing any more.
        if "INVALID_HANDLE.SESSION" not in str(error) and server.running(config) is not None:
            raise
    finally:
        session.client.close()


def interrupt() -> None:
    """Stop the statements of this process."""
    if _current.session is not None and _current.pid == os.getpid():
        _current.session.interruptAll()


def _interrupt_on_exit() -> None:
    if _current.hooked or threading.current_thread() is not threading.main_thread():
        return
    _current.hooked = True
    atexit.register(_at_exit)
    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)

        def handle(received: int, frame: FrameType | None, previous: object = previous) -> None:
            _leave()
            if callable(previous):
                previous(received, frame)
            else:
                sys.exit(128 + received)

        signal.signal(number, handle)


def _at_exit() -> None:
    """Leave, and close the sessions: else a frame that the engine keeps calls it when Python is going down.

    PySpark does so in `__del__`, waiting for a thread that can no longer start: the process would never end.
    """
    _leave()
    if _current.pid == os.getpid():
        for session in (*_current.replaced, _current.session):
            if session is not None:
                session.client.close()


def _leave() -> None:
    """Interrupt what runs and give the session back; the file of this client goes with it.

    Where that fails the file stays: its lock falls with this process, and the supervisor does it.
    """
    config = settings()
    for instance, (pid, address) in list(_registered.items()):
        if pid != os.getpid():
            continue
        session_id = address.rpartition("session_id=")[2]
        path = config.engine_dir / "clients" / f"{session_id}.json"
        try:
            engine = server.running(config)
            if engine is not None and engine.instance == instance:
                for file, client, _ in state.clients(config.engine_dir):
                    if file == path:
                        _end_session(config, engine, client)
        except (PySparkException, RpcError, LakehouseError) as error:
            _log.warning("the session was not closed, the engine's supervisor will: %s", error)
            continue
        path.unlink(missing_ok=True)
    _registered.clear()
