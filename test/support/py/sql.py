"""One connection of Python's SQLite: a JSON string with SQL a line, answered by a JSON object."""
import json
import os
import sqlite3
import sys

options = json.loads(sys.argv[1])
if 'uid' in options:
    os.setgroups([])
    os.setresgid(options['gid'], options['gid'], options['gid'])
    os.setresuid(options['uid'], options['uid'], options['uid'])
uri = f"file:{options['path']}" + ('?mode=ro' if options.get('readOnly') else '')
timeout = options.get('timeoutMs', 5000) / 1000
db = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)


def plain(value):
    return value.hex() if isinstance(value, bytes) else value


for line in sys.stdin:
    sql = json.loads(line)
    if sql == '!close':
        break
    try:
        rows = [[plain(value) for value in row] for row in db.execute(sql).fetchall()]
        print(json.dumps({'rows': rows}), flush=True)
    except sqlite3.Error as error:
        text = f'{getattr(error, "sqlite_errorname", "")} {error}'
        print(json.dumps({'error': text}), flush=True)
db.close()
