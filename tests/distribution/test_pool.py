"""The processes of a search end with it, however it ends."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

PROGRAM = """
import time
from multiprocessing import forkserver
from deepapps.distribution.pool import start_server
start_server(["slow"])
print(forkserver._forkserver._forkserver_pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_the_search_even_while_it_imports(tmp_path, number):
    (tmp_path / "slow.py").write_text("open('slow', 'w').close()\nimport time\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
    )
    with program:
        server = psutil.Process(int(program.stdout.readline()))
        while not (tmp_path / "slow").exists():
            time.sleep(0.05)
        program.send_signal(number)
        assert server.wait(10) is None or not server.is_running()
