"""The one-machine AWS: MiniStack with what the comment service's deployment needs beyond it."""
