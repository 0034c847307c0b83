"""What a stage costs a month, read from its templates."""
