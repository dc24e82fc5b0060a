"""SQLite of another version in another process: one JSON request a line, one JSON answer a line."""
import hashlib
import json
import sqlite3
import sys

connections = {}


def open_connection(request):
    connections[request["name"]] = sqlite3.connect(request["path"], timeout=0, isolation_level=None)


def close_connection(request):
    connections.pop(request["name"]).close()


def rows(request):
    cursor = connections[request["name"]].execute(request["sql"])
    return [list(row) for row in cursor.fetchall()]


def look(request):
    """What a reader sees: the SHA-256 of the database image, and the integrity check."""
    connection = connections[request["name"]]
    image = connection.serialize()
    integrity = ""
    if request["check"]:
        verdict = connection.execute("PRAGMA integrity_check").fetchall()
        integrity = "\n".join(row[0] for row in verdict)
    return {"sha256": hashlib.sha256(image).hexdigest(), "integrity": integrity}


def version(_request):
    return sqlite3.sqlite_version


OPERATIONS = {
    "open": open_connection,
    "close": close_connection,
    "rows": rows,
    "look": look,
    "version": version,
}


def answer(request):
    try:
        return {"value": OPERATIONS[request["op"]](request)}
    except sqlite3.Error as error:
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
