//! Kiss codes: a server's ways to say "leave me alone" (RFC 5905 §7.4).

use std::fmt;
use std::time::Duration;

use super::ReferenceId;
use crate::time::{RawInstant, SignedDuration};

/// A kiss code that a client must obey. Any other reply of stratum 0 is just an unsynchronised server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KissCode {
    /// RATE: asked too often.
    Rate,
    /// DENY: access denied by the server.
    Deny,
    /// RSTR: access denied by local policy.
    Rstr,
}

impl KissCode {
    /// The kiss code in the reference identifier of a reply of stratum 0.
    #[must_use]
    pub fn from_reference_id(id: ReferenceId) -> Option<Self> {
        match &id.to_bytes() {
            b"RATE" => Some(Self::Rate),
            b"DENY" => Some(Self::Deny),
            b"RSTR" => Some(Self::Rstr),
            _ => None,
        }
    }

    /// What the server wants.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Rate => "it is asked too often, ask more rarely",
            Self::Deny | Self::Rstr => {
                "it refuses to serve this host, ask its operator or use another source"
            }
        }
    }
}

impl fmt::Display for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rate => "RATE",
            Self::Deny => "DENY",
            Self::Rstr => "RSTR",
        })
    }
}

/// How long a source that sent a kiss is left alone.
///
/// Never for good: kisses are not authenticated, and whoever could silence a source for ever with one forged
/// packet would. RATE doubles the interval, up to half of the time that an estimate may live; DENY and RSTR
/// rest for an hour, doubling up to a day.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    resting: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    kiss: KissCode,
    length: Duration,
    until: RawInstant,
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl Backoff {
    /// The kiss to obey now, if there is one.
    pub(crate) fn obeyed(&self, now: RawInstant) -> Option<KissCode> {
        self.resting.filter(|rest| now < rest.until).map(|rest| rest.kiss)
    }

    /// What the source answered when it was asked at last: a kiss, something else, or nothing. A server that is told to ask
    /// more rarely is often silent for a while: only an answer makes it forgotten how long the last rest was.
    pub(crate) fn note(
        &mut self,
        kiss: Option<KissCode>,
        answered: bool,
        now: RawInstant,
        interval: Duration,
        max_age: Duration,
    ) {
        if kiss.is_none() && !answered {
            return;
        }
        let before = self.resting.map(|rest| rest.length);
        self.resting = kiss.map(|kiss| {
            let length = match kiss {
                KissCode::Rate => before.unwrap_or(interval).saturating_mul(2).min(max_age / 2),
                KissCode::Deny | KissCode::Rstr => {
                    before.map_or(HOUR, |length| (length.max(HOUR / 2) * 2).min(DAY))
                }
            };
            Rest { kiss, length, until: now + SignedDuration::from(length) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rests that a source earns by sending the same kiss each time that it is asked, in seconds.
    fn rests(kiss: KissCode, count: usize) -> Vec<i64> {
        let (mut now, mut backoff, mut rests) = (RawInstant::from_nanos(0), Backoff::default(), Vec::new());
        for _ in 0..count {
            backoff.note(Some(kiss), true, now, Duration::from_secs(600), DAY);
            let start = now;
            while backoff.obeyed(now).is_some() {
                now = now + SignedDuration::from_secs(60);
            }
            rests.push((now - start).as_nanos() / 1_000_000_000);
        }
        rests
    }

    #[test]
    fn rate_doubles_up_to_half_of_an_estimates_life() {
        assert_eq!(rests(KissCode::Rate, 8), [1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 43_200, 43_200]);
    }

    #[test]
    fn deny_rests_an_hour_doubling_to_a_day_and_never_for_good() {
        assert_eq!(rests(KissCode::Deny, 7), [3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 86_400]);
        assert_eq!(rests(KissCode::Rstr, 2), [3_600, 7_200]);
    }

    #[test]
    fn an_answer_ends_the_rest() {
        let now = RawInstant::from_nanos(0);
        let mut backoff = Backoff::default();
        backoff.note(Some(KissCode::Rate), true, now, HOUR, DAY);
        assert_eq!(backoff.obeyed(now), Some(KissCode::Rate));
        backoff.note(None, true, now, HOUR, DAY);
        assert_eq!(backoff.obeyed(now), None);
        backoff.note(Some(KissCode::Rate), true, now, HOUR, DAY);
        let after = |hours| now + SignedDuration::from(HOUR * hours);
        assert_eq!((backoff.obeyed(after(1)).is_some(), backoff.obeyed(after(2))), (true, None));
    }

    #[test]
    fn silence_is_no_rest_and_forgets_none() {
        let after = |hours| RawInstant::from_nanos(0) + SignedDuration::from(HOUR * hours);
        let mut backoff = Backoff::default();
        backoff.note(Some(KissCode::Rate), true, after(0), HOUR, DAY);
        backoff.note(None, false, after(2), HOUR, DAY);
        assert_eq!(backoff.obeyed(after(2)), None, "it is asked again as usual");
        backoff.note(Some(KissCode::Rate), true, after(3), HOUR, DAY);
        assert_eq!((backoff.obeyed(after(6)).is_some(), backoff.obeyed(after(7))), (true, None));
    }
}
