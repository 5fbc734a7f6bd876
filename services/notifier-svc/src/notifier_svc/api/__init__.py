"""The HTTP routes of notifier-svc."""
