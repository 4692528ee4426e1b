"""Workers wait for each other, and say for whom."""

import socket
import threading

import pytest

from deepapps.distribution.processes import reserved_port
from deepapps.distribution.rendezvous import TIMEOUT, wait_for_all


@pytest.fixture
def addresses():
    with reserved_port() as first, reserved_port() as second:
        yield {"worker 0": f"127.0.0.1:{first}", "worker 1": f"127.0.0.1:{second}"}


def test_all_go_on_once_all_are_there(addresses, monkeypatch):
    monkeypatch.setenv(TIMEOUT, "20")
    passed, all_passed = [], threading.Barrier(2, timeout=20)

    def work(name):
        wait_for_all(addresses, name)
        port = int(addresses[name].rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port), reuse_port=True):  # as TensorFlow does
            passed.append(name)
            all_passed.wait()

    other = threading.Thread(target=work, args=["worker 1"])
    other.start()
    work("worker 0")
    other.join()
    assert sorted(passed) == ["worker 0", "worker 1"]


def test_who_is_missing_is_named(addresses, monkeypatch, caplog):
    monkeypatch.setenv(TIMEOUT, "0.5")
    with pytest.raises(ConnectionError) as error:
        wait_for_all(addresses, "worker 0")
    named = f"worker 1 ({addresses['worker 1']})"
    assert f"worker 0 has waited 0.5 s for {named}" in str(error.value)
    assert f"waiting for {named}" in caplog.text


@pytest.mark.parametrize("address", ["host", "host:port", ":80"])
def test_a_bad_address_is_named(address):
    with pytest.raises(ValueError, match="HOST:PORT"):
        wait_for_all({"worker 0": address, "worker 1": "127.0.0.1:1"}, "worker 0")


@pytest.mark.parametrize("text", ["soon", "0", "nan"])
def test_a_bad_timeout_is_named(text, addresses, monkeypatch):
    monkeypatch.setenv(TIMEOUT, text)
    with pytest.raises(ValueError, match=TIMEOUT):
        wait_for_all(addresses, "worker 0")
