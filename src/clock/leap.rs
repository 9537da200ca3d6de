//! Leap seconds: those that are announced, and those that are smeared.
//!
//! They come at the end of a UTC month, preferably of June or December (ITU-R TF.460), and UTC counts a second more or
//! less from then on. Servers that follow UTC announce them in their leap indicator. Servers that smear don't: their
//! time passes from the old count to the new one in some hours around.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

use super::estimate::Vote;
use super::{Leap, MaxDrift, NoEstimate};
use crate::time::{SignedDuration, Timestamp};

pub(super) const LEAP_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A smear begins no earlier than this before the end of a month, and is over this long after: a day, and a second
/// because what is compared with it may be of the old count or of the new one.
const SMEAR_REACH: SignedDuration = SignedDuration::from_secs(86_401);

/// When the leap second comes that a truechimer announces: at the end of the month in which the first of their samples
/// was taken. One is enough: the price is a second of width for a moment, and a majority that forgot to announce would
/// otherwise be a second wrong.
///
/// Fails where one of the samples may lie beyond it, or within a second of it (that is where a deleted second counts): a
/// sample can't be carried across a leap second. Falsetickers have no say, or one of them could spoil every round of a
/// month with a leap second.
pub(super) fn announced(truechimers: &[&Vote], max_drift: MaxDrift) -> Result<Option<Timestamp>, NoEstimate> {
    if !truechimers.iter().any(|vote| matches!(vote.leap, Leap::Insert | Leap::Delete)) {
        return Ok(None);
    }
    let leap = truechimers.iter().map(|vote| vote.earliest(max_drift)).min().and_then(end_of_month);
    let across = |leap: Timestamp| truechimers.iter().any(|vote| vote.latest() >= leap - LEAP_SECOND);
    if leap.is_some_and(across) { Err(NoEstimate::AcrossLeapSecond) } else { Ok(leap) }
}

/// True where a smear may be under way at some time from `earliest` to `latest`.
///
/// The end of every month counts. All leap seconds so far came in June and December, but TF.460 allows every month,
/// and a bound must be true under what is allowed. It costs a second of width for two days a month.
pub(super) fn is_near_month_end(earliest: Timestamp, latest: Timestamp) -> bool {
    // The nanosecond: an end that lies right there counts too.
    let from = earliest - SMEAR_REACH - SignedDuration::from_nanos(1);
    end_of_month(from).is_none_or(|end| end <= latest + SMEAR_REACH)
}

/// The next time after `time` at which a smear may begin.
pub(super) fn next_near_month_end(time: Timestamp) -> Option<Timestamp> {
    end_of_month(time + SMEAR_REACH).map(|end| end - SMEAR_REACH)
}

/// The first instant of the next UTC month: leap seconds come right before it (RFC 5905 §7.3). `None` where that is
/// beyond what a timestamp holds.
fn end_of_month(time: Timestamp) -> Option<Timestamp> {
    let date = DateTime::<Utc>::from(time).date_naive();
    let first = NaiveDate::from_ymd_opt(date.year(), date.month(), 1)?;
    let next = first.checked_add_months(Months::new(1))?;
    Timestamp::try_from(next.and_hms_opt(0, 0, 0)?.and_utc()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_on_both_sides_of_a_months_end_may_be_smeared() {
        for (time, near) in [
            ("2026-11-28T23:59:58.999Z", false),
            ("2026-11-29T23:59:58.999Z", false),
            ("2026-11-29T23:59:59Z", true),
            ("2026-11-30T12:00:00Z", true),
            ("2026-12-01T00:00:00Z", true),
            ("2026-12-02T00:00:01Z", true),
            ("2026-12-02T00:00:01.001Z", false),
            ("2026-12-16T00:00:00Z", false),
            ("2028-02-28T12:00:00Z", false),
            ("2028-02-29T12:00:00Z", true),
            ("2027-02-28T12:00:00Z", true),
        ] {
            assert_eq!(is_near_month_end(at(time), at(time)), near, "{time}");
        }
        // What lies around the two days touches them.
        assert!(is_near_month_end(at("2026-11-20T00:00:00Z"), at("2026-12-10T00:00:00Z")));
        assert!(!is_near_month_end(at("2026-12-03T00:00:00Z"), at("2026-12-30T00:00:00Z")));
    }

    #[test]
    fn the_next_smear_begins_a_day_before_a_month_ends() {
        for (time, next) in [
            ("2026-11-22T12:00:00Z", "2026-11-29T23:59:59Z"),
            ("2026-11-29T23:59:58Z", "2026-11-29T23:59:59Z"),
            ("2026-11-29T23:59:59Z", "2026-12-30T23:59:59Z"),
            ("2026-12-01T12:00:00Z", "2026-12-30T23:59:59Z"),
        ] {
            assert_eq!(next_near_month_end(at(time)), Some(at(next)), "{time}");
        }
    }
}
