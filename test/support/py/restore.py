"""Restores the database `from` into `to` by SQLite's backup API: one transaction in `to`."""
import json
import sqlite3
import sys

options = json.loads(sys.argv[1])
source = sqlite3.connect(options['from'], timeout=20)
target = sqlite3.connect(options['to'], timeout=20)
source.backup(target)
target.close()
source.close()
print(json.dumps({'done': True}), flush=True)
