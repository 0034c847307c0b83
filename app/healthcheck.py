"""The image's HEALTHCHECK: 0 when /healthz answers 200. A bare socket: urllib's import costs ten times the CPU."""

import socket
import sys

with socket.create_connection(("127.0.0.1", 8000), timeout=3) as connection:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    sys.exit(not connection.recv(64).startswith(b"HTTP/1.1 200 "))
