"""
Writes to the workload database until standard input gives a line or ends: see workload.ts.
Prints {"commits": N} now and then and {"done": {...}} at the end.
"""
import json
import random
import select
import sqlite3
import sys
import time

options = json.loads(sys.argv[1])
rng = random.Random(options['seed'])
name = options['name']
pause = options.get('pauseMs', 3) / 1000
deferred = options.get('isDeferred', False)
db = sqlite3.connect(options['path'], timeout=15 if deferred else 5, isolation_level=None)
db.execute(f"PRAGMA wal_autocheckpoint={options.get('autocheckpoint', 0)}")
db.execute('PRAGMA synchronous=NORMAL')
size = db.execute('PRAGMA page_size').fetchone()[0]
accounts = db.execute('SELECT count(*) FROM accounts').fetchone()[0]
tables = 0
counts = {'commits': 0, 'rollbacks': 0, 'busy': 0}


def blob(most):
    return rng.randbytes(rng.randint(0, most))


def transfer():
    for _ in range(rng.randint(1, 4)):
        a, b, amount = rng.randint(1, accounts), rng.randint(1, accounts), rng.randint(1, 50)
        db.execute('UPDATE accounts SET balance = balance - ? WHERE id = ?', (amount, a))
        db.execute('UPDATE accounts SET balance = balance + ? WHERE id = ?', (amount, b))
    row = db.execute('INSERT INTO log (who, body) VALUES (?, ?)', (name, blob(200))).lastrowid
    db.execute("UPDATE meta SET value = ? WHERE key = 'last'", (row,))


def insert():
    rows = [(rng.randint(0, 500), blob(int(size * 1.5))) for _ in range(rng.randint(1, 30))]
    db.executemany('INSERT INTO mixed (grp, body) VALUES (?, ?)', rows)


def delete():
    low = rng.randint(0, 500)
    db.execute('DELETE FROM mixed WHERE grp BETWEEN ? AND ?', (low, low + 200))


def update():
    low = rng.randint(0, 500)
    sql = 'UPDATE mixed SET body = ?, grp = (grp + 7) % 500 WHERE grp BETWEEN ? AND ?'
    db.execute(sql, (blob(size), low, low + 10))


def table():
    global tables
    if tables % 2 == 0:
        db.execute(f'CREATE TABLE t_{name}_{tables} (a INTEGER PRIMARY KEY, b)')
        rows = [(blob(size),) for _ in range(5)]
        db.executemany(f'INSERT INTO t_{name}_{tables} (b) VALUES (?)', rows)
    else:
        db.execute(f'DROP TABLE IF EXISTS t_{name}_{tables - 1}')
    tables += 1


def spilled():
    db.execute('PRAGMA cache_size=5')
    rows = [(rng.randint(0, 500), blob(size)) for _ in range(60)]
    db.executemany('INSERT INTO mixed (grp, body) VALUES (?, ?)', rows)
    db.execute('UPDATE mixed SET grp = (grp + 1) % 500')


def savepoint():
    # A large cache: SQLite 3.40 leaves frames without checksums when it spills and then rolls back
    # to a savepoint, which has a test of its own.
    db.execute('PRAGMA cache_size=-20000')
    db.execute('SAVEPOINT inner_one')
    insert()
    db.execute('ROLLBACK TO inner_one')
    db.execute('RELEASE inner_one')
    transfer()


def few():
    rows = [(rng.randint(0, 500), blob(300)) for _ in range(rng.randint(1, 3))]
    db.executemany('INSERT INTO mixed (grp, body) VALUES (?, ?)', rows)


# Deferred transactions are what requests of a web application write.
requests = [transfer, transfer, few]
all_kinds = [transfer] * 10 + [insert] * 4 + [delete] * 3 + [update] * 2 + [table] * 2
actions = requests if deferred else all_kinds + [spilled] * 2 + [savepoint]
printed = time.monotonic()
while True:
    action = rng.choice(actions)
    try:
        db.execute('BEGIN' if deferred else 'BEGIN IMMEDIATE')
        if deferred:
            db.execute('SELECT max(id) FROM log').fetchall()
        action()
        if action is spilled and rng.random() < 0.75:
            db.execute('ROLLBACK')
            counts['rollbacks'] += 1
        else:
            db.execute('COMMIT')
            counts['commits'] += 1
    except sqlite3.OperationalError as error:
        if 'locked' not in str(error) and 'busy' not in str(error):
            raise
        counts['busy'] += 1
        if db.in_transaction:
            db.execute('ROLLBACK')
    if time.monotonic() - printed > 0.05:
        printed = time.monotonic()
        print(json.dumps(counts), flush=True)
    if select.select([sys.stdin], [], [], pause)[0]:
        break
db.close()
print(json.dumps({'done': counts}), flush=True)
