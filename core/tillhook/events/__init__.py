"""The transactional outbox: record an event in the transaction that causes it, read it after the commit."""

from tillhook.events.outbox import NewEvent, event_rows, read_events, record, record_many, sequence_events
from tillhook.events.reading import readable
from tillhook.hooks import Event

__all__ = ["Event", "NewEvent", "event_rows", "read_events", "readable", "record", "record_many", "sequence_events"]
