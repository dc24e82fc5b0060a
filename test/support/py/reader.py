"""
Reads a database again and again and checks what must hold inside one read transaction: the sum of
the accounts never changes, the newest log row is the one in `meta`, ids never go back, a snapshot
never changes. Prints {"at": N} now and then, {"failure": "..."} at the first failure, and
{"done": {...}} when told to stop.
"""
import json
import os
import random
import select
import sqlite3
import sys
import time

options = json.loads(sys.argv[1])
if 'uid' in options:
    os.setgroups([])
    os.setresgid(options['gid'], options['gid'], options['gid'])
    os.setresuid(options['uid'], options['uid'], options['uid'])
rng = random.Random(options.get('seed', 1))
hold = options.get('holdMs', 0) / 1000
reopen = options.get('reopen', 0.0)
total = options['total']


def connect():
    mode = '?mode=ro' if options.get('readOnly') else ''
    path = f"file:{options['path']}{mode}"
    db = sqlite3.connect(path, uri=True, timeout=5, isolation_level=None)
    if options.get('mmap'):
        db.execute('PRAGMA mmap_size=268435456')
    return db


def look(db):
    balance, count = db.execute('SELECT sum(balance), count(*) FROM accounts').fetchone()
    newest = db.execute('SELECT max(id) FROM log').fetchone()[0] or 0
    last = db.execute("SELECT value FROM meta WHERE key = 'last'").fetchone()[0]
    rows = db.execute('SELECT count(*), sum(length(body)) FROM mixed').fetchone()
    indexed = db.execute('SELECT count(*) FROM mixed WHERE grp >= 0').fetchone()[0]
    return balance, count, newest, last, rows, indexed


def fail(text):
    print(json.dumps({'failure': text}), flush=True)
    sys.exit(1)


db = connect()
passes = reopened = checks = 0
highest = 0
printed = 0.0
while True:
    try:
        if reopen and rng.random() < reopen:
            db.close()
            db = connect()
            reopened += 1
        db.execute('BEGIN')
        seen = look(db)
        balance, _count, newest, last, rows, indexed = seen
        if balance != total:
            fail(f'the sum is {balance}, not {total}')
        if newest != last:
            fail(f'the newest log row is {newest}, meta says {last}')
        if rows[0] != indexed:
            fail(f'{rows[0]} rows, {indexed} in the index')
        if newest < highest:
            fail(f'the newest log row went back from {highest} to {newest}')
        if hold and rng.random() < 0.3:
            time.sleep(rng.random() * hold)
            again = look(db)
            if again != seen:
                fail(f'the snapshot changed from {seen} to {again}')
        if passes % 40 == 39:
            verdict = db.execute('PRAGMA integrity_check(3)').fetchall()
            checks += 1
            if verdict != [('ok',)]:
                fail(f'not sound: {verdict}')
        db.execute('COMMIT')
        highest = newest
        passes += 1
    except sqlite3.Error as error:
        fail(f'{getattr(error, "sqlite_errorname", "")} {error}')
    if time.monotonic() - printed > 0.05:
        printed = time.monotonic()
        print(json.dumps({'at': highest}), flush=True)
    if select.select([sys.stdin], [], [], options.get('pauseMs', 5) / 1000)[0]:
        break
done = {'passes': passes, 'reopened': reopened, 'checks': checks, 'newest': highest}
print(json.dumps({'done': done}), flush=True)
