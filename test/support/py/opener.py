"""
Opens a database, reads and closes, again and again; as another user when given `uid` and `gid`.
Prints {"opened": N} now and then, and at the end
{"done": {"opened": N, "errors": {NAME: COUNT}, "lasting": COUNT}}; `lasting` counts the errors that
went on for 5 s of trying again.
"""
import json
import os
import select
import sqlite3
import sys
import time

options = json.loads(sys.argv[1])
if 'uid' in options:
    os.setgroups([])
    os.setresgid(options['gid'], options['gid'], options['gid'])
    os.setresuid(options['uid'], options['uid'], options['uid'])

opened = lasting = 0
errors = {}
printed = 0.0
failed_at = None
while True:
    try:
        db = sqlite3.connect(options['path'], timeout=5, isolation_level=None)
        try:
            db.execute(options['sql']).fetchall()
        finally:
            db.close()
        opened += 1
        failed_at = None
    except sqlite3.Error as error:
        now = time.monotonic()
        if failed_at is None:
            failed_at = now
            name = getattr(error, 'sqlite_errorname', str(error))
            errors[name] = errors.get(name, 0) + 1
        elif now - failed_at > 5:
            failed_at = now
            lasting += 1
    if time.monotonic() - printed > 0.05:
        printed = time.monotonic()
        print(json.dumps({'opened': opened}), flush=True)
        if select.select([sys.stdin], [], [], 0)[0]:
            break
print(json.dumps({'done': {'opened': opened, 'errors': errors, 'lasting': lasting}}), flush=True)
