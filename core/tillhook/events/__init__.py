"""The transactional outbox: record an event in the transaction that causes it, read it after the commit."""

from tillhook.events.outbox import Event, dispatch, read_events, record, record_many, sequence_events

__all__ = ["Event", "dispatch", "read_events", "record", "record_many", "sequence_events"]
