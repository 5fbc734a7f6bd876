"""Remit's event contract (envelope, one module per topic) and its delivery (outbox, relay, bus, consumer)."""
