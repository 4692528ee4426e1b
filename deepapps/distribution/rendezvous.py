"""The workers of a cluster wait for each other, before TensorFlow does so: without a word, for
ever, and deaf to signals.
"""

import contextlib
import logging
import os
import socket
import time

TIMEOUT = "DEEPAPPS_CLUSTER_TIMEOUT"  # seconds
_PATIENCE, _SAID_AFTER, _PAUSE = 600.0, 10.0, 0.2

_logger = logging.getLogger(__name__)


def wait_for_all(addresses, own):
    """Returns once every process of a cluster has been reached at its address.

    Each listens at its own address meanwhile, so that the others reach it before TensorFlow
    listens there.

    Args:
        addresses: `{"worker 0": "host:port", ...}` of all processes.
        own: The name of this one.
    Raises: ConnectionError that names those that are missing after `DEEPAPPS_CLUSTER_TIMEOUT`
        seconds, 600 by default.
    """
    patience, began, said = _patience(), time.monotonic(), False
    missing = {name: address for name, address in addresses.items() if name != own}
    with _listening(addresses[own]):
        while missing := {n: address for n, address in missing.items() if not _answers(address)}:
            named = ", ".join(f"{name} ({address})" for name, address in missing.items())
            waited = time.monotonic() - began
            if waited > patience:
                raise ConnectionError(
                    f"{own} has waited {patience:g} s for {named}. Start it, mend its address in "
                    f"TF_CONFIG, or wait longer with {TIMEOUT}=SECONDS."
                )
            if not said and waited > min(_SAID_AFTER, patience / 2):
                _logger.warning("waiting for %s", named)
                said = True
            time.sleep(_PAUSE)


def _patience():
    text = os.environ.get(TIMEOUT) or str(_PATIENCE)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{TIMEOUT} must be seconds, more than 0. Received: {text!r}")
    return seconds


@contextlib.contextmanager
def _listening(address):
    """Listens at the port of an address, on all interfaces as TensorFlow does."""
    port = _host_and_port(address)[1]
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        listener = socket.create_server(
            ("", port), family=family, reuse_port=True, dualstack_ipv6=dual, backlog=128
        )
    except OSError as error:
        raise ConnectionError(f"{address}: cannot listen there ({error.strerror}).") from None
    with listener:
        yield


def _answers(address):
    try:
        socket.create_connection(_host_and_port(address), timeout=2).close()
    except OSError:
        return False
    return True


def _host_and_port(address):
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"An address of a cluster must be HOST:PORT. Received: {address!r}")
    return host.strip("[]"), int(port)
