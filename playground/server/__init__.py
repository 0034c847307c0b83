"""The playground's server: MiniStack and patches for it, one module per AWS service. Runs in a separate virtualenv."""
