"""How connections are served: gunicorn's threaded worker, with slow clients kept away from its threads."""
