"""Custom objects: records of any class, their filters and their permissions."""

from __future__ import annotations

import pytest


def make(session, class_name="UserReports", **fields):
    answer = session("POST", f"data/{class_name}", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_report_is_made_and_read_back(rest, alice, bob):
    hers = rest("alice")
    report = make(hers, reportedUserId=bob, reason="spam")
    assert (report["reportedUserId"], report["reason"], report["user_id"]) == (bob, "spam", alice)
    assert report["permissions"] == {
        "read": {"access": "open"},
        "update": {"access": "owner"},
        "delete": {"access": "owner"},
    }
    found = rest("bob")("GET", f"data/UserReports/{report['_id']}").json()
    assert found == {"class_name": "UserReports", "items": [report]}


def test_a_class_shows_only_its_own_records(rest, alice):
    hers = rest("alice")
    report = make(hers, reason="x")
    assert hers("GET", "data/MessageReports").json()["items"] == []
    assert hers("GET", f"data/MessageReports/{report['_id']}").status_code == 404


class TestLists:
    @pytest.fixture
    def hers(self, rest, alice):
        session = rest("alice")
        make(session, "profile", name="Nadine", age=41, tags=["a", "b"], ok=True)
        make(session, "profile", name="Zach", age=50, tags=["b"])
        make(session, "profile", name="Lacey", age=25, tags=[])
        return session

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", ["Nadine", "Zach", "Lacey"]),
            ("age[gt]=28&sort_desc=name", ["Zach", "Nadine"]),
            ("age[lt]=41", ["Lacey"]),
            ("age[gte]=41&age[lte]=50&sort_asc=age", ["Nadine", "Zach"]),
            ("age=41", ["Nadine"]),
            ("name[ne]=Zach", ["Nadine", "Lacey"]),
            ("name[in]=Zach,Lacey", ["Zach", "Lacey"]),
            ("name[in][]=Zach&name[in][]=Lacey", ["Zach", "Lacey"]),
            ("name[or]=Zach,Nadine", ["Nadine", "Zach"]),
            ("name[nin]=Zach,Lacey", ["Nadine"]),
            ("name[ctn]=ac", ["Zach", "Lacey"]),
            ("tags[all]=a,b", ["Nadine"]),
            ("tags=b", ["Nadine", "Zach"]),
            ("ok=true", ["Nadine"]),
            ("sort_asc=name&limit=1&skip=1", ["Nadine"]),
            ("sort_asc=age&limit=-1", ["Zach"]),
            ("unheard=1", []),
        ],
    )
    def test_filters_order_and_pages(self, hers, query, names):
        items = hers("GET", f"data/profile?{query}").json()["items"]
        found = [item["name"] for item in items]
        assert (found if "sort" in query else sorted(found)) == (
            names if "sort" in query else sorted(names)
        )

    def test_count(self, hers):
        assert hers("GET", "data/profile?age[gt]=28&count=1").json() == {"items": {"count": 2}}

    @pytest.mark.parametrize(
        "query", ["age[like]=1", "age[like]=1&group_by=age", "limit=x", "skip=-1", "a.b=1"]
    )
    def test_what_it_does_not_know_is_named(self, hers, query):
        answer = hers("GET", f"data/profile?{query}")
        assert answer.status_code == 422
        assert (
            next(iter(answer.json()["errors"])).split("[")[0] == query.split("=")[0].split("[")[0]
        )

    @pytest.mark.parametrize(
        ("query", "items"),
        [
            ("age[calc]=avg&group_by=ok", [{"ok": None, "age": 37.5}, {"ok": True, "age": 41.0}]),
            ("age[calc]=sum&group_by=ok", [{"ok": None, "age": 75}, {"ok": True, "age": 41}]),
            (
                "age[calc]=min&group_by=ok&age[gt]=25",
                [{"ok": None, "age": 50}, {"ok": True, "age": 41}],
            ),
            (
                "age[calc]=max&user_id[calc]=min&group_by=class",
                [{"class": None, "age": 50, "user_id": 1}],
            ),
            ("name[calc]=max&group_by=ok&limit=1", [{"ok": None, "name": None}]),
            ("age[calc]=max&group_by=ok&sort_desc=age&limit=1", [{"ok": None, "age": 50}]),
        ],
    )
    def test_groups_with_a_calculation(self, hers, query, items):
        assert hers("GET", f"data/profile?{query}").json()["items"] == items

    def test_a_number_written_as_text_is_a_number(self, rest, alice):
        session = rest("alice")
        for age in ("9", 41, "100", "25.5", "-3", None, "old", "1" * 24):
            make(session, "person", age=age, team="a")
        ages = [item["age"] for item in session("GET", "data/person?sort_asc=age").json()["items"]]
        assert ages == [None, "-3", "9", "25.5", 41, "100", "1" * 24, "old"]
        for operator, age in [("max", 100), ("min", -3), ("sum", 172.5), ("avg", 34.5)]:
            query = f"age[calc]={operator}&group_by=team"
            (group,) = session("GET", f"data/person?{query}").json()["items"]
            assert group == {"team": "a", "age": age}

    @pytest.mark.parametrize(
        "query", ["age[calc]=avg", "group_by=age", "age[calc]=median&group_by=name"]
    )
    def test_a_calculation_and_its_groups_need_each_other(self, hers, query):
        assert hers("GET", f"data/profile?{query}").status_code == 422

    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            ("output[include]=name,age", {"_id", "name", "age"}),
            (
                "output[exclude]=_parent_id,created_at,updated_at,user_id,tags,ok",
                {"_id", "name", "age"},
            ),
            ("output[include]=name,age&output[exclude]=age", {"_id", "name"}),
            ("output[include]=unheard", {"_id"}),
        ],
    )
    def test_the_answer_has_the_fields_that_are_asked_for(self, hers, query, fields):
        (item,) = hers("GET", f"data/profile?name=Nadine&{query}").json()["items"]
        assert set(item) == fields

    def test_records_near_a_place(self, rest, alice):
        session = rest("alice")
        for name, place in {"here": [11.0, 45.4], "near": "11.13,45.52", "far": [0, 0]}.items():
            session("POST", "data/place", json={"name": name, "where": place})
        session("POST", "data/place", json={"name": "nowhere", "where": "home"})

        def found(radius):
            query = f"data/place?where[near]=11.00,45.40;{radius}&sort_asc=name"
            return [item["name"] for item in session("GET", query).json()["items"]]

        assert found(0) == ["here"]
        assert found(16_000) == ["here"]  # "near" is 16.8 km away
        assert found(17_000) == ["here", "near"]
        assert found(5_500_000) == ["far", "here", "near"]

    @pytest.mark.parametrize("place", ["11,45", "11;5", "11,45;x", "11,95;5", "a,b;5", "11,45;-1"])
    def test_a_place_that_is_none_is_named(self, hers, place):
        answer = hers("GET", f"data/profile?where[near]={place}")
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["where"])


