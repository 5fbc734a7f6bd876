"""The routes of scheduler-svc, one module per resource."""
