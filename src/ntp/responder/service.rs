//! What an honest server answers, and whom. Pure: it is told the time and the sender, and returns what to do.

use std::net::SocketAddr;
use std::time::Duration;

use super::access::AllowList;
use super::rate::{Limiter, RateLimit, Ruling};
use crate::clock::Leap;
use crate::ntp::packet::{Header, ReferenceId, WireTimestamp};
use crate::time::{LocalClock, RawInstant, Timestamp};

/// How a production [`Responder`](super::Responder) serves this host's system clock. The default is safe on any network that has no
/// strangers with private addresses in it.
#[derive(Clone, Debug)]
pub struct Service {
    /// Who is answered. All others are not, in any way: to them the port looks closed by a firewall.
    pub allow: AllowList,
    /// How often each client is answered; `None`: always.
    pub rate_limit: Option<RateLimit>,
    /// What is said of the clock.
    pub announcement: Announcement,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            allow: AllowList::default(),
            rate_limit: Some(RateLimit::default()),
            announcement: Announcement::default(),
        }
    }
}

/// What a server says of its clock, beside the time.
///
/// The responder measures nothing: who sets this host's clock, and how well, is known to its operator alone. The default therefore is
/// cautious: stratum 10, so that any real server is preferred, and a root dispersion of 1 s, the most that usual clients take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    leap: Leap,
    stratum: u8,
    root_delay: Duration,
    root_dispersion: Duration,
    reference_id: ReferenceId,
}

/// As ntpd and chronyd name a server's own clock: no upstream, so that clients don't take two such servers for followers of one.
const OWN_CLOCK: [u8; 4] = [127, 127, 1, 1];

impl Announcement {
    /// A clock that is right, but for its root dispersion, at this stratum, 1 to 15; `None` for another. The reference identifier
    /// says that it follows nobody.
    #[must_use]
    pub const fn synchronised(stratum: u8) -> Option<Self> {
        // At stratum 1 it is a name, beyond it an address (RFC 5905 §7.3).
        let reference_id = match stratum {
            1 => *b"LOCL",
            2..=15 => OWN_CLOCK,
            _ => return None,
        };
        Some(Self { stratum, reference_id: ReferenceId::from_bytes(reference_id), ..CAUTIOUS })
    }

    /// A clock that nobody sets: LI 3 and stratum 0, which is how stratum 16 travels (RFC 5905 §7.3), no reference, and the greatest
    /// dispersion that there is (MAXDISP). Its time is served all the same: to read it is what a fleet's operator wants.
    #[must_use]
    pub const fn unsynchronised() -> Self {
        Self {
            leap: Leap::Unsynchronised,
            stratum: 0,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::from_secs(16),
            // No kiss code: clients would obey it.
            reference_id: ReferenceId::from_bytes([0; 4]),
        }
    }

    /// With this bound on the clock's error. Clients add it to what they measure.
    #[must_use]
    pub const fn with_root_dispersion(self, root_dispersion: Duration) -> Self {
        Self { root_dispersion, ..self }
    }

    /// With this round trip to the reference clock.
    #[must_use]
    pub const fn with_root_delay(self, root_delay: Duration) -> Self {
        Self { root_delay, ..self }
    }

    /// With the address of what sets this clock, or, at stratum 1, the name of the reference.
    #[must_use]
    pub const fn with_reference_id(self, reference_id: ReferenceId) -> Self {
        Self { reference_id, ..self }
    }

    /// With a leap second ahead, or [`Leap::Unsynchronised`].
    #[must_use]
    pub const fn with_leap(self, leap: Leap) -> Self {
        Self { leap, ..self }
    }

    /// Steps from a reference clock; 0 where unsynchronised.
    #[must_use]
    pub const fn stratum(&self) -> u8 {
        self.stratum
    }

    /// The bound on the clock's error.
    #[must_use]
    pub const fn root_dispersion(&self) -> Duration {
        self.root_dispersion
    }

