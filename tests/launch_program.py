"""A worker without TensorFlow, for `deepapps launch -- python`, that does what its argument says.

wait        comes up and waits for ever
absent N    worker N never comes up, the others do
fail N      worker N says why and exits with status 3, the others wait
die N       worker N is killed every time, the others wait
gpus        prints the GPUs it sees
"""

import os
import signal
import sys
import time

from deepapps.distribution.cluster import find_cluster
from deepapps.distribution.heartbeat import follow_launcher

if __name__ == "__main__":
    what, *number = sys.argv[1:]
    mine = number == [str(find_cluster().index)]
    if not (what == "absent" and mine):
        follow_launcher()
    if what == "fail" and mine:
        print("the disk is on fire", file=sys.stderr)
        sys.exit(3)
    if what == "gpus":
        print(find_cluster().name, "sees", os.environ["CUDA_VISIBLE_DEVICES"] or "none")
        sys.exit()
    if what == "die" and mine:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)
