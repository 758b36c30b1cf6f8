"""Bodies and queries of the parties' routes."""

from marshmallow import post_load

from tillhook.http import Email, Flag, Key, ListQuery, Ordering, Schema, Text
from tillhook.parties.services import NewParty


class PartyIn(Schema):
    """A person or firm to make."""

    name = Text(min=1, max=200, required=True)
    phone = Text(max=40, load_default="")
    email = Email(load_default="")
    address = Text(max=500, lines=True, load_default="")
    tax_id = Text(max=40, load_default="")
    is_customer = Flag(load_default=False)
    is_vendor = Flag(load_default=False)
    user_id = Key(allow_none=True, load_default=None)

    @post_load
    def command(self, data: dict[str, object], **_: object) -> NewParty:
        return NewParty(**data)  # type: ignore[arg-type]


class PartyPatch(Schema):
    """What to change of a person or firm."""

    name = Text(min=1, max=200)
    phone = Text(max=40)
    email = Email()
    address = Text(max=500, lines=True)
    tax_id = Text(max=40)
    is_customer = Flag()
    is_vendor = Flag()
    user_id = Key(allow_none=True)


class PartyQuery(ListQuery):
    """Which parties to list; ``search`` looks at name, phone, e-mail and tax id."""

    is_customer = Flag(load_default=None)
    is_vendor = Flag(load_default=None)
    ordering = Ordering("name", "created_at", default="name")
