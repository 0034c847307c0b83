"""What the service is measured against: each a program of its own."""