class TestChanges:
    @pytest.mark.parametrize(
        ("change", "field", "value"),
        [
            ({"reason": "abuse"}, "reason", "abuse"),
            ({"reason": None}, "reason", None),
            ({"inc": {"count": "-2"}}, "count", 3),
            ({"inc": {"new": 1.5}}, "new", 1.5),
            ({"push": {"list": ["c"]}}, "list", ["a", "b", "a", "c"]),
            ({"pull": {"list": "a"}}, "list", ["b"]),
            ({"pull": {"list": {"in": ["a"]}}}, "list", ["b"]),
            ({"pull_all": {"list": ["a", "b"]}}, "list", []),
            ({"pop": {"list": "1"}}, "list", ["a", "b"]),
            ({"pop": {"list": "-1"}}, "list", ["b", "a"]),
            ({"add_to_set": {"list": ["b", "z"]}}, "list", ["a", "b", "a", "z"]),
            ({"list": {"1": "x"}}, "list", ["a", "x", "a"]),
        ],
    )
    def test_values_and_special_operators(self, rest, alice, change, field, value):
        hers = rest("alice")
        record = make(hers, reason="spam", count=5, list=["a", "b", "a"])
        answer = hers("PUT", f"data/UserReports/{record['_id']}", json=change)
        assert answer.json()[field] == value
        (stored,) = hers("GET", f"data/UserReports/{record['_id']}").json()["items"]
        assert stored == answer.json()

    @pytest.mark.parametrize(
        "change", [{"inc": {"reason": 1}}, {"list": {"9": 1}}, {"permissions": 1}]
    )
    def test_an_impossible_change_is_refused(self, rest, alice, change):
        hers = rest("alice")
        record = make(hers, reason="spam", list=[1])
        answer = hers("PUT", f"data/UserReports/{record['_id']}", json=change)
        assert answer.status_code == 422

    def test_ids_and_owners_cannot_be_changed(self, rest, alice):
        hers = rest("alice")
        record = make(hers, reason="x", _id="mine", user_id=5)
        changed = hers("PUT", f"data/UserReports/{record['_id']}", json={"_id": "y", "user_id": 9})
        assert (changed.json()["_id"], changed.json()["user_id"]) == (record["_id"], alice)

    def test_several_at_once(self, rest, alice):
        hers = rest("alice")
        body = {"record": {"0": {"age": 1}, "1": {"age": 2}}}
        made = hers("POST", "data/profile/multi", json=body).json()["items"]
        ids = [item["_id"] for item in made]
        body = {"record": {"1": {"id": ids[0], "age": 9}, "2": {"id": "f" * 24, "age": 9}}}
        changed = hers("PUT", "data/profile/multi", json=body).json()
        assert [item["age"] for item in changed["items"]] == [9]
        assert changed["not_found"] == {"ids": ["f" * 24]}
        body = {"search_criteria": {"age": {"lt": 5}}, "job": "none"}
        matched = hers("PUT", "data/profile/by_criteria", json=body).json()
        assert [(item["age"], item["job"]) for item in matched["items"]] == [(2, "none")]
        assert hers("DELETE", "data/profile/by_criteria?age[gte]=9").json() == {"total_deleted": 1}
        assert hers("DELETE", "data/profile/by_criteria").status_code == 422

    @pytest.mark.parametrize(
        ("criteria", "deleted"),
        [
            ({"age": 1}, 1),
            ({"age": {"gte": 2}}, 2),
            ({"age": {"in": [1, 3]}}, 2),
            ({"job": "x"}, 0),
        ],
    )
    def test_criteria_of_a_deletion_may_be_in_the_body(self, rest, alice, criteria, deleted):
        hers = rest("alice")
        for age in (1, 2, 3):
            hers("POST", "data/profile", json={"age": age})
        answer = hers("DELETE", "data/profile/by_criteria", json=criteria)
        assert answer.json() == {"total_deleted": deleted}

    def test_a_deleted_record_takes_its_children_along(self, rest, alice):
        hers = rest("alice")
        parent = make(hers, reason="x")["_id"]
        child = make(hers, reason="y", _parent_id=parent)["_id"]
        answer = hers("DELETE", f"data/UserReports/{parent},{child}").json()
        assert answer["SuccessfullyDeleted"] == {"ids": [parent, child]}
        assert hers("GET", f"data/UserReports/{child}").status_code == 404


