//! What a server says that does as it is told.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::service::SERVER;
use crate::clock::Leap;
use crate::ntp::packet::{Header, ReferenceId, WireTimestamp};
use crate::time::{SignedDuration, Timestamp};

/// What a scripted [`Responder`](super::Responder) answers. The default is an honest server of stratum 2.
#[derive(Clone, Debug)]
pub struct Script {
    /// How far its clock is ahead of this host's at the start.
    pub offset: SignedDuration,
    /// How much faster its clock runs, in parts per million: microseconds a second.
    pub drift_ppm: i32,
    /// How long it holds a request.
    pub hold: Duration,
    /// Of so many requests one is lost, which ones is the same in each run; `None`: none.
    pub lose_one_in: Option<NonZeroU32>,
    /// The leap indicator.
    pub leap: Leap,
    /// The stratum.
    pub stratum: u8,
    /// The reference identifier.
    pub reference_id: ReferenceId,
    /// The root delay.
    pub root_delay: Duration,
    /// The root dispersion.
    pub root_dispersion: Duration,
    /// Turns the finished reply into the datagrams that are sent in its place: none, another, several.
    pub rewrite: Rewrite,
}

/// What is done to a reply before it is sent.
#[derive(Clone, Default)]
pub enum Rewrite {
    /// It goes out as it is.
    #[default]
    Nothing,
    /// Nothing is sent.
    Silence,
    /// These datagrams are sent in its place; the number says how many requests came before.
    With(Arc<dyn Fn(Header, u32) -> Vec<Vec<u8>> + Send + Sync>),
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Silence => "Silence",
            Self::With(_) => "With(..)",
        })
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            offset: SignedDuration::ZERO,
            drift_ppm: 0,
            hold: Duration::ZERO,
            lose_one_in: None,
            leap: Leap::None,
            stratum: 2,
            reference_id: ReferenceId::from_bytes([192, 0, 2, 1]),
            root_delay: Duration::from_micros(500),
            root_dispersion: Duration::from_micros(500),
            rewrite: Rewrite::Nothing,
        }
    }
}

impl Script {
    /// Right in everything but the time: ahead by `offset`.
    #[must_use]
    pub fn ahead_by(offset: SignedDuration) -> Self {
        Self { offset, ..Self::default() }
    }

    /// Never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self { rewrite: Rewrite::Silence, ..Self::default() }
    }

    /// Answers what `rewrite` makes of each honest reply and of the number of requests before.
    #[must_use]
    pub fn rewriting(rewrite: impl Fn(Header, u32) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { rewrite: Rewrite::With(Arc::new(rewrite)), ..Self::default() }
    }

    /// What its clock shows when this host's shows `time`, `running` after the start.
    pub(super) fn shows(&self, time: Timestamp, running: SignedDuration) -> Timestamp {
        let drift = i128::from(running.as_nanos()) * i128::from(self.drift_ppm) / 1_000_000;
        let drift = i64::try_from(drift).unwrap_or(if drift < 0 { i64::MIN } else { i64::MAX });
        time + self.offset + SignedDuration::from_nanos(drift)
    }

    /// Whether the request after so many others gets lost. Scattered like chance, and repeatable.
    pub(super) fn loses(&self, before: u32) -> bool {
        self.lose_one_in.is_some_and(|one_in| splitmix(before.into()).is_multiple_of(one_in.get().into()))
    }

    pub(super) fn reply(&self, request: &Header, received: Timestamp, sent: Timestamp) -> Header {
        Header {
            leap: self.leap,
            version: request.version,
            mode: SERVER,
            stratum: self.stratum,
            poll: request.poll,
            precision: -23,
            root_delay: self.root_delay,
            root_dispersion: self.root_dispersion,
            reference_id: self.reference_id,
            reference: WireTimestamp::from_timestamp(received - SignedDuration::from_secs(16)),
            origin: request.transmit,
            receive: WireTimestamp::from_timestamp(received),
            transmit: WireTimestamp::from_timestamp(sent),
        }
    }

    /// What is sent in place of this reply.
    pub(super) fn datagrams(&self, reply: Header, before: u32) -> Vec<Vec<u8>> {
        match &self.rewrite {
            _ if self.loses(before) => Vec::new(),
            Rewrite::Nothing => vec![reply.to_bytes().to_vec()],
            Rewrite::Silence => Vec::new(),
            Rewrite::With(rewrite) => rewrite(reply, before),
        }
    }
}

/// SplitMix64's output function.
const fn splitmix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drifting_clock_gains_its_drift_on_top_of_its_offset() {
        let script = Script { drift_ppm: -50, ..Script::ahead_by(SignedDuration::from_secs(3)) };
        let now = Timestamp::from_unix_nanos(1_793_491_200_000_000_000);
        let hour = SignedDuration::from_secs(3_600);
        assert_eq!(script.shows(now, SignedDuration::ZERO) - now, SignedDuration::from_secs(3));
        assert_eq!(script.shows(now, hour) - now, SignedDuration::from_millis(2_820));
    }

    #[test]
    fn about_one_in_so_many_is_lost_and_the_same_ones_each_time() {
        let script = Script { lose_one_in: NonZeroU32::new(4), ..Script::default() };
        let lost: Vec<u32> = (0..10_000).filter(|&before| script.loses(before)).collect();
        assert!((2_300..2_700).contains(&lost.len()), "{}", lost.len());
        assert!(lost.iter().any(|before| before % 4 != lost[0] % 4), "scattered");
        assert!((0..100).all(|before| !Script::default().loses(before)));
        let all = Script { lose_one_in: NonZeroU32::new(1), ..Script::default() };
        assert!((0..100).all(|before| all.loses(before)));
    }
}
