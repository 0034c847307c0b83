"""Read exports of other systems and convert their comments."""
