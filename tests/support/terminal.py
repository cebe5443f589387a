"""Runs a command with a terminal of the given width as its output, and copies what the terminal gets to standard output."""

import fcntl
import os
import struct
import subprocess
import sys
import termios

columns, *command = sys.argv[1:]
terminal, output = os.openpty()
fcntl.ioctl(output, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
process = subprocess.Popen(command, stdout=output, stderr=output)
os.close(output)
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # The other end is closed.
        break
    sys.stdout.buffer.write(part)
sys.exit(process.wait())
