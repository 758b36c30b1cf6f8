"""People and firms over HTTP."""


def test_a_party_is_made_read_changed_and_found(client):
    made = client.post("/api/parties", {"name": "Ärzte GmbH", "email": "info@example.com", "is_vendor": True})
    assert made.status_code == 201
    party = made.json
    changed = client.patch(f"/api/parties/{party['id']}", {"phone": "+49 30 1234"})
    assert changed.status_code == 200
    assert client.get(f"/api/parties/{party['id']}").json["phone"] == "+49 30 1234"
    found = client.get("/api/parties", params={"search": "ärZTE 1234", "is_vendor": "true"}).json
    assert [each["id"] for each in found["items"]] == [party["id"]]
    assert client.get("/api/parties", params={"search": "%"}).json["items"] == []


def test_a_party_needs_a_name_and_knows_its_fields(client):
    for body, field in (({}, "name"), ({"name": " "}, "name"), ({"name": "A", "vip": True}, "vip")):
        answer = client.post("/api/parties", body)
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == field


def test_one_user_is_one_party(client, make):
    user = make.user("supplier")
    assert client.post("/api/parties", {"name": "Anna", "user_id": user.id}).status_code == 201
    twice = client.post("/api/parties", {"name": "Bert", "user_id": user.id})
    assert (twice.status_code, twice.json["code"]) == (409, "user-taken")
    nobody = client.post("/api/parties", {"name": "Bert", "user_id": 9_999_999})
    assert (nobody.status_code, nobody.json["code"]) == (422, "unknown-user")


def test_only_those_with_the_permission_change_parties(client):
    assert client.post("/api/parties", {"name": "Anna"}, as_="cashier").status_code == 403
    assert client.get("/api/parties", as_="cashier").status_code == 200
    assert client.get("/api/parties", as_="customer").status_code == 403
    assert client.get("/api/parties/999999").status_code == 404
