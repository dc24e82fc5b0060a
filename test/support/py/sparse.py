"""
Makes a sparse database past 1 GiB in WAL mode. Nearly all of its 64 KiB pages are on the free list,
with those around the lock page, which holds byte 2^30, first in line. Prints {"pages": N}.
"""
import json
import os
import sqlite3
import struct
import sys

options = json.loads(sys.argv[1])
SIZE = 65536
LOCK = 2**30 // SIZE + 1
PAGES = LOCK + 40

db = sqlite3.connect(options['path'], isolation_level=None)
db.execute(f'PRAGMA page_size={SIZE}')
db.execute('CREATE TABLE big (id INTEGER PRIMARY KEY, body BLOB)')
db.execute("INSERT INTO big (body) VALUES ('first')")
used = db.execute('PRAGMA page_count').fetchone()[0]
db.close()

near = [page for page in range(LOCK - 8, LOCK + 9) if page != LOCK]
first, second = used + 1, used + 2
rest = [page for page in range(used + 3, PAGES + 1) if page not in near and page != LOCK]
with open(options['path'], 'r+b') as file:
    os.truncate(file.fileno(), PAGES * SIZE)
    for trunk, following, leaves in ((first, second, near), (second, 0, rest[:16000])):
        file.seek((trunk - 1) * SIZE)
        file.write(struct.pack(f'>II{len(leaves)}I', following, len(leaves), *leaves))
    # The pages for which the second trunk has no room go on a third.
    over = rest[16000:]
    third, leaves = over[0], over[1:]
    file.seek((second - 1) * SIZE)
    file.write(struct.pack('>I', third))
    file.seek((third - 1) * SIZE)
    file.write(struct.pack(f'>II{len(leaves)}I', 0, len(leaves), *leaves))
    free = len(near) + 16000 + len(over) + 2
    file.seek(28)
    file.write(struct.pack('>III', PAGES, first, free))

db = sqlite3.connect(options['path'], isolation_level=None)
verdict = db.execute('PRAGMA integrity_check').fetchall()
assert verdict == [('ok',)], verdict
db.execute('PRAGMA journal_mode=WAL').fetchone()
db.close()
print(json.dumps({'pages': PAGES}), flush=True)