class TestPermissions:
    def test_only_the_owner_changes_and_deletes_by_default(self, rest, alice, bob):
        record = make(rest("alice"), reason="x")
        his, path = rest("bob"), f"data/UserReports/{record['_id']}"
        assert his("PUT", path, json={"reason": "y"}).status_code == 403
        assert his("DELETE", path).status_code == 403

    def test_a_record_can_be_for_its_owner_users_or_groups(self, emulator, rest, alice, bob):
        emulator.add_user("officer", "secret", tag_list="officers")
        hers, his, officers = rest("alice"), rest("bob"), rest("officer")
        permissions = {
            "read": {"access": "owner"},
            "update": {"access": "open_for_users_ids", "ids": [str(bob)]},
            "delete": {"access": "open_for_groups", "groups": ["officers"]},
        }
        record = make(hers, reason="x", permissions=permissions)
        path = f"data/UserReports/{record['_id']}"
        assert his("GET", path).status_code == 403
        assert his("GET", "data/UserReports").json()["items"] == []
        seen = hers("GET", f"{path}?permissions=1").json()
        assert seen["permissions"]["update"]["users_ids"] == [str(bob)]
        assert officers("PUT", path, json={"reason": "y"}).status_code == 403
        assert his("PUT", path, json={"reason": "y"}).status_code == 200
        assert his("DELETE", path).status_code == 403
        assert officers("DELETE", path).status_code == 200

    def test_only_the_owner_sees_the_permissions(self, rest, alice, bob):
        record = make(rest("alice"), reason="x")
        path = f"data/UserReports/{record['_id']}?permissions=1"
        assert rest("bob")("GET", path).status_code == 403

    @pytest.mark.parametrize(
        "permissions",
        ["open", {"fly": {"access": "open"}}, {"read": {"access": "none"}}, {"read": "open"}],
    )
    def test_wrong_permissions_are_refused(self, rest, alice, permissions):
        answer = rest("alice")("POST", "data/profile", json={"permissions": permissions})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["permissions"])


