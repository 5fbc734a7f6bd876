from remit_events import tables as events
from remit_service import tables as service
from remit_service.migrations import run_env
from scheduler_svc import tables

run_env([events.metadata, service.metadata, tables.metadata])
