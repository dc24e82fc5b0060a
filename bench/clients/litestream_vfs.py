"""
One SQLite connection for a client of the bench that cannot open URI file names itself. Arguments: a
loadable extension ('' for none) and a URI. One JSON request a line, one JSON answer a line. Ends
when standard input ends.
"""
import hashlib
import json
import random
import sqlite3
import sys

DIGEST_ROWS = 10_000

extension, uri = sys.argv[1:]
if extension:
    # It stays loaded for all connections of the process.
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(extension)
connection = sqlite3.connect(uri, uri=True, isolation_level=None)
POOL = random.Random(1).randbytes(1 << 20)
value_bytes = 0


def run(request):
    for statement in request["sql"]:
        connection.execute(statement)


def begin_writing(request):
    global value_bytes
    value_bytes = request["valueBytes"]


def insert(request):
    begin = request["id"] * value_bytes % (len(POOL) - value_bytes)
    value = POOL[begin : begin + value_bytes]
    connection.execute("INSERT INTO t(id, v) VALUES (?, ?)", (request["id"], value))


def number(request):
    return connection.execute(request["sql"]).fetchone()[0] or 0


def digest(_request):
    """Over every row of table t, after an integrity check."""
    check = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if check != "ok":
        raise sqlite3.DatabaseError(check)
    found = hashlib.sha256()
    rows = connection.execute("SELECT id, v FROM t ORDER BY id")
    while some := rows.fetchmany(DIGEST_ROWS):
        for row_id, content in some:
            found.update(b"%d:%d:" % (row_id, len(content)))
            found.update(content)
    return found.hexdigest()


OPERATIONS = {
    "run": run,
    "beginWriting": begin_writing,
    "insert": insert,
    "number": number,
    "digest": digest,
}


def answer(line):
    request = json.loads(line)
    try:
        return {"value": OPERATIONS[request["op"]](request)}
    except sqlite3.Error as error:
        return {"error": f"{type(error).__name__}: {error}"}


print(json.dumps({"value": None}), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(line)), flush=True)
# Closing uploads what is still waiting.
connection.close()
