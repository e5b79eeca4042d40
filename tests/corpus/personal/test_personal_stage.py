# ruff: noqa: E501 (tables of values)
"""The stage: what it writes, what it counts, and that no raw value leaves it."""

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus.personal import PersonalData, find_personal_data
from lilliput.corpus.registry import _OWN_STAGES
from lilliput.corpus.stages import Outcome
from lilliput.errors import UserError

VALUES = [
    "jane.doe@acme.com", "bob at acme dot org", "+49 30 901820", "(415) 867-5309", "tel 030/1234567",
    "DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "4111 1111 1111 1111", "219-09-9998",
    "54362315K", "880320-0016", "BSN 111222333", "PESEL 44051401359", "131052-308T",
    "RCCMNL83S18D969H", "81.2.69.142", "2a00:1450:4001:81b::200e", "3c:22:fb:aa:01:9f",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "0x52908400098527886e0f7030069857d2e4169ee7", "AKIAIOSFODNN7ABCDEFG", "password=hunter2",
    "https://bob:s3cret@acme.com/x", "born on 3 March 1985", "DOB: 03/04/85", "born 1970-11-12",
    "GPS: 52.52001, 13.40495", "+44 (0)20 7946 1958", "Tél. : 06 14 06 33 21", "+33 6 12 34 56 78",
]  # fmt: skip
EDITS = ("placeholder", "consistent")


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LILLIPUT_PERSONAL_DATA_SECRET", "correct horse battery staple")


def batch_of(*texts: str) -> pa.RecordBatch:
    count = len(texts)
    return pa.RecordBatch.from_pydict(
        {"id": [str(n) for n in range(count)], "text": list(texts), "source": ["s"] * count}
    )


def texts_after(outcome: Outcome) -> list[str]:
    texts: list[str] = outcome.batch.column("text").to_pylist()
    return texts


def test_the_registry_names_the_stage() -> None:
    assert _OWN_STAGES["personal_data"] == f"{PersonalData.__module__}:PersonalData"


def test_placeholders_are_typed() -> None:
    outcome = PersonalData()(batch_of("I am jane@acme.com, 219-09-9998.", "Nothing here."))
    assert texts_after(outcome) == ["I am [EMAIL], [NATIONAL_ID].", "Nothing here."]
    assert outcome.counts == {
        "e-mail addresses": 1,
        "national identifiers (US SSN)": 1,
        "documents with personal data": 1,
    }


def test_placeholders_can_be_chosen() -> None:
    stage = PersonalData(placeholder="<{kind}>", placeholders=("email=email@example.com",))
    outcome = stage(batch_of("jane@acme.com 219-09-9998"))
    assert texts_after(outcome) == ["email@example.com <national_id>"]


def test_only_the_chosen_kinds_are_looked_for() -> None:
    outcome = PersonalData(kinds=("email",))(batch_of("jane@acme.com 219-09-9998"))
    assert texts_after(outcome) == ["[EMAIL] 219-09-9998"]


def test_equal_values_get_equal_fakes_and_others_do_not() -> None:
    stage = PersonalData(action="consistent")
    text = "jane@acme.com JANE@acme.com joe@acme.com 4111 1111 1111 1111 4111111111111111"
    jane, again, joe, *card, card_again = texts_after(stage(batch_of(text)))[0].split()
    assert jane == again != joe
    assert jane.partition("@")[2] == joe.partition("@")[2]
    assert "".join(card) == card_again != "4111111111111111"


def test_the_secret_decides_the_fakes(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("another secret, long enough\n", encoding="utf-8")
    batch = batch_of("jane@acme.com")
    ours = texts_after(PersonalData(action="consistent")(batch))
    other = PersonalData(action="consistent", secret_file=str(tmp_path / "secret"))
    assert texts_after(other(batch)) != ours
    assert texts_after(other(batch)) == texts_after(pickle.loads(pickle.dumps(other))(batch))


@pytest.mark.parametrize("value", VALUES)
def test_a_fake_keeps_the_form_and_is_not_found_again(value: str) -> None:
    text = f"See {value} now"
    (after,) = texts_after(PersonalData(action="consistent")(batch_of(text)))
    (before,) = find_personal_data(text)
    assert text[before.start : before.end] not in after
    assert "[" not in after, "a fake fell back to a placeholder"
    assert not find_personal_data(after)


def test_drop_leaves_out_only_what_holds_too_much() -> None:
    texts = "a1@acme.com a2@acme.com a3@acme.com", "only a1@acme.com", "nothing"
    outcome = PersonalData(action="drop", most=1, column=True)(batch_of(*texts))
    assert texts_after(outcome) == ["only [EMAIL]", "nothing"]
    assert [(one.row, one.rule, one.detail) for one in outcome.dropped] == [
        (0, "personal_data", "3 of email")
    ]
    assert outcome.batch.column("personal_data").to_pylist() == ['{"email": 1}', "{}"]


def test_count_changes_nothing() -> None:
    batch = batch_of("a1@acme.com 219-09-9998")
    outcome = PersonalData(action="count", column=True)(batch)
    assert texts_after(outcome) == batch.column("text").to_pylist()
    assert json.loads(outcome.batch.column("personal_data")[0].as_py()) == {
        "email": 1,
        "national_id": 1,
    }


@pytest.mark.parametrize("action", ["placeholder", "consistent", "drop", "count"])
def test_no_raw_value_reaches_a_report(action: str) -> None:
    texts = [f"See {value} now" for value in VALUES]
    outcome = PersonalData(action=action)(batch_of(*texts))
    shown = repr((outcome.dropped, outcome.counts, outcome.examples))
    assert outcome.examples or outcome.dropped
    for text in texts:
        for one in find_personal_data(text):
            value = text[one.start : one.end]
            assert value not in shown
            assert "".join(filter(str.isalnum, value)) not in shown


def test_what_a_replaced_value_sets_free_goes_too() -> None:
    (after,) = texts_after(
        PersonalData()(batch_of("https://bob:s3cret@acme.com joe@acme.com@x.org"))
    )
    assert not find_personal_data(after)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(st.sampled_from(VALUES), st.text(max_size=12), st.sampled_from(" \n,-@")),
        max_size=12,
    ),
    action=st.sampled_from(EDITS),
)  # fmt: skip
def test_a_second_pass_finds_nothing(pieces: list[str], action: str) -> None:
    text = "".join(pieces).encode("utf-8", "ignore").decode()
    stage = PersonalData(action=action)
    first = stage(batch_of(text))
    (after,) = texts_after(first)
    assert after.encode().decode() == after
    second = stage(first.batch)
    assert texts_after(second) == [after]
    assert second.counts == {}
    if not find_personal_data(text):
        assert after == text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kinds": ("mail",)}, "kinds: no 'mail'"),
        ({"countries": ("XX",)}, "countries: no 'XX'"),
        ({"action": "hide"}, "action: no 'hide'"),
        ({"most": -1}, "most"),
        ({"placeholder": "a@b.org"}, "itself be found"),
        ({"placeholders": ("mail=x",)}, "no kind mail"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PersonalData(**wrong)  # type: ignore[arg-type]


def test_fakes_need_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lilliput.corpus.personal.stage import _secret

    _secret.cache_clear()
    monkeypatch.delenv("LILLIPUT_PERSONAL_DATA_SECRET")
    with pytest.raises(UserError, match="need a secret"):
        PersonalData(action="consistent")(batch_of("x"))
    with pytest.raises(UserError, match="cannot read"):
        PersonalData(action="consistent", secret_file=str(tmp_path / "none"))(batch_of("x"))
