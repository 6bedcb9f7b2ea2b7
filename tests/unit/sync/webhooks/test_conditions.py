"""Conditions, secrets and events that cannot work are refused with what would be right."""

import pytest

from predictq.push.conditions import Condition
from predictq.push.secrets import check_secret, new_secret


@pytest.mark.parametrize(
    ("text", "output", "holds"),
    [
        ("output > 5", 7.5, True),
        ("output > 5", 5, False),
        ("output = yes", "yes", True),
        ("output = true", True, True),
        ("output = 1", True, False),
        ('"output" = 1', {"output": 1}, True),
        ("output.output = 1", {"output": 1}, True),
        ('probabilities."is fraud. really" >= 0.5', {"probabilities": {"is fraud. really": 0.5}}, True),
        ("boxes.0.score >= 0.5", {"boxes": [{"score": 0.5}]}, True),
        ("boxes.1.score >= 0.5", {"boxes": [{"score": 0.5}]}, False),
        ("label = not so sure", {"label": "not so sure"}, True),
        ("label != fraud", {"label": None}, False),
        ("label = null", {"label": None}, True),
    ],
)
def test_a_condition_compares_what_its_path_leads_to(text: str, output: object, holds: bool) -> None:
    assert Condition(text).holds([output]) is holds


@pytest.mark.parametrize(
    "text", ["", "label", "label fraud", "= 1", "a..b = 1", "label >= null", "label =", "a = " + "x" * 500]
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="would be right"):
        Condition(text)


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_!!!", "whsec_aHVudGVyMg==", "whsec_" + "A" * 100])
def test_what_is_no_secret_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ValueError, match="would be right") as refused:
        check_secret(secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(refused.value)


def test_a_new_secret_is_one() -> None:
    assert check_secret(new_secret()) != new_secret()
