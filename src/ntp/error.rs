//! Why a source gave nothing that can be used.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::KissCode;
use crate::clock::{Inconsistent, Leap};

/// Why one source can't be used. Says whose fault it is: the name, the network, the server, or its clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The name does not resolve.
    #[error("the name does not resolve ({detail}): check its spelling and the DNS")]
    Unresolved {
        /// What the resolver said.
        detail: String,
    },
    /// The resolver did not answer in time.
    #[error("the name did not resolve within {deadline:?}: check the DNS")]
    ResolveTimeout {
        /// How long was waited.
        deadline: Duration,
    },
    /// It wasn't looked up: as many earlier look-ups as may be are under way still, and none of them ended in time.
    #[error(
        "the name was not looked up: too many earlier ones still are, so the resolver hangs: check the DNS"
    )]
    ResolverBusy,
    /// There are addresses, but none of the family asked for.
    #[error("it has no {family} address: leave the family open, or name another source")]
    NoAddressOfFamily {
        /// "IPv4" or "IPv6".
        family: &'static str,
    },
    /// [`Transport::cancelled`](super::Transport::cancelled) ended the round before it was done. Says nothing about the source.
    #[error("the measurement was called off before it was done")]
    Cancelled,
    /// This host could not send.
    #[error("sending to {address} failed ({detail}): check this host's network and firewall")]
    Send {
        /// Where the request should have gone.
        address: SocketAddr,
        /// What the operating system said.
        detail: String,
    },
    /// Nothing came back.
    #[error(
        "no reply to {requests} requests, each waited for {timeout:?}: is it running, and does a firewall drop UDP?"
    )]
    Timeout {
        /// Requests sent.
        requests: u32,
        /// How long each was waited for.
        timeout: Duration,
    },
    /// Replies came back, but too late.
    #[error(
        "its replies come later than the time-out of {timeout:?}: raise it, or use a source that is nearer"
    )]
    LateReplies {
        /// How long each was waited for.
        timeout: Duration,
    },
    /// Something came back, but never a reply to what was asked.
    #[error("{datagrams} datagrams came, none a reply to what was asked ({stray}): is it an NTP server?")]
    OnlyStrays {
        /// How many.
        datagrams: u32,
        /// What was wrong with the last one.
        stray: Stray,
    },
    /// The server asked to be left alone.
    #[error("kiss code {code}: {meaning}", code = .0, meaning = .0.meaning())]
    Kiss(KissCode),
    /// The server itself doesn't know the time.
    #[error(
        "the server is not synchronised (leap indicator {leap:?}, stratum {stratum}): wait, or mend its sources"
    )]
    Unsynchronised {
        /// Its leap indicator.
        leap: Leap,
        /// Its stratum: 0 and 16 mean unsynchronised.
        stratum: u8,
    },
    /// A reply that can't be right, or is of no use.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its samples contradict each other.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
}

/// Why a datagram was no reply to a request of ours. It is skipped, the request lives on: anybody can send
/// us datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stray {
    /// Shorter than an NTP header.
    #[error("{length} bytes, an NTP reply has at least 48")]
    TooShort {
        /// Its length in bytes.
        length: usize,
    },
    /// Its origin timestamp is no nonce that we wait for.
    #[error("the origin timestamp is not the one sent")]
    WrongNonce,
}

/// Why the reply to a request of ours was refused (RFC 5905 §8, and limits of our own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not version 3 or 4.
    #[error("it speaks NTP version {version}, 3 or 4 is understood")]
    Version {
        /// The version in the reply.
        version: u8,
    },
    /// Not a server's reply.
    #[error("the packet's mode is {mode}, a server's reply has mode 4")]
    Mode {
        /// The mode in the reply.
        mode: u8,
    },
    /// T2 or T3 is zero: unknown.
    #[error("its {which} timestamp is zero: the server did not fill it in")]
    ZeroTimestamp {
        /// "receive" or "transmit".
        which: &'static str,
    },
    /// Sent before it was received.
    #[error("it claims to have answered {by:?} before it was asked")]
    TransmitBeforeReceive {
        /// By how much.
        by: Duration,
    },
    /// The server held the request too long for the bound to mean anything.
    #[error("the server held the request for {hold:?}, at most {max:?} is allowed")]
    HoldTooLong {
        /// T3 − T2.
        hold: Duration,
        /// The limit.
        max: Duration,
    },
    /// The reply would have travelled for less than no time.
    #[error("the delay would be negative ({delay_ns} ns): its clock jumped, or the reply is forged")]
    NegativeDelay {
        /// δ in nanoseconds.
        delay_ns: i64,
    },
    /// It reads its clock to worse than a second.
    #[error("its precision is 2^{precision} s, at worst 2^0 is allowed")]
    Precision {
        /// log₂ of seconds.
        precision: i8,
    },
    /// Too far from its reference.
    #[error("its root delay is {root_delay:?}, at most {max:?} is allowed")]
    RootDelay {
        /// The root delay.
        root_delay: Duration,
        /// The limit.
        max: Duration,
    },
    /// Too unsure of its own time.
    #[error("its root dispersion is {root_dispersion:?}, at most {max:?} is allowed")]
    RootDispersion {
        /// The root dispersion.
        root_dispersion: Duration,
        /// The limit.
        max: Duration,
    },
    /// Too uncertain, path included.
    #[error("its root distance is {root_distance:?}, at most {max:?} is allowed")]
    RootDistance {
        /// Λ.
        root_distance: Duration,
        /// The limit.
        max: Duration,
    },
    /// It takes its time from this very host.
    #[error("it is synchronised to this host ({address}): it knows nothing that this host doesn't")]
    ReferenceLoop {
        /// The address of this host that it names as its reference.
        address: IpAddr,
    },
    /// It was last set after it answered.
    #[error("its reference time lies after its transmit time")]
    ReferenceInFuture,
    /// The second opinion, sntpc's validation, refused it.
    #[error("sntpc refused it: {reason}")]
    Sntpc {
        /// What it found.
        reason: &'static str,
    },
    /// sntpc understood the same bytes differently.
    #[error(
        "two computations of its offset and delay differ by {by_us} µs: this is a defect of skewgate, please report it"
    )]
    CrossCheck {
        /// By how many microseconds.
        by_us: i64,
    },
}
