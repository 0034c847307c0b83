"""The README's pictures, drawn from the templates, so that they show what is deployed."""
