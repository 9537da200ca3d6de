//! Time servers that tell the truth as well as they know it, or nothing.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use skewgate::clock::{Exchange, Leap, MaxDrift, OffsetInterval, Reception, Sample};
use skewgate::ntp::{HEADER_LENGTH, Header, ReferenceId, WireTimestamp};
use skewgate::time::{RawInstant, SignedDuration, Timestamp};

use super::Dice;
use super::host::Reply;

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000_000;

/// A datagram's way there and back. Nothing is symmetrical.
#[derive(Clone, Copy)]
pub(super) struct Path {
    out: i64,
    back: i64,
    jitter: i64,
}

impl Path {
    pub(super) fn roll(dice: &mut Dice) -> Self {
        let mut one_way =
            || dice.one_of(&[0, 0, 20 * MICRO, 300 * MICRO, 2 * MILLI, 8 * MILLI, 60 * MILLI, 120 * MILLI]);
        let (out, back) = (one_way(), one_way());
        Self { out, back, jitter: dice.one_of(&[0, 0, 5 * MICRO, 300 * MICRO, 8 * MILLI]) }
    }

    pub(super) fn out(self, dice: &mut Dice) -> i64 {
        self.out + dice.heavy_tailed(self.jitter)
    }

    pub(super) fn back(self, dice: &mut Dice) -> i64 {
        self.back + dice.heavy_tailed(self.jitter)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Honest,
    /// Honest until it has enough of it.
    Kisses {
        after: u32,
    },
    Unsynchronised,
    Silent,
    Liar,
    /// A host whose clock is to be read, not believed.
    Member(Member),
}

/// A clock that is off, and runs at a rate of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) since: Timestamp,
    /// In nanoseconds, at `since`.
    pub(super) ahead: i64,
    /// In parts in 10⁹.
    pub(super) rate_ppb: i64,
    pub(super) synchronised: bool,
}

impl Member {
    /// Its time minus true time.
    pub(super) fn skew(self, now: Timestamp) -> SignedDuration {
        let gained = i128::from((now - self.since).as_nanos()) * i128::from(self.rate_ppb) / 1_000_000_000;
        SignedDuration::from_nanos(self.ahead + i64::try_from(gained).expect("a few seconds at the most"))
    }
}

/// Which way a server is wrong: right servers at the edge of what they admit are where mistakes in a bound show.
#[derive(Clone, Copy)]
pub(super) enum Lean {
    Ahead,
    Behind,
    Wanders,
}

/// A request that is on its way.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) server: usize,
    pub(super) nonce: WireTimestamp,
    pub(super) t1: RawInstant,
    pub(super) asked_at: Timestamp,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) kind: Kind,
    pub(super) path: Path,
    lean: Lean,
    /// How fast its clock drifts while it holds a request, in parts in 10⁹.
    drift_ppb: i64,
    max_hold: i64,
    precision: i8,
    /// On the wire, in 2⁻¹⁶ s. The values themselves are up to a place larger: real servers cut it off.
    root_delay: i64,
    root_dispersion: i64,
    answered: u32,
    awaited: Option<Question>,
    /// What its answers proved to this host so far: for the liars to know.
    pub(super) replies: u32,
    pub(super) proved: Option<Sample>,
}

/// So many 2⁻¹⁶ s in nanoseconds, cut.
pub(super) fn short_units(units: i64) -> i64 {
    ((i128::from(units) * 1_000_000_000) >> 16).try_into().expect("a few seconds at the most")
}

fn nanos(length: i64) -> Duration {
    Duration::from_nanos(length.unsigned_abs())
}

