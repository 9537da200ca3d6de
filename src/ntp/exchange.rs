//! One request and the reply to it. Pure: bytes in, bytes out; when and where they travel is the engine's.
//!
//! sntpc builds the request and validates the reply. What it lets through is checked here, before it looks:
//!
//! - its transmit timestamp would tell the network this host's time, and an attacker off the path what to
//!   forge: a random nonce travels instead (RFC 9109, and the data minimisation draft), and T1's bytes are
//!   put back before sntpc compares them;
//! - T1 to T4 are kept in nanoseconds; its own figures, in microseconds, are the cross-check.

use std::cell::Cell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket, SendRequestResult};

use super::packet::{HEADER_LENGTH, Header, ReferenceId, UNFOLD_FROM_UNIX_SECONDS};
use super::{KissCode, Refusal, SourceError, Stray};
use crate::clock::{Exchange, Leap, MaxDrift, Reception, Sample};
use crate::time::{RawInstant, SignedDuration};

/// What sntpc takes for the time at T1. In the middle of the 2³² s that timestamps are unfolded into, so that
/// its signed differences and its choice of the era agree with ours over all of them.
const SNTPC_T1_UNIX_SECONDS: i64 = UNFOLD_FROM_UNIX_SECONDS + (1 << 31);

/// ρ of this host: reading the raw clock takes less.
const CLIENT_PRECISION: Duration = Duration::from_micros(1);

/// How far sntpc's figures, cut to microseconds at several places, may be off ours.
const CROSS_CHECK_TOLERANCE_US: i64 = 3;

/// Where the header has its origin timestamp, and where its transmit timestamp.
const ORIGIN: std::ops::Range<usize> = 24..32;
const TRANSMIT: std::ops::Range<usize> = 40..48;

/// Above these a reply is refused. The defaults are for servers that somebody looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// T3 − T2, default 4 s.
    pub max_hold: Duration,
    /// The root delay, default 1 s.
    pub max_root_delay: Duration,
    /// The root dispersion, default 1 s.
    pub max_root_dispersion: Duration,
    /// The root distance Λ with the path to this host, default 1.5 s.
    pub max_root_distance: Duration,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            max_hold: Duration::from_secs(4),
            max_root_delay: Duration::from_secs(1),
            max_root_dispersion: Duration::from_secs(1),
            max_root_distance: Duration::from_millis(1_500),
        }
    }
}

/// What is wanted of a server that is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// True time: what it says of its own error counts, and one that doesn't know the time is refused.
    #[default]
    TrueTime,
    /// What its clock shows, right or wrong. Servers that are unsynchronised, unsure, or follow this host are read like any
    /// other, and their samples bound *their clock − raw*: see [`Exchange::clock_reading`].
    ClockReading,
}

/// A request, ready to be sent, and what is needed to judge its reply. Whoever has sockets of their own can
/// use it without the engine.
///
/// ```
/// use skewgate::ntp::{Header, Request};
///
/// let nonce = 0x0123_4567_89ab_cdef; // from the operating system's randomness, each time anew
/// let request = Request::new(nonce)?;
/// assert_eq!(Header::from_bytes(request.bytes()).transmit.0, nonce);
/// # Ok::<(), skewgate::ntp::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    bytes: [u8; HEADER_LENGTH],
    nonce: u64,
    /// What sntpc wrote where the nonce is now.
    t1_bytes: [u8; 8],
    sntpc: SendRequestResult,
}

/// A reply that passed every check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// What it says.
    pub header: Header,
    /// What it proves.
    pub sample: Sample,
}

/// How a request and its reply travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Travel {
    /// Just before the request was sent.
    pub t1: RawInstant,
    /// When the reply was received, or later.
    pub t4: RawInstant,
    /// Who saw it arrive.
    pub reception: Reception,
    /// The address of this host that the request left from, where it is known: a server that follows it is
    /// refused.
    pub local: Option<IpAddr>,
}

