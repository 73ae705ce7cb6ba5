"""A pseudo-terminal whose output is kept: what comes to it until its last writer has closed it.

Usage: terminal.py NAME-FILE OUTPUT-FILE
"""

import fcntl
import os
import struct
import sys
import termios

name_file, output_file = sys.argv[1:]
# It becomes the controlling terminal of this session, so that nobody who opens it gets it for theirs.
os.setsid()
master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
with open(name_file, "w") as file:
    file.write(os.ttyname(slave))
with open(output_file, "wb") as output:
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            # EIO: nobody has it open any more.
            break
        if slave is not None:
            # Whoever wrote that has it open.
            os.close(slave)
            slave = None
        output.write(data)
        output.flush()
