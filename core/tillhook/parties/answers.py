"""What the parties' routes answer with; the audit log keeps the same of what changed."""

from tillhook.http import Answer, out


class PartyOut(Answer):
    """A person or firm."""

    id = out.Key()
    name = out.Text()
    phone = out.Text()
    email = out.Text()
    address = out.Text()
    tax_id = out.Text()
    is_customer = out.Flag()
    is_vendor = out.Flag()
    user_id = out.Key(allow_none=True)
    created_at = out.Moment()
    updated_at = out.Moment()
