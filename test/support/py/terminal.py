"""Runs a program at a terminal of its own and types at it.

Options: argv, and typed: texts, each after the program has asked with a text that ends in ": ".
Prints its exit code (a signal as a negative number) and all that the terminal showed.
"""

import json
import os
import pty
import sys

options = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execv(options["argv"][0], options["argv"])
shown = b""
typed = list(options["typed"])
asked = 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if shown.count(b": ") > asked and typed and shown.endswith(b": "):
        asked = shown.count(b": ")
        os.write(terminal, typed.pop(0).encode())
_, status = os.waitpid(pid, 0)
print(json.dumps({"code": os.waitstatus_to_exitcode(status), "shown": shown.decode()}))
