"""Deliver notifications of new comments to the site's owner."""