class TestDeletion:
    def test_one_has_an_empty_answer_and_several_three_lists(self, rest, alice, bob):
        hers, his = rest("alice"), rest("bob")
        one, two = make(hers)["_id"], make(hers)["_id"]
        theirs, none = make(his)["_id"], "f" * 24
        assert hers("DELETE", f"data/UserReports/{one}").content == b""
        assert hers("DELETE", f"data/UserReports/{one}").status_code == 404
        assert hers("DELETE", f"data/UserReports/{two},{theirs},{none}").json() == {
            "SuccessfullyDeleted": {"ids": [two]},
            "WrongPermissions": {"ids": [theirs]},
            "NotFound": {"ids": [none]},
        }

    def test_children_go_with_their_parent_also_in_a_circle(self, rest, alice):
        hers = rest("alice")
        parent = make(hers, "Parent")
        child = make(hers, "Child", _parent_id=parent["_id"])
        found = hers("GET", f"data/Child?_parent_id={parent['_id']}").json()["items"]
        assert [item["_id"] for item in found] == [child["_id"]]
        hers("PUT", f"data/Parent/{parent['_id']}", json={"_parent_id": child["_id"]})
        assert hers("DELETE", f"data/Parent/{parent['_id']}").status_code == 200
        assert hers("GET", f"data/Child/{child['_id']}").status_code == 404


@pytest.mark.parametrize("index", ["1", "x", "-1", "9" * 5000])
def test_an_element_of_an_array_is_changed_by_its_number(rest, alice, index):
    hers = rest("alice")
    made = make(hers, "profile", tags=["a"])
    answer = hers("PUT", f"data/profile/{made['_id']}", json={"tags": {index: "b"}})
    assert answer.status_code == 422, answer.text
    answer = hers("PUT", f"data/profile/{made['_id']}", json={"tags": {"0": "b"}})
    assert answer.json()["tags"] == ["b"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "data/9class", {}, 404),
        ("POST", "data/profile/multi", {"record": {"0": 1}}, 422),
        ("PUT", "data/profile/multi", {"record": {"1": {"age": 1}}}, 422),
        ("PUT", f"data/profile/{'f' * 24}", {}, 404),
        ("PUT", "data/profile/by_criteria", {"age": 1}, 422),
    ],
)
def test_bad_requests_get_a_clear_error(rest, alice, method, path, body, status):
    answer = rest("alice")(method, path, json=body)
    assert (answer.status_code, bool(answer.json()["errors"])) == (status, True)