    /// The reply without T3, which is put in just before it is sent.
    pub(super) fn reply(&self, request: &Header, received: Timestamp, precision: i8) -> Header {
        let received = WireTimestamp::from_timestamp(received);
        // The announced dispersion is said to hold now, so that is when the clock was last known to be right.
        let reference = if self.leap == Leap::Unsynchronised { WireTimestamp::default() } else { received };
        Header {
            leap: self.leap,
            version: request.version,
            mode: SERVER,
            stratum: self.stratum,
            poll: request.poll,
            precision,
            root_delay: self.root_delay,
            root_dispersion: self.root_dispersion,
            reference_id: self.reference_id,
            reference,
            origin: request.transmit,
            receive: received,
            transmit: WireTimestamp::default(),
        }
    }
}

const CAUTIOUS: Announcement = Announcement {
    leap: Leap::None,
    stratum: 10,
    root_delay: Duration::ZERO,
    root_dispersion: Duration::from_secs(1),
    reference_id: ReferenceId::from_bytes(OWN_CLOCK),
};

impl Default for Announcement {
    fn default() -> Self {
        CAUTIOUS
    }
}

/// "Ask more rarely" (RFC 5905 §7.4).
pub(super) fn rate_kiss(request: &Header, received: Timestamp, precision: i8) -> Header {
    Announcement::unsynchronised()
        .with_reference_id(ReferenceId::from_bytes(*b"RATE"))
        .reply(request, received, precision)
}

pub(super) const CLIENT: u8 = 3;
pub(super) const SERVER: u8 = 4;

/// What to do with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Answer this request.
    Answer(Header),
    /// Tell its sender to ask more rarely.
    Kiss(Header),
    /// Its sender asks too often, and was told.
    Limited,
    /// Its sender is not on the list.
    Denied,
    /// It is no request.
    Malformed,
}

/// Decides whom to answer.
#[derive(Debug)]
pub(super) struct Door {
    allow: AllowList,
    limiter: Option<Limiter>,
}

impl Door {
    pub(super) fn new(allow: AllowList, rate_limit: Option<RateLimit>) -> Self {
        Self { allow, limiter: rate_limit.map(Limiter::new) }
    }

    pub(super) fn judge(&mut self, datagram: &[u8], from: SocketAddr, now: RawInstant) -> Decision {
        // Who may not ask learns nothing, and takes no place in the table.
        if !self.allow.allows(from.ip()) {
            return Decision::Denied;
        }
        // Only clients are answered: two responders that answered each other would never end. Nobody can be reached at port 0.
        let request = Header::parse(datagram)
            .filter(|request| request.mode == CLIENT && matches!(request.version, 3 | 4) && from.port() != 0);
        let Some(request) = request else { return Decision::Malformed };
        match self.limiter.as_mut().map_or(Ruling::Answer, |limiter| limiter.rule(from.ip(), now)) {
            Ruling::Answer => Decision::Answer(request),
            Ruling::Kiss => Decision::Kiss(request),
            Ruling::Silence => Decision::Limited,
        }
    }
}

/// log₂ of the seconds between two readings of the clock that differ, rounded up: it is read no faster, so nobody can
/// tell times apart that are closer (RFC 5905 §7.3). The least of many: a context switch is not the clock's.
pub(super) fn measure_precision(clock: &impl LocalClock) -> i8 {
    let mut last = clock.system().realtime;
    let step = (0..64)
        .filter_map(|_| {
            let now = clock.system().realtime;
            let step = now - std::mem::replace(&mut last, now);
            u64::try_from(step.as_nanos()).ok().filter(|&nanos| nanos > 0)
        })
        .min();
    // A simulated clock may stand still; timestamps hold no less than a nanosecond.
    let step = u128::from(step.unwrap_or(1));
    // Steps of a second and more are no clock's: the RFC has no use for a positive precision.
    (-29..0_i8).find(|exponent| step << exponent.unsigned_abs() <= 1_000_000_000).unwrap_or(0)
}
