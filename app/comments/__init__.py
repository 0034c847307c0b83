"""The comment service. app.py builds the Flask app.

This module imports nothing: gunicorn's master imports comments.logs before gevent patches the standard library.
"""
