"""escalation-svc's routes: ladders, cases, approvals, tasks."""
