"""A batch that a device sends: what is new, what it sent before, what cannot be read, and what is still missing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.errors import DomainError
from tillhook.http import UnusablePart, validation_failed
from tillhook.http.media import dump_json
from tillhook.runtime import actor_of
from tillhook.sales.commands import NO_DEVICE, SaleCommand, SaleWarning
from tillhook.sales.exceptions import decisions
from tillhook.sales.offline.devices import missing_numbers
from tillhook.sales.offline.posting import BATCH, post_each, settle_refused
from tillhook.sales.offline.schemas import ReusedOut, SyncResultOut
from tillhook.sales.outcomes import Outcome
from tillhook.sales.queries import find_repeated_ids, sales_by_id
from tillhook.sales.schemas import SaleIn
from tillhook.sales.sender import as_sent_by, by_device
from tillhook.sales.sent import read_body, unknown_members

_SALE_IN = SaleIn()


def sync(session: Session, bodies: Sequence[Any]) -> list[bytes]:
    """Post sales that happened offline, each on its own: none stops another.

    Args:
        bodies: As they came, of any shape; what spoils only itself as :class:`UnusablePart`.

    Returns:
        What ``SyncOut`` says, as pieces of JSON: a result per body in the order sent, the devices' missing numbers, and
        the numbers that were used twice. What is there of a batch at a time is its bodies, its answer, and one part.
    """
    repeated = _repeated(session, bodies)
    commands, problems = _read(session, bodies, repeated)
    readable = [position for position in commands if position not in problems]
    posted = post_each(session, [commands[position] for position in readable], is_offline=True, encode=True)
    outcomes = _refused(session, commands, problems) | dict(zip(readable, posted, strict=True))
    settled = settle_refused(session, list(commands.values()), [outcomes[position] for position in commands])
    outcomes = repeated | dict(zip(commands, settled, strict=True))
    devices = {outcome.sale["source_device"] for outcome in repeated.values() if outcome.sale is not None}
    devices |= {command.source_device for command in commands.values()}
    rest = {
        "missing": missing_numbers(session, devices, own_only=True),
        "reused": [
            _reused(command, outcomes[position])
            for position, command in commands.items()
            if outcomes[position].same_number_as
        ],
    }
    parts = [range(start, min(start + BATCH, len(bodies))) for start in range(0, len(bodies), BATCH)]
    warnings = {position: command.warnings for position, command in commands.items() if command.warnings}
    results = [
        b",".join(_result(bodies[each], outcomes.pop(each), warnings.get(each, ())) for each in part) for part in parts
    ]
    return [b'{"results":[', *_separated(results), b"],", dump_json(rest)[1:]]


def _separated(pieces: Sequence[bytes]) -> Iterator[bytes]:
    for number, piece in enumerate(pieces):
        if number:
            yield b","
        yield piece


def _repeated(session: Session, bodies: Sequence[Any]) -> dict[int, Outcome]:
    """Return the outcomes of what was sent before letter by letter, by position."""
    known = list(find_repeated_ids(session, bodies).items())
    outcomes: dict[int, Outcome] = {}
    for start in range(0, len(known), BATCH):
        part = known[start : start + BATCH]
        shown = sales_by_id(session, [sale_id for _, sale_id in part])
        outcomes |= {position: Outcome("duplicate", sale=shown[sale_id]).encoded() for position, sale_id in part}
    return outcomes


def _read(
    session: Session, bodies: Sequence[Any], repeated: Collection[int]
) -> tuple[dict[int, SaleCommand], dict[int, DomainError]]:
    """Return the commands of what is not repeated, and what is wrong with those that cannot be read, by position."""
    commands: dict[int, SaleCommand] = {}
    problems: dict[int, DomainError] = {}
    for position, body in enumerate(bodies):
        if position in repeated:
            continue
        try:
            if isinstance(body, UnusablePart):
                raise body.problem
            commands[position] = by_device(session, read_body(body))
        except ValidationError as error:
            problems[position] = validation_failed(error)
        except DomainError as error:
            problems[position] = error
        if position in problems:
            commands[position] = _as_sent(actor_of(session), body.value if isinstance(body, UnusablePart) else body)
    return commands, problems


def _as_sent(actor: Actor, body: Any) -> SaleCommand:
    """Return what can be read of a body that cannot be read: whose it is, and which number it has."""
    payload = body if isinstance(body, dict) else {"value": body}
    command = SaleCommand(
        items=(),
        external_id=_readable(payload, "external_id"),
        channel="",
        source_device=_readable(payload, "source_device") or NO_DEVICE,
        device_number=_readable(payload, "device_number"),
        payload=payload,
        warnings=unknown_members(body),
    )
    return as_sent_by(actor.device or NO_DEVICE, command)


def _readable(payload: Mapping[str, Any], name: str) -> Any:
    value = payload.get(name)
    try:
        return None if value is None else _SALE_IN.fields[name].deserialize(value)
    except ValidationError:
        return None


def _refused(
    session: Session, commands: Mapping[int, SaleCommand], problems: Mapping[int, DomainError]
) -> dict[int, Outcome]:
    """Return what becomes of what cannot be read: a person may have decided about it before."""
    decided = decisions(session, {position: commands[position] for position in problems})
    shown = sales_by_id(session, [decision for decision in decided.values() if isinstance(decision, int)])
    outcomes = {}
    for position, problem in problems.items():
        decision = decided.get(position, problem)
        outcomes[position] = (
            Outcome("duplicate", sale=shown[decision])
            if isinstance(decision, int)
            else Outcome("rejected", error=decision)
        )
    return outcomes


def _result(body: Any, outcome: Outcome, warnings: Sequence[SaleWarning]) -> bytes:
    """Return what ``SyncResultOut`` says, as JSON; a posted sale knows its warnings, and some more."""
    given = {} if outcome.error is None else {"error": outcome.error.problem()}
    told = [warning._asdict() for warning in warnings] if outcome.sale is None else outcome.sale["warnings"]
    sent = body.value if isinstance(body, UnusablePart) else body
    external_id = sent.get("external_id") if isinstance(sent, dict) else None
    result = dump_json(SyncResultOut.of(None, external_id=external_id, status=outcome.status, warnings=told, **given))
    sale = outcome.encoded().json
    return result if sale is None else b'%b,"sale":%b}' % (result[:-1], sale)


def _reused(command: SaleCommand, outcome: Outcome) -> dict[str, Any]:
    assert outcome.sale is not None
    return ReusedOut.of(command, sale_id=outcome.sale["id"], same_as=outcome.same_number_as)