impl Request {
    /// A request with this nonce, which must be fresh from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`Refusal::Sntpc`] where sntpc builds none; that would be a defect.
    pub fn new(nonce: u64) -> Result<Self, Refusal> {
        let socket = MemorySocket { sent: Cell::new([0; HEADER_LENGTH]), reply: [0; HEADER_LENGTH] };
        let sntpc = ready(sntpc::sntp_send_request(NOWHERE, &socket, NtpContext::new(SntpcClock::T1)))
            .map_err(refusal_of_sntpc)?;
        let mut bytes = socket.sent.get();
        let mut t1_bytes = nonce.to_be_bytes();
        bytes[TRANSMIT].swap_with_slice(&mut t1_bytes);
        Ok(Self { bytes, nonce, t1_bytes, sntpc })
    }

    /// The same with another nonce. sntpc writes the same every time, as it is always told the same T1: one that it has built
    /// serves for any number of packets, and what is kept of each is its nonce.
    pub(super) fn with_nonce(&self, nonce: u64) -> Self {
        let mut bytes = self.bytes;
        bytes[TRANSMIT].copy_from_slice(&nonce.to_be_bytes());
        Self { bytes, nonce, ..*self }
    }

    /// What to send.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; HEADER_LENGTH] {
        &self.bytes
    }

    /// Judges a datagram that came from the address that was asked.
    ///
    /// # Errors
    ///
    /// [`SourceError`]: not a reply to this request, a kiss, an unsynchronised server, or a [`Refusal`].
    pub fn judge(
        &self,
        datagram: &[u8; HEADER_LENGTH],
        travel: &Travel,
        limits: &ReplyLimits,
        max_drift: MaxDrift,
    ) -> Result<Reply, SourceError> {
        let header = self.header_of(datagram)?;
        if header.leap == Leap::Unsynchronised || header.stratum == 0 || header.stratum >= 16 {
            return Err(SourceError::Unsynchronised { leap: header.leap, stratum: header.stratum });
        }
        let exchange = exchange(&header, travel)?;
        check_travel(&exchange, limits, max_drift)?;
        check_root(&header, travel.local, limits)?;
        self.second_opinion(*datagram, &exchange)?;
        let sample = exchange.sample(max_drift)?;
        let root_distance = sample.bound.half_width();
        if root_distance > limits.max_root_distance {
            return Err(Refusal::RootDistance { root_distance, max: limits.max_root_distance }.into());
        }
        Ok(Reply { header, sample })
    }

    /// Judges one whose server's clock is to be read, not followed: what that server says of its own synchronisation is
    /// not asked. Of the limits only [`ReplyLimits::max_hold`] holds. `max_drift` is how far the rates of the two
    /// clocks may differ.
    ///
    /// # Errors
    ///
    /// [`SourceError`]: not a reply to this request, a kiss, or a [`Refusal`] because it is malformed.
    pub fn read_clock(
        &self,
        datagram: &[u8; HEADER_LENGTH],
        travel: &Travel,
        limits: &ReplyLimits,
        max_drift: MaxDrift,
    ) -> Result<Reply, SourceError> {
        let header = self.header_of(datagram)?;
        let exchange = exchange(&header, travel)?;
        check_travel(&exchange, limits, max_drift)?;
        // sntpc judges sources. It is shown the timestamps of this reply, as a source without a fault would send them.
        let faultless = Header {
            leap: Leap::None,
            stratum: 1,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::ZERO,
            // Of the two, the one that it is compared with: the other may lie after that, by less than a nanosecond.
            reference: header.transmit,
            ..header
        };
        self.second_opinion(faultless.to_bytes(), &exchange)?;
        Ok(Reply { header, sample: exchange.clock_reading(max_drift)? })
    }

    /// The header of what is a reply to this request, and no kiss.
    fn header_of(&self, datagram: &[u8; HEADER_LENGTH]) -> Result<Header, SourceError> {
        let header = Header::from_bytes(datagram);
        if header.origin.0 != self.nonce {
            return Err(SourceError::OnlyStrays { datagrams: 1, stray: Stray::WrongNonce });
        }
        if !(3..=4).contains(&header.version) {
            return Err(Refusal::Version { version: header.version }.into());
        }
        if header.mode != 4 {
            return Err(Refusal::Mode { mode: header.mode }.into());
        }
        match KissCode::from_reference_id(header.reference_id) {
            Some(kiss) if header.stratum == 0 => Err(SourceError::Kiss(kiss)),
            _ => Ok(header),
        }
    }

    /// sntpc's validation, and its figures beside ours.
    fn second_opinion(&self, mut restored: [u8; HEADER_LENGTH], exchange: &Exchange) -> Result<(), Refusal> {
        restored[ORIGIN].copy_from_slice(&self.t1_bytes);
        let socket = MemorySocket { sent: Cell::new([0; HEADER_LENGTH]), reply: restored };
        let clock = SntpcClock { since_t1: exchange.t4 - exchange.t1 };
        let result =
            ready(sntpc::sntp_process_response(NOWHERE, &socket, NtpContext::new(clock), self.sntpc));
        let theirs = result.map_err(refusal_of_sntpc)?;
        // Both as if T1 were zero on the raw timeline: θ = ((T2 − T1) + (T3 − T4)) / 2.
        let since_t1 = i128::from((exchange.t4 - exchange.t1).as_nanos());
        let server = i128::from(exchange.t2.as_unix_nanos()) + i128::from(exchange.t3.as_unix_nanos());
        let offset_us = ((server - since_t1) / 2 - i128::from(SNTPC_T1_UNIX_SECONDS) * 1_000_000_000) / 1_000;
        // sntpc never shows a delay below its precision.
        let delay_us = i128::from(exchange.delay().as_nanos() / 1_000).max(1);
        let by_us = (offset_us - i128::from(theirs.offset))
            .abs()
            .max((delay_us - i128::from(theirs.roundtrip)).abs());
        let seconds_agree = i64::try_from(theirs.seconds) == Ok(exchange.t3.as_unix_seconds());
        if by_us > i128::from(CROSS_CHECK_TOLERANCE_US) || !seconds_agree {
            return Err(Refusal::CrossCheck { by_us: i64::try_from(by_us).unwrap_or(i64::MAX) });
        }
        Ok(())
    }
}

