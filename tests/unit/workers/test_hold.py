"""A model that may take longer than the broker leaves its requests in hand is refused at start."""

from dataclasses import replace
from pathlib import Path

import pytest

from predictq.brokers import open_broker
from predictq.errors import UserMistake
from predictq_workers.service import _check_hold


def test_two_predictions_must_fit_into_the_hold(tmp_path: Path) -> None:
    guarantees = open_broker(f"sqlite:///{tmp_path}/broker.db").guarantees
    _check_hold("slow", 3600.0, guarantees)
    _check_hold("slow", 900.0, replace(guarantees, hold_seconds=1800.0))
    with pytest.raises(UserMistake, match=r"deployments\.slow\.max_predict_seconds: 901 s .* at most 900"):
        _check_hold("slow", 901.0, replace(guarantees, hold_seconds=1800.0))
