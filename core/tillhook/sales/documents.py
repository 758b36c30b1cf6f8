"""What the journal's documents say of themselves where goods are shown to have moved."""

from collections.abc import Collection

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from tillhook.db import among
from tillhook.hooks import DocumentFacts
from tillhook.sales.models import Sale


def facts_of_sales(session: Session, sale_ids: Collection[int]) -> dict[int, DocumentFacts]:
    """Return the facts of the journal's documents by their keys; who did it is the seller."""
    columns = (Sale.id, Sale.sale_number, Sale.seller_id, Sale.seller_name, Sale.reason)
    return {
        row.id: DocumentFacts(
            number=row.sale_number,
            link=f"/api/sales/{row.id}",
            person=row.seller_id,
            person_name=row.seller_name,
            reason=row.reason,
        )
        for row in session.execute(select(*columns).where(among(Sale.id, sale_ids)))
    }


def find_sales(kind: str, person: int | None, number: str | None) -> Select[int]:
    """Return the query for the keys of the documents of a kind of a seller, or of a number."""
    is_found = Sale.sale_number == number if person is None else Sale.seller_id == person
    return select(Sale.id).where(Sale.kind == kind, is_found)