/// The four timestamps, where they can be right at all.
fn exchange(header: &Header, travel: &Travel) -> Result<Exchange, Refusal> {
    for (which, timestamp) in [("receive", header.receive), ("transmit", header.transmit)] {
        if timestamp.is_zero() {
            return Err(Refusal::ZeroTimestamp { which });
        }
    }
    if header.precision > 0 {
        return Err(Refusal::Precision { precision: header.precision });
    }
    let (t2, t3) = (header.receive.unfold(), header.transmit.unfold());
    if t3 < t2 {
        return Err(Refusal::TransmitBeforeReceive { by: (t2 - t3).unsigned_abs() });
    }
    Ok(Exchange {
        t1: travel.t1,
        t2,
        t3,
        t4: travel.t4,
        reception: travel.reception,
        root_delay: header.root_delay,
        root_dispersion: header.root_dispersion,
        server_precision: header.precision_length(),
        client_precision: CLIENT_PRECISION,
    })
}

/// The way there and back.
fn check_travel(exchange: &Exchange, limits: &ReplyLimits, max_drift: MaxDrift) -> Result<(), Refusal> {
    let hold = exchange.hold().unsigned_abs();
    if hold > limits.max_hold {
        return Err(Refusal::HoldTooLong { hold, max: limits.max_hold });
    }
    let delay = exchange.delay();
    // While the server holds the request, the two clocks may drift apart.
    let precisions = SignedDuration::from(exchange.server_precision + exchange.client_precision);
    if delay < -(precisions + max_drift.growth(exchange.hold())) {
        return Err(Refusal::NegativeDelay { delay_ns: delay.as_nanos() });
    }
    Ok(())
}

