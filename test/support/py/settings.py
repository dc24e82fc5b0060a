"""Reads and writes settings with the program of docs/application/settings.md.

Options: module (the program, as a file), database, and steps: {"get": NAME}, or {"set": NAME,
"value": VALUE, "encrypt": BOOL}. Bytes are {"base64": TEXT}. Answers one JSON line for each step.
"""

import base64
import importlib.util
import json
import site
import sys

# The test starts Python without installed packages, and this program uses one.
site.main()
options = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("program", options["module"])
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)


def shown(value):
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def given(value):
    is_bytes = isinstance(value, dict) and "base64" in value
    return base64.b64decode(value["base64"]) if is_bytes else value


store = program.open_settings(options["database"])
for step in options["steps"]:
    try:
        if "get" in step:
            answer = shown(store.get(step["get"]))
        else:
            store.connection.execute("BEGIN IMMEDIATE")
            store.set(step["set"], given(step["value"]), step["encrypt"])
            store.connection.execute("COMMIT")
            answer = "written"
        print(json.dumps({"answer": answer}))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__}))
