"""Monthly cost of a stage, read from its templates."""
