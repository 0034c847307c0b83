"""The HTTP layer: routes, their models, and the HTML pages and scripts that browsers load."""
