//! What has to be known after a restart, as bytes. Pure.

use std::collections::BTreeMap;

use super::Condition;
use super::track::{Run, Track};
use crate::bytes::{Malformed, Reader, put, zigzag};
use crate::fleet::{Severity, State};
use crate::time::Timestamp;

const VERSION: u8 = 1;

/// What was said of the fleet and of the hosts that were not well lately, and what they have shown since: what
/// [`Alarms`](super::Alarms) need to go on after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(super) fleet: Track,
    pub(super) hosts: BTreeMap<Box<str>, Track>,
}

/// Why bytes are no [`Standing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StandingError {
    /// They were written in another way.
    #[error("alarms of version {found}, only {known} is known: use the release of skewgate that wrote them", known = VERSION)]
    Version {
        /// Which version they say.
        found: u8,
    },
    /// They end too early, or too late.
    #[error("alarms that end in the middle of a value, or after the last")]
    Length,
    /// There is a value that is none.
    #[error("alarms with an invalid value at byte {at}")]
    Invalid {
        /// Where it begins.
        at: usize,
    },
}

impl From<Malformed> for StandingError {
    fn from(error: Malformed) -> Self {
        match error {
            Malformed::TooShort => Self::Length,
            Malformed::Invalid { at } => Self::Invalid { at },
        }
    }
}

/// What there is to be said, in the order of their bytes.
const CONDITIONS: [Condition; 12] = [
    Condition::Host(State::Unreachable),
    Condition::Host(State::Rejected),
    Condition::Host(State::Skewed),
    Condition::Host(State::Unsynchronised),
    Condition::Host(State::Inconclusive),
    Condition::Host(State::ForeignReference),
    Condition::Host(State::ReferenceUnknown),
    Condition::Host(State::InSync),
    Condition::Removed,
    Condition::Measured,
    Condition::NoReference,
    Condition::SweepFailed,
];

impl Standing {
    /// To be kept: about 50 bytes and its name for each host that was not well lately.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        track_into(&mut bytes, &self.fleet);
        put(&mut bytes, number(self.hosts.len()));
        for (host, track) in &self.hosts {
            put(&mut bytes, number(host.len()));
            bytes.extend(host.as_bytes());
            track_into(&mut bytes, track);
        }
        bytes
    }

    /// From what was kept.
    ///
    /// # Errors
    ///
    /// [`StandingError`] where [`to_bytes`](Self::to_bytes) gives these bytes for nothing.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StandingError> {
        let mut rest = Reader::new(bytes);
        let [version] = rest.take()?;
        if version != VERSION {
            return Err(StandingError::Version { found: version });
        }
        let fleet = track(&mut rest)?;
        let mut hosts: BTreeMap<Box<str>, Track> = BTreeMap::new();
        for _ in 0..rest.integer()? {
            let at = rest.at;
            let length = usize::try_from(rest.integer()?).map_err(|_| StandingError::Invalid { at })?;
            let name = std::str::from_utf8(rest.slice(length)?);
            let name = name.map_err(|_| StandingError::Invalid { at })?;
            let in_order = hosts.last_key_value().is_none_or(|(last, _)| **last < *name);
            if !in_order {
                return Err(StandingError::Invalid { at });
            }
            let track = track(&mut rest)?;
            hosts.insert(name.into(), track);
        }
        if rest.left() > 0 {
            return Err(StandingError::Length);
        }
        Ok(Self { fleet, hosts })
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn track_into(bytes: &mut Vec<u8>, track: &Track) {
    bytes.push(track.said as u8);
    condition_into(bytes, track.condition);
    bytes.extend(track.since.as_unix_nanos().to_le_bytes());
    for run in track.runs {
        put(bytes, zigzag(run.count.into()));
        bytes.extend(run.since.as_unix_nanos().to_le_bytes());
    }
    for condition in track.latest {
        condition_into(bytes, condition);
    }
    bytes.push(track.relapses);
    // Zero for none.
    put(bytes, track.calm.map_or(0, |calm| u64::from(calm) + 1));
}

fn condition_into(bytes: &mut Vec<u8>, condition: Condition) {
    let place = CONDITIONS.iter().position(|known| *known == condition);
    bytes.push(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX));
}

fn track(rest: &mut Reader<'_>) -> Result<Track, Malformed> {
    let at = rest.at;
    let [said] = rest.take()?;
    let said = *Severity::ALL.get(usize::from(said)).ok_or(Malformed::Invalid { at })?;
    let condition = condition(rest)?;
    let mut track = Track { said, since: time(rest)?, ..Track::new(condition) };
    for run in &mut track.runs {
        let at = rest.at;
        let count = i32::try_from(rest.signed()?).ok().filter(|count| *count > i32::MIN);
        *run = Run { count: count.ok_or(Malformed::Invalid { at })?, since: time(rest)? };
    }
    for latest in &mut track.latest {
        *latest = self::condition(rest)?;
    }
    [track.relapses] = rest.take()?;
    let at = rest.at;
    track.calm = match rest.integer()? {
        0 => None,
        calm => Some(u32::try_from(calm - 1).map_err(|_| Malformed::Invalid { at })?),
    };
    Ok(track)
}

fn condition(rest: &mut Reader<'_>) -> Result<Condition, Malformed> {
    let at = rest.at;
    let [place] = rest.take()?;
    CONDITIONS.get(usize::from(place)).copied().ok_or(Malformed::Invalid { at })
}

fn time(rest: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    Ok(Timestamp::from_unix_nanos(i64::from_le_bytes(rest.take()?)))
}
