"""Moments and spans of time, as people write and read them."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from invalidations_cli.output import Duration, Moment, clock, now, stamp, took


def read(text: str, *, end: bool = False) -> datetime:
    return Moment(end=end).convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T06:30", datetime(2026, 11, 23, 6, 30, tzinfo=UTC)),
        ("2026-11-23 06:30:01Z", datetime(2026, 11, 23, 6, 30, 1, tzinfo=UTC)),
        ("2026-11-23T06:30+02:00", datetime(2026, 11, 23, 4, 30, tzinfo=UTC)),
    ],
)
def test_dates_and_times_are_utc_unless_they_say_otherwise(text: str, moment: datetime) -> None:
    assert read(text) == moment


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_span_counts_back_from_now(text: str, ago: timedelta) -> None:
    assert abs(now() - ago - read(text)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("1.5", 1.5), ("90s", 90), ("15m", 900), ("24 h", 86_400), ("7d", 604_800)],
)
def test_a_duration_is_written_as_a_span_is_and_a_number_alone_is_in_seconds(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "m", "15 min", "nan", "1h30m"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no time such as 90, 15m, 24h or 7d"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "1e300", "2h", "999999w"])
def test_a_duration_beyond_its_limits_is_refused_with_them(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not between 1 s and 1 h"):
        Duration(least=1, longest=3_600).convert(text, None, None)


def test_a_number_alone_has_a_unit_where_one_is_documented() -> None:
    ago = now() - Moment(alone="m").convert("90", None, None)
    assert abs(ago - timedelta(minutes=90)) < timedelta(seconds=5)
    with pytest.raises(click.BadParameter, match="neither a date or time"):
        Moment(alone="m").convert("-90", None, None)


def test_a_day_as_an_end_means_all_of_it() -> None:
    assert read("2026-11-23", end=True) == datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC)
    assert read("2026-11-23T06:00", end=True) == datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "7", "7y", "-7d", "999999w", "9999999999d"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a date or time such as 2026-11-23"):
        read(text)


def test_moments_are_shown_in_utc() -> None:
    moment = datetime(2026, 11, 23, 6, 27, 19, 456_789, timezone(timedelta(hours=1)))
    assert stamp(moment) == "2026-11-23 05:27:19"
    assert clock(moment) == "05:27:19.4"
    assert stamp(None) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-0.4, "0 s"),
        (0.04, "0 s"),
        (0.34, "0.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_have_as_much_detail_as_helps(seconds: float | None, text: str) -> None:
    assert took(seconds) == text
