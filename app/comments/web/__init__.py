"""What people see: the thread for any page, a page that shows it, the status and the moderator's page."""
