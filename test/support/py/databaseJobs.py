"""
Jobs on databases, each a JSON object a line, answered by a JSON object: statements on a connection
of their own (`exec`), and two databases compared as SQLite reads them (`compare`): every page,
integrity, and dumps if pages differ.
"""
import hashlib
import json
import sqlite3
import sys
from contextlib import closing


def execute(job):
    timeout = job['timeoutMs'] / 1000
    uri = f"file:{job['path']}"
    with closing(sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)) as db:
        for sql in job['statements']:
            try:
                db.execute(sql).fetchall()
            except sqlite3.Error as error:
                return {'error': f'{sql}: {getattr(error, "sqlite_errorname", "")} {error}'}
    return {}


def opened(path):
    db = sqlite3.connect(f'file:{path}?mode=ro', uri=True, timeout=20, isolation_level=None)
    db.execute('BEGIN')
    db.execute('SELECT count(*) FROM sqlite_master').fetchall()
    return db


def dump(db):
    digest = hashlib.sha256()
    for line in db.iterdump():
        digest.update(line.encode('utf-8', 'surrogateescape'))
    return digest.hexdigest()


def image(db):
    return db.serialize() if db.execute('PRAGMA page_count').fetchone()[0] else b''


def differing(one, other, size):
    lock = 2**30 // size
    for n in range(len(one) // size):
        at = slice(n * size, (n + 1) * size)
        if n != lock and one[at] != other[at]:
            yield n + 1


def difference(a, b):
    for pragma in ('page_size', 'page_count', 'user_version', 'application_id', 'auto_vacuum'):
        values = [db.execute(f'PRAGMA {pragma}').fetchone()[0] for db in (a, b)]
        if values[0] != values[1]:
            return f'{pragma} is {values[0]} and {values[1]}'
    size = a.execute('PRAGMA page_size').fetchone()[0]
    pages = [image(db) for db in (a, b)]
    # With equal pages, one side stands for both.
    for name, db in [('a', a)] if pages[0] == pages[1] else [('a', a), ('b', b)]:
        verdict = [row[0] for row in db.execute('PRAGMA integrity_check(5)')]
        if verdict != ['ok']:
            return f'{name} is not sound: {verdict}'
    if len(pages[0]) != len(pages[1]):
        return f'{len(pages[0])} and {len(pages[1])} bytes'
    if pages[0] != pages[1]:
        bad = list(differing(*pages, size))
        if bad:
            same = 'the dumps are equal' if dump(a) == dump(b) else 'the dumps differ'
            return f'{len(bad)} of {len(pages[0]) // size} pages differ, such as {bad[:10]}; {same}'
    return ''


def compare(job):
    try:
        with closing(opened(job['a'])) as a, closing(opened(job['b'])) as b:
            return {'difference': difference(a, b)}
    except sqlite3.Error as error:
        return {'error': f'{getattr(error, "sqlite_errorname", "")} {error}'}


JOBS = {'exec': execute, 'compare': compare}

for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps(JOBS[job['job']](job)), flush=True)
