"""Ports on loopback: which are free, and which answer."""

import socket

import psutil


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether something listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_free(port: int) -> bool:
    """Whether this port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_connected(pid: int, port: int) -> bool:
    """Whether anybody keeps a connection to the process that listens on this port."""
    return any(
        connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        for connection in psutil.Process(pid).net_connections("tcp")
    )


def connected_processes(pid: int, port: int) -> set[int]:
    """The processes that keep a connection to the process that listens on this port.

    Returns:
        process numbers; 0 stands for one that this user may not see, or that lies in another container.
    """
    theirs = {
        connection.raddr.port
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
    }
    owners = {
        connection.laddr.port: connection.pid or 0
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.raddr and connection.raddr.port == port
    }
    return {owners.get(each, 0) for each in theirs}
