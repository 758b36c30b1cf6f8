"""Bodies and answers of payment methods."""

from tillhook.http import Answer, Flag, Schema, Text, out


class MethodPatch(Schema):
    title = Text(min=1, max=80)
    opens_drawer = Flag()
    gives_change = Flag()
    counts_as_cash = Flag()
    takes_refunds = Flag()
    is_active = Flag()


class MethodIn(MethodPatch):
    name = Text(min=1, max=40, required=True)
    title = Text(min=1, max=80)


class MethodOut(Answer):
    """A payment method; one that is declared belongs to a module, and can be switched off only."""

    name = out.Text()
    title = out.Text()
    opens_drawer = out.Flag()
    gives_change = out.Flag()
    counts_as_cash = out.Flag()
    takes_refunds = out.Flag()
    is_active = out.Flag()
    is_declared = out.Flag()
