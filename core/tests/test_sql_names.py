"""What the contract of plugins takes for a table of the core."""

import pytest

from tillhook.testing.sql_names import sql_faults

TABLES = ["sale", "sale_line", "stock_level"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('text("SELECT id FROM sale WHERE id = 1")', ["sale"]),
        ('text("SELECT 1 FROM me_x x, sale s WHERE x.id = s.id")', ["sale"]),
        ('text("SELECT 1 FROM (SELECT 1) x JOIN public.sale_line l ON TRUE")', ["sale_line"]),
        ('text("DELETE FROM ONLY sale"); text("INSERT INTO stock_level VALUES (1)")', ["sale", "stock_level"]),
        ('text("""\n    select *\n    from me_x join sale on true""")', ["sale"]),
        ('text("update sale set id = 1"); text("insert or ignore into sale_line values (1)")', ["sale", "sale_line"]),
        ('text("with x as (select 1 from sale) select * from x")', ["sale"]),
        ("PART = 'LEFT JOIN \"sale\" s ON s.id = d.sale_id'", ["sale"]),
        # In parts.
        ('f"SELECT {x} FROM sale WHERE id = {y}"', ["sale"]),
        ('TABLE = "sale"\nf"SELECT {x} FROM {TABLE} s"', ["sale"]),
        ("f\"SELECT 1 FROM {'sale'}\"", ["sale"]),
        ('x = "SELECT 1 " "FROM sale"', ["sale"]),
        ('"SELECT 1 FROM " + "sale"', ["sale"]),
        ('NAME = "sale"\nx = "SELECT " + columns + " FROM " + NAME + suffix', ["sale"]),
        ('"SELECT 1 FROM {}".format("sale")', ["sale"]),
        ('"SELECT {what} FROM {name}".format(what=x, name="sale")', ["sale"]),
        ('"SELECT %s FROM %s" % (x, "sale")', ["sale"]),
        ('" ".join(["SELECT 1", "FROM sale", x])', ["sale"]),
        # As tables.
        ('Table("sale", Base.metadata)', ["sale"]),
        ('sa.table("sale")', ["sale"]),
        ('Base.metadata.tables["sale"]', ["sale"]),
        ('Base.metadata.tables.get("sale")', ["sale"]),
        ('insert_rows(connection, "sale", rows)', ["sale"]),
        ('batch.insert("sale_line", rows)', ["sale_line"]),
        # Nothing of the core's.
        ('text("SELECT id FROM me_sale JOIN sales")', []),
        ('text("SELECT sale, EXTRACT(epoch FROM at) FROM me_x -- not FROM sale")', []),
        ('text("SELECT x.sale FROM me_x x WHERE x.id IN (1, 2) ORDER BY a, sale")', []),
        ('"""Lines come FROM sale and go."""', []),
        ('"Nothing is left of the goods from sale 7."', []),
        ('"Select what is taken from the sale."', []),
        ("select(Sale).where(Sale.id == 1)", []),
        ('x["sale"], f"{a}{b}", 1 + 2, "%s" % x, kinds.get("sale")', []),
    ],
)
def test_names_of_tables_are_found(tmp_path, source, found):
    path = tmp_path / "queries.py"
    path.write_text(source)
    faults = [fault.partition(": ")[2] for fault in sql_faults(path, TABLES)]
    assert faults == [f"names the core's table {table}; use its class" for table in found]


def test_a_fault_names_file_line_and_table(tmp_path):
    path = tmp_path / "queries.py"
    path.write_text('\nQUERY = """\nSELECT 1\n  FROM sale\n"""\n')
    assert list(sql_faults(path, TABLES)) == ["queries.py:2: names the core's table sale; use its class"]
