"""Exceptions: refused documents, stored with all that was sent until a person or their sale settles them.

Below the pipeline, which stores what it refuses and asks what was decided of it before.

The states, and who moves an exception from one to another (:mod:`tillhook.sales.exceptions.states` does, and nothing
else). A new one is ``waiting`` when it is a return that came before its sale and has an ``external_id``, else ``open``.

| from    | move    | to        | who                                                                 |
| ------- | ------- | --------- | ------------------------------------------------------------------- |
| open    | accept  | accepted  | a person: posted, perhaps with changes                              |
| open    | discard | discarded | a person: never to be posted                                        |
| open    | post    | accepted  | the device, which sent it once more and now it could be posted      |
| waiting | accept  | accepted  | a person, when its sale is there                                    |
| waiting | discard | discarded | a person: no longer waited for                                      |
| waiting | arrive  | accepted  | a sync or the job: its sale arrived                                 |
| waiting | reopen  | open      | a sync or the job: its sale arrived, and it is refused all the same |
| waiting | merge   | discarded | likewise, when the same is open already for the same reason         |

What a device is answered that sends the same document again:

| state     | answer                                                                                      |
| --------- | ------------------------------------------------------------------------------------------- |
| open      | tried again: ``created``, or ``rejected`` and counted; ``duplicate`` where a part is posted  |
| waiting   | likewise; ``rejected`` with ``sale-not-synced`` until its sale arrives                      |
| accepted  | ``duplicate``, with the document that came of it                                            |
| discarded | ``rejected`` with ``discarded`` and the person's reason, unless the same is open as well    |
"""

from tillhook.sales.exceptions.decisions import Discarded, decisions, read_payload, sender_of
from tillhook.sales.exceptions.reading import get_exception, list_exceptions, lock_exception, lock_exceptions
from tillhook.sales.exceptions.states import close_posted
from tillhook.sales.exceptions.storing import digest_of, store_cut, store_refused

__all__ = [
    "Discarded",
    "close_posted",
    "decisions",
    "digest_of",
    "get_exception",
    "list_exceptions",
    "lock_exception",
    "lock_exceptions",
    "read_payload",
    "sender_of",
    "store_cut",
    "store_refused",
]
