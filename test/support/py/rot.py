"""
Flips bytes in pages of a file beneath SQLite, as a broken disk would. The argument is
{"path": ..., "pageSize": ..., "pages": [...]}. This process holds no lock that closing the file
could drop.
"""
import json
import os
import sys

options = json.loads(sys.argv[1])
fd = os.open(options['path'], os.O_RDWR)
for page in options['pages']:
    at = page * options['pageSize'] - 64
    was = os.pread(fd, 32, at)
    os.pwrite(fd, bytes(byte ^ 0x5a for byte in was), at)
os.fsync(fd)
print(json.dumps({'rotten': options['pages']}), flush=True)
