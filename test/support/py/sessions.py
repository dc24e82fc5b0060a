"""A site whose GET writes: a visitor without a session gets one. Any failure of SQLite is a 500."""
import http.cookies
import http.server
import json
import sqlite3
import sys
from contextlib import closing

options = json.loads(sys.argv[1])


def connect():
    # Short, so that a stray write on a replica fails soon.
    return closing(sqlite3.connect(options["path"], timeout=0.1, isolation_level=None))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        try:
            self._visit()
        except sqlite3.Error as error:
            self._send(500, {"error": str(error)})

    do_HEAD = do_GET

    def _visit(self):
        session = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get("session")
        with connect() as db:
            if session is not None:
                known = int(session.value)
                row = db.execute("SELECT began FROM session WHERE id = ?", (known,)).fetchone()
                self._send(200 if row else 404, {"session": known})
                return
            made = db.execute("INSERT INTO session (began) VALUES (strftime('%s'))").lastrowid
        self._send(200, {"session": made}, {"Set-Cookie": f"session={made}; Path=/"})

    def _send(self, status, value, headers=None):
        body = json.dumps({"app": options["name"], **value}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, each in (headers or {}).items():
            self.send_header(name, each)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", options["port"]), Handler)
server.daemon_threads = True
print("listening", flush=True)
server.serve_forever()
