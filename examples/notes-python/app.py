"""Notes: an application on one SQLite file that knows nothing of walcast. Python 3.9, no packages.

    app.py --db FILE --port N [--name NAME]

Reads open the file read-only, writes open it for writing. The proxy in front decides which requests
come here. The application asks the node beside it (WALCAST_NODE_URL) only one thing: whether it is
the leader, where tables are made.
"""

import argparse
import html
import http.server
import json
import os
import re
import signal
import sqlite3
import string
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS note (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%S'))
);
CREATE TABLE IF NOT EXISTS made_by (name TEXT NOT NULL);
"""
MAX_BODY_BYTES = 16 * 1024
MAX_NOTE_CHARS = 2000
SHOWN = 50
STOP_SECONDS = 5

PAGE = string.Template((Path(__file__).parent / "page.html").read_text("utf-8"))


class Notes:
    """The notes in the file. Each call has a connection of its own: threads share nothing."""

    def __init__(self, path):
        self.uri = Path(path).resolve().as_uri()

    def _connect(self, mode):
        # mode=ro: a stray write in code that reads fails at once, on any node.
        db = sqlite3.connect(f"{self.uri}?mode={mode}", uri=True, timeout=5, isolation_level=None)
        if mode == "rw":
            # The node checkpoints. Recommended with an SQLite older than 3.51.3.
            db.execute("PRAGMA wal_autocheckpoint = 0")
        return closing(db)

    def create(self, name):
        with self._connect("rw") as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'note'").fetchone():
                return
            db.executescript("BEGIN IMMEDIATE;" + SCHEMA)
            db.execute("INSERT INTO made_by VALUES (?)", (name,))
            db.execute("COMMIT")

    def latest(self):
        with self._connect("ro") as db:
            rows = db.execute("SELECT id, text, at FROM note ORDER BY id DESC LIMIT ?", (SHOWN,))
            return [{"id": id, "text": text, "at": at} for id, text, at in rows]

    def add(self, text):
        with self._connect("rw") as db:
            db.execute("INSERT INTO note (text) VALUES (?)", (text,))

    def remove(self, id):
        with self._connect("rw") as db:
            return db.execute("DELETE FROM note WHERE id = ?", (id,)).rowcount > 0


class Refused(Exception):
    def __init__(self, status, what):
        super().__init__(what)
        self.status = status


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body in one packet. Two would wait for each other, 40 ms each time (Nagle's algorithm
    # and delayed acknowledgements).
    wbufsize = -1
    server_version = "notes"
    notes = None
    name = ""

    def do_GET(self):
        with self.server.request():
            self._answer({"/": self._page, "/notes.json": self._json}.get(self._path()))

    do_HEAD = do_GET

    def do_POST(self):
        with self.server.request():
            self._answer(self._add if self._path() == "/notes" else None)

    def do_DELETE(self):
        with self.server.request():
            self._answer(self._remove if re.fullmatch(r"/notes/\d{1,15}", self._path()) else None)

    def _page(self):
        items = [
            f'<li>{html.escape(note["text"])}<time>{html.escape(note["at"])} UTC</time></li>'
            for note in self.notes.latest()
        ]
        notes = "<ul>\n" + "\n".join(items) + "\n</ul>" if items else "<p>No notes yet.</p>"
        page = PAGE.substitute(name=html.escape(self.name), max=MAX_NOTE_CHARS, notes=notes)
        self._send(200, page, "text/html; charset=utf-8")

    def _json(self):
        self._send(200, json.dumps(self.notes.latest()) + "\n", "application/json")

    def _add(self):
        body = self._body()
        # Anybody's web page can make a browser send a form here. Browsers say so.
        if self.headers.get("Sec-Fetch-Site") == "cross-site":
            raise Refused(403, "requests from other sites are refused")
        text = urllib.parse.parse_qs(body).get("text", [""])[0].strip()
        if not 0 < len(text) <= MAX_NOTE_CHARS:
            raise Refused(400, f"a note has 1 to {MAX_NOTE_CHARS} characters")
        self.notes.add(text)
        self._send(303, "", headers={"Location": "/"})

    def _remove(self):
        if not self.notes.remove(int(self._path().rpartition("/")[2])):
            raise Refused(404, "there is no such note")
        self._send(204)

    def _path(self):
        return self.path.partition("?")[0]

    def _body(self):
        length = self.headers.get("Content-Length")
        # Without a length the end of the body is not known: this connection cannot be used again.
        self.close_connection = length is None
        if length is None or not length.isdigit():
            raise Refused(411, "a Content-Length is needed")
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(413, "that is too long")
        return self.rfile.read(int(length)).decode("utf-8", "replace")

    def _answer(self, act):
        try:
            if act is None:
                self.close_connection = self.command == "POST"
                raise Refused(404, "there is nothing here")
            act()
        except Refused as refused:
            self._send(refused.status, f"{refused}\n")
        except sqlite3.Error as error:
            print(f"{self.command} {self.path}: {error}", file=sys.stderr, flush=True)
            self._send(503, "the database cannot be used now\n", headers={"Retry-After": "1"})

    def _send(self, status, text="", content_type="text/plain; charset=utf-8", headers=None):
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if status != 204:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Ends once running requests are answered. Does not wait for idle connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *given):
        super().__init__(*given)
        self._under_way = 0
        self._changed = threading.Condition()

    @contextmanager
    def request(self):
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def wait_until_quiet(self):
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0, STOP_SECONDS)

    def _count(self, change):
        with self._changed:
            self._under_way += change
            self._changed.notify_all()


def leads(node_url):
    """Whether the node beside us leads. Waits for it to come up."""
    while True:
        try:
            with urllib.request.urlopen(f"{node_url}/leader", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False  # 503: it follows. The tables come with everything else.
        except OSError:
            time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--name", default="notes")
    options = parser.parse_args()
    node_url = os.environ.get("WALCAST_NODE_URL")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    Handler.notes = Notes(options.db)
    Handler.name = options.name
    if node_url is None or leads(node_url):
        Handler.notes.create(options.name)
    with Server(("127.0.0.1", options.port), Handler) as server:
        print(f"{options.name} on http://127.0.0.1:{options.port}", flush=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(1)
        finally:
            server.shutdown()
            server.wait_until_quiet()


if __name__ == "__main__":
    main()