impl Server {
    pub(super) fn roll(
        number: u8,
        kind: Kind,
        path: Path,
        lean: Lean,
        max_drift: MaxDrift,
        dice: &mut Dice,
    ) -> Self {
        let most = i64::from(max_drift.as_ppb());
        let address = if dice.once_in(4) {
            SocketAddr::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()).into(), 123)
        } else {
            SocketAddr::new(Ipv4Addr::new(192, 0, 2, number).into(), 123)
        };
        Self {
            address,
            kind,
            path,
            lean,
            drift_ppb: dice.one_of(&[0, most, -most]),
            max_hold: dice.one_of(&[10 * MICRO, 100 * MICRO, 100 * MICRO, 20 * MILLI, 500 * MILLI]),
            precision: dice.one_of(&[-30, -23, -20, -10]),
            root_delay: dice.one_of(&[0, 60, 2_000, 20_000]),
            root_dispersion: dice.one_of(&[0, 10, 1_000, 10_000]),
            answered: 0,
            awaited: None,
            replies: 0,
            proved: None,
        }
    }

    pub(super) fn is_liar(&self) -> bool {
        self.kind == Kind::Liar
    }

    pub(super) fn asked(&mut self, question: Question) {
        self.awaited = Some(question);
    }

    /// How long it holds a request that arrives now, and its reply; `None`: it stays silent.
    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        nonce: WireTimestamp,
        dice: &mut Dice,
    ) -> Option<(i64, Header)> {
        self.answered += 1;
        match self.kind {
            Kind::Silent | Kind::Liar => return None,
            Kind::Kisses { after } if self.answered > after => {
                let kiss = Header {
                    leap: Leap::Unsynchronised,
                    stratum: 0,
                    reference_id: ReferenceId::from_bytes(dice.one_of(&[*b"RATE", *b"DENY"])),
                    ..self.header(nonce)
                };
                return Some((0, kiss));
            }
            Kind::Unsynchronised => {
                return Some((0, Header { leap: Leap::Unsynchronised, ..self.header(nonce) }));
            }
            Kind::Member(member) => return Some(self.answer_as(member, now, nonce, dice)),
            Kind::Honest | Kind::Kisses { .. } => {}
        }
        let hold = if dice.once_in(3) { self.max_hold } else { dice.between(5 * MICRO, self.max_hold) };
        // Both fields are cut on the wire, and the root delay counts half.
        let admitted = (short_units(self.root_delay + 1) - 1) / 2 + short_units(self.root_dispersion + 1) - 1;
        let rho = i64::try_from(self.header(nonce).precision_length().as_nanos()).expect("a millisecond") - 1;
        let wrong = |dice: &mut Dice| match self.lean {
            Lean::Ahead => admitted + rho,
            Lean::Behind => -admitted - rho,
            Lean::Wanders => dice.between(-admitted, admitted) + dice.between(-rho, rho),
        };
        let error = wrong(dice);
        let drifted = i128::from(hold) * i128::from(self.drift_ppb) / 1_000_000_000;
        let drifted = i64::try_from(drifted).expect("less than the hold");
        let t2 = now + SignedDuration::from_nanos(error);
        let t3 = now + SignedDuration::from_nanos(hold + error + drifted);
        // A server that stamps in user space does so after the request came and before the reply goes.
        let slack = if dice.once_in(3) { dice.between(0, hold / 4) } else { 0 };
        let slack = SignedDuration::from_nanos(slack);
        Some((
            hold,
            Header {
                receive: WireTimestamp::from_timestamp(t2 + slack),
                transmit: WireTimestamp::from_timestamp(t3 - slack),
                ..self.header(nonce)
            },
        ))
    }

    /// A member of a fleet reads its clock, right or wrong, and says of its error whatever comes to its mind.
    fn answer_as(
        &self,
        member: Member,
        now: Timestamp,
        nonce: WireTimestamp,
        dice: &mut Dice,
    ) -> (i64, Header) {
        let hold = dice.between(5 * MICRO, self.max_hold);
        let shown = |at: Timestamp| WireTimestamp::from_timestamp(at + member.skew(at));
        let plain = self.header(nonce);
        let (leap, stratum) = match member.synchronised {
            true => (plain.leap, plain.stratum),
            false => (Leap::Unsynchronised, dice.one_of(&[0, 2, 16])),
        };
        let header = Header {
            leap,
            stratum,
            root_delay: nanos(dice.one_of(&[0, 30_000 * MILLI])),
            root_dispersion: nanos(dice.one_of(&[0, 30_000 * MILLI])),
            receive: shown(now),
            transmit: shown(now + SignedDuration::from_nanos(hold)),
            ..plain
        };
        (hold, header)
    }

    /// What somebody else would answer in its name.
    pub(super) fn forgery(&self, time: Timestamp, nonce: WireTimestamp) -> Header {
        let time = WireTimestamp::from_timestamp(time);
        Header { receive: time, transmit: time, ..self.header(nonce) }
    }

    /// All but the times.
    pub(super) fn header(&self, nonce: WireTimestamp) -> Header {
        Header {
            leap: Leap::None,
            version: 4,
            mode: 4,
            stratum: 2,
            poll: 6,
            precision: self.precision,
            root_delay: nanos(short_units(self.root_delay)),
            root_dispersion: nanos(short_units(self.root_dispersion)),
            reference_id: ReferenceId::from_bytes([198, 51, 100, 1]),
            reference: WireTimestamp(0),
            origin: nonce,
            receive: WireTimestamp(0),
            transmit: WireTimestamp(0),
        }
    }

    /// The liars look over this host's shoulder as it takes in a reply.
    pub(super) fn overheard(&mut self, reply: &Reply, t4: RawInstant, max_drift: MaxDrift) {
        let header = &reply.header;
        let expected = self.awaited.is_some_and(|question| {
            question.nonce == header.origin && reply.from == self.address && reply.length == HEADER_LENGTH
        });
        let Some(question) = self.awaited.filter(|_| expected) else { return };
        self.awaited = None;
        self.replies += 1;
        if header.stratum == 0 || header.leap == Leap::Unsynchronised {
            return;
        }
        let exchange = Exchange {
            t1: question.t1,
            t2: header.receive.unfold(),
            t3: header.transmit.unfold(),
            t4,
            reception: Reception::Process,
            root_delay: header.root_delay,
            root_dispersion: header.root_dispersion,
            server_precision: header.precision_length(),
            client_precision: Duration::from_micros(1),
        };
        let Ok(sample) = exchange.sample(max_drift) else { return };
        let bound = self.proved_at(t4, max_drift).and_then(|before| before.intersection(sample.bound));
        self.proved = Some(Sample { bound: bound.unwrap_or(sample.bound), ..sample });
    }

    /// UTC − raw as it is known from this server's replies, at some point of the raw timeline.
    pub(super) fn proved_at(&self, raw: RawInstant, max_drift: MaxDrift) -> Option<OffsetInterval> {
        self.proved.map(|sample| sample.bound.aged(raw - sample.anchor, max_drift))
    }
}
