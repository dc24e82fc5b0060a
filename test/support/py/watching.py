"""Runs a program at a terminal of its own, and acts on what it shows.

Options: argv; columns and rows of the terminal; steps, one after the other: [text, act, value].
Each waits until the program has shown the text since the step before it. Then it types the value
("type"), gives the terminal as many columns ("columns"), sends the signal of that number to the
process with that id ("kill"), or does nothing ("see").
Prints the exit code (a signal as a negative number), and all that the terminal showed.
"""

import fcntl
import json
import os
import pty
import struct
import sys
import termios

options = json.loads(sys.argv[1])
rows = options["rows"]


def resize(columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


ready, go = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    os.read(ready, 1)
    os.execv(options["argv"][0], options["argv"])
resize(options["columns"])
os.write(go, b"x")
shown = b""
since = 0
steps = list(options["steps"])
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    while steps:
        text, act, value = steps[0]
        found = shown.find(text.encode(), since)
        if found < 0:
            break
        since = found + len(text.encode())
        steps.pop(0)
        if act == "type":
            os.write(terminal, value.encode())
        elif act == "columns":
            resize(value)
        elif act == "kill":
            os.kill(value[0], value[1])
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps({"code": code, "shown": shown.decode(), "left": steps}))
