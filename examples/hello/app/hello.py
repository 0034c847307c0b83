"""A web page that greets, for the example of a workload without a database."""

import os

from flask import Flask

app = Flask(__name__)


@app.cli.command()
def migrate() -> None:
    """Prepare for this version, before it serves requests: an app with a database changes its tables here."""
    print("nothing to migrate")


@app.get("/up")
def up() -> str:
    return "up"


@app.get("/")
def index() -> dict[str, object]:
    return {"hello": os.environ.get("HELLO_NAME", "world"), "signed": bool(os.environ.get("HELLO_KEY"))}