/// The way from the server to its reference.
fn check_root(header: &Header, local: Option<IpAddr>, limits: &ReplyLimits) -> Result<(), Refusal> {
    if header.root_delay > limits.max_root_delay {
        return Err(Refusal::RootDelay { root_delay: header.root_delay, max: limits.max_root_delay });
    }
    if header.root_dispersion > limits.max_root_dispersion {
        return Err(Refusal::RootDispersion {
            root_dispersion: header.root_dispersion,
            max: limits.max_root_dispersion,
        });
    }
    // Loopback addresses are every host's own, and as reference identifiers they name reference clocks (127.127.t.u).
    // The hash of an IPv6 address may look like one, and is none.
    let own =
        |address: &IpAddr| !address.is_loopback() && header.reference_id == ReferenceId::of_address(*address);
    match local.filter(|address| header.stratum >= 2 && own(address)) {
        Some(address) => Err(Refusal::ReferenceLoop { address }),
        None => Ok(()),
    }
}

/// sntpc compares where a reply came from with where the request went. Both have been compared by then.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// A socket that is always ready: sntpc's futures complete at the first poll.
struct MemorySocket {
    sent: Cell<[u8; HEADER_LENGTH]>,
    reply: [u8; HEADER_LENGTH],
}

impl NtpUdpSocket for MemorySocket {
    fn send_to(&self, buf: &[u8], _: SocketAddr) -> impl Future<Output = sntpc::Result<usize>> {
        let sent = buf.first_chunk().map(|bytes| self.sent.set(*bytes));
        std::future::ready(sent.map(|()| buf.len()).ok_or(sntpc::Error::IncorrectPayload))
    }

    fn recv_from(&self, buf: &mut [u8]) -> impl Future<Output = sntpc::Result<(usize, SocketAddr)>> {
        let room = buf.first_chunk_mut().map(|room| *room = self.reply);
        std::future::ready(room.map(|()| (HEADER_LENGTH, NOWHERE)).ok_or(sntpc::Error::IncorrectPayload))
    }
}

/// The time as sntpc is told it.
#[derive(Clone, Copy)]
struct SntpcClock {
    since_t1: SignedDuration,
}

impl SntpcClock {
    const T1: Self = Self { since_t1: SignedDuration::ZERO };
}

impl NtpTimestampGenerator for SntpcClock {
    fn init(&mut self) {}

    fn timestamp_sec(&self) -> u64 {
        let seconds = SNTPC_T1_UNIX_SECONDS + self.since_t1.as_nanos().div_euclid(1_000_000_000);
        u64::try_from(seconds).unwrap_or(0)
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        u32::try_from(self.since_t1.as_nanos().rem_euclid(1_000_000_000) / 1_000).unwrap_or(0)
    }
}

/// Only the reference time is left for sntpc to refuse; the rest has been checked before and would be a
/// difference of opinion.
fn refusal_of_sntpc(error: sntpc::Error) -> Refusal {
    use sntpc::Error as E;
    let reason = match error {
        E::BackwardReferenceTimestamp => return Refusal::ReferenceInFuture,
        E::IncorrectOriginTimestamp => "origin timestamp",
        E::IncorrectMode => "mode",
        E::UnsynchronizedClock => "leap indicator",
        E::InvalidTimestamp => "transmit timestamp",
        E::ExcessiveRootDistance => "root distance",
        E::IncorrectResponseVersion => "version",
        E::IncorrectStratumHeaders => "stratum",
        E::IncorrectPayload => "length",
        E::ResponseAddressMismatch => "address",
        E::KissOfDeath(_) => "kiss code",
        _ => "network",
    };
    Refusal::Sntpc { reason }
}

/// Polls once: nothing that sntpc awaits here is ever pending.
fn ready<T>(future: impl Future<Output = sntpc::Result<T>>) -> sntpc::Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(sntpc::Error::Network),
    }
}

#[cfg(test)]
mod tests;
