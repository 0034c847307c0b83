"""One construct per concern; each takes plain arguments, exposes what it made, and leaves grants to the stack."""
