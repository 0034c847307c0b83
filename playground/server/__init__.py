"""The playground's server, in an environment of its own: MiniStack and what it lacks, a module for each service."""
