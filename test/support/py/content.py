"""
Prints each row of a database as `TABLE:FIRST COLUMN:HASH`, and whether it is sound: see content.ts.
Leaves out the column `grp` of the table `mixed`: it cycles, so a changed row may look unchanged.
The output is {"problem": "...", "rows": [...]}; the problem is '' when there is none.
"""
import hashlib
import json
import sqlite3
import sys

options = json.loads(sys.argv[1])


def rows_of(db):
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if not name.startswith('sqlite_'):
            columns = 'id, body' if name == 'mixed' else '*'
            for row in db.execute(f'SELECT {columns} FROM "{name}"'):
                text = repr(row).encode('utf-8', 'surrogateescape')
                digest = hashlib.blake2b(text, digest_size=8).hexdigest()
                yield f'{name}:{str(row[0])[:40]}:{digest}'


def problem_of(db):
    verdict = [row[0] for row in db.execute('PRAGMA integrity_check(3)')]
    if verdict != ['ok']:
        return f'not sound: {verdict}'
    total = db.execute('SELECT sum(balance) FROM accounts').fetchone()[0]
    if total != options['total']:
        return f'the sum is {total}'
    if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'log'").fetchone()[0]:
        newest = db.execute('SELECT max(id) FROM log').fetchone()[0] or 0
        last = db.execute("SELECT value FROM meta WHERE key = 'last'").fetchone()[0]
        if newest != last:
            return f'the newest log row is {newest}, meta says {last}'
    return ''


def content():
    mode = '?mode=ro' if options['readOnly'] else ''
    path = f"file:{options['path']}{mode}"
    db = sqlite3.connect(path, uri=True, timeout=20, isolation_level=None)
    try:
        db.execute('BEGIN')
        problem = problem_of(db) if options['total'] else ''
        return {'problem': problem, 'rows': sorted(rows_of(db))}
    except sqlite3.DatabaseError as error:
        return {'problem': str(error), 'rows': []}
    finally:
        db.close()


print(json.dumps(content()), flush=True)
