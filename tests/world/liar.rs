//! Liars who know the truth, this host's raw clock, and every honest reply so far, and who agree on what to say.
//!
//! What a liar can say is bounded by what the engine accepts: a reply within the timeout, a root distance of 1.5 s, a delay
//! that is not negative. Within that it can make this host believe of it any interval that is wider than some 50 µs.

use skewgate::clock::{Leap, OffsetInterval};
use skewgate::ntp::{Header, ReferenceId, WireTimestamp};
use skewgate::time::{LocalClock, RawInstant, SignedDuration, Timestamp};
use std::time::Duration;

use super::Dice;
use super::host::{Event, World};
use super::server::{Question, short_units};

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000_000;

/// What every sample has at least to either side: short formats, cut nanoseconds, both precisions.
const LEAST_ERROR: i64 = 23_000 + 1 + 1 + 1_000;

/// As wide as a lie may be to either side, below the limits on root dispersion and root distance.
const WIDEST: i64 = 900 * MILLI;

/// What the liars are after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ploy {
    /// To begin or end right at an honest end, or at the truth.
    Edge,
    /// A time just beside the truth that all the honest still cover.
    BesideTheTruth,
    /// A bound as wide as can be, with the truth just outside.
    Stretch,
    /// A time of their own, apart from all of the honest.
    Apart,
    /// Any of these, each for itself.
    Mixed,
}

/// The liars' agreement.
pub(super) struct Coalition {
    pub(super) ploy: Ploy,
    /// All of them say the same.
    joint: bool,
    /// They say little until the last honest reply is in, and then strike.
    patient: bool,
    up: bool,
    shift: i64,
    leap: Leap,
    pub(super) first_thought: i64,
    /// How many replies the host wants of each.
    pub(super) wanted: u32,
    pub(super) timeout: i64,
    agreed: Option<Lie>,
}

/// Claimed time − true time lies between these, say the liars.
#[derive(Clone, Copy)]
struct Lie {
    lo: i64,
    hi: i64,
    /// Which of the two ends matters, where both can't be had.
    lo_counts: bool,
}

impl Lie {
    fn from(point: i64, width: i64, up: bool) -> Self {
        let (lo, hi) = if up { (point, point + width) } else { (point - width, point) };
        Self { lo, hi, lo_counts: up }
    }
}

impl Coalition {
    pub(super) fn roll(dice: &mut Dice) -> Self {
        Self {
            ploy: dice.one_of(&[
                Ploy::Edge,
                Ploy::Edge,
                Ploy::BesideTheTruth,
                Ploy::BesideTheTruth,
                Ploy::Stretch,
                Ploy::Apart,
                Ploy::Apart,
                Ploy::Mixed,
            ]),
            joint: !dice.once_in(3),
            patient: !dice.once_in(3),
            up: dice.once_in(2),
            shift: dice.magnitude(200 * MICRO, 3_600_000 * MILLI * 24 * 300),
            leap: if dice.once_in(10) { Leap::Insert } else { Leap::None },
            first_thought: dice.one_of(&[10 * MICRO, MILLI]),
            wanted: 1,
            timeout: 1_000 * MILLI,
            agreed: None,
        }
    }
}

impl World {
    /// A liar with a question before it: it answers, or waits for more of the honest to have answered.
    pub(super) fn deliberate(&mut self, question: &Question) {
        let last = self.servers[question.server].replies + 1 >= self.coalition.wanted;
        let honest_are_done = self
            .servers
            .iter()
            .filter(|server| !server.is_liar() && server.proved.is_some())
            .all(|server| server.replies >= self.coalition.wanted);
        let waited = (self.clock.truth() - question.asked_at).as_nanos();
        let patient = self.coalition.patient;
        let thought = self.coalition.timeout / 16;
        if patient && last && !honest_are_done && waited < self.coalition.timeout / 8 * 5 {
            self.after(thought, Event::Deliberation(*question));
            return;
        }
        let back = self.servers[question.server].path.back(&mut self.dice);
        let lie = if patient && !last { self.noncommittal() } else { self.lie() };
        let header = self.word(question, back, &lie);
        self.reply_on_the_way(question.server, back, header);
    }

    /// An interval that holds whatever they will say in the end.
    fn noncommittal(&self) -> Lie {
        let Coalition { ploy, up, shift, .. } = self.coalition;
        let middle = match (ploy, up) {
            (Ploy::Apart, true) => shift,
            (Ploy::Apart, false) => -shift,
            _ => 0,
        };
        Lie { lo: middle - WIDEST, hi: middle + WIDEST, lo_counts: up }
    }

    fn lie(&mut self) -> Lie {
        if let Some(agreed) = self.coalition.agreed {
            return agreed;
        }
        let lie = self.invent();
        if self.coalition.joint && (!self.coalition.patient || self.everybody_is_asked_for_the_last()) {
            self.coalition.agreed = Some(lie);
        }
        lie
    }

    fn everybody_is_asked_for_the_last(&self) -> bool {
        self.servers
            .iter()
            .filter(|server| server.is_liar())
            .any(|server| server.replies + 1 >= self.coalition.wanted)
    }

    fn invent(&mut self) -> Lie {
        let truth = self.utc_minus_raw();
        let raw = self.clock.raw();
        let honest: Vec<OffsetInterval> = self
            .servers
            .iter()
            .filter(|server| !server.is_liar())
            .filter_map(|server| server.proved_at(raw, self.max_drift))
            .collect();
        let mut ends: Vec<i64> = vec![0];
        ends.extend(
            honest
                .iter()
                .flat_map(|bound| [(bound.lo() - truth).as_nanos(), (bound.hi() - truth).as_nanos()]),
        );
        let (lowest, highest) =
            (ends.iter().copied().min().unwrap_or(0), ends.iter().copied().max().unwrap_or(0));
        let up = self.coalition.up;
        let dice = &mut self.dice;
        let width = dice.one_of(&[0, 60 * MICRO, MILLI, 100 * MILLI]);
        let ploy = match self.coalition.ploy {
            Ploy::Mixed => dice.one_of(&[Ploy::Edge, Ploy::BesideTheTruth, Ploy::Stretch]),
            ploy => ploy,
        };
        match ploy {
            Ploy::Edge | Ploy::Mixed => {
                let from = dice.one_of(&ends) + dice.between(-100, 100);
                let to = dice.one_of(&ends);
                let width = if dice.once_in(3) { (to - from).abs() } else { width };
                let up = dice.once_in(2);
                // Towards the truth, but mostly not as far.
                let inwards = up == (from < 0);
                let width =
                    if inwards && !dice.once_in(4) { width.min(from.abs() - MICRO).max(0) } else { width };
                Lie::from(from, width, up)
            }
            Ploy::BesideTheTruth => {
                let beside = dice.one_of(&[200, 2 * MICRO, 20 * MICRO, 200 * MICRO, 2 * MILLI]);
                Lie::from(if up { beside } else { -beside }, width, up)
            }
            Ploy::Stretch => {
                let beside = dice.one_of(&[2 * MICRO, 20 * MICRO, 200 * MICRO, 2 * MILLI]);
                Lie::from(if up { beside } else { -beside }, dice.between(500 * MILLI, 2 * WIDEST), up)
            }
            Ploy::Apart => {
                let shift = self.coalition.shift;
                Lie::from(if up { highest + shift } else { lowest - shift }, width, up)
            }
        }
    }

    /// UTC − raw right now.
    pub(super) fn utc_minus_raw(&self) -> SignedDuration {
        self.clock.truth() - Timestamp::from_unix_nanos(self.clock.raw().as_nanos())
    }

    /// Puts a lie into a reply that arrives after `back`: T2, T3 and the root terms follow from the ends that the host shall
    /// compute.
    fn word(&self, question: &Question, back: i64, lie: &Lie) -> Header {
        let utc_minus_raw = self.utc_minus_raw();
        let on_raw = |length: i64| {
            let gained = i128::from(length) * i128::from(self.raw_rate_ppb) / 1_000_000_000;
            self.clock.raw() + SignedDuration::saturating_from_nanos(i128::from(length) + gained)
        };
        // When the host will think that it came: it is known how long its system calls and readings take.
        let t4 = on_raw(back + self.weather.lateness());
        let utc = |raw: RawInstant| Timestamp::from_unix_nanos(raw.as_nanos()) + utc_minus_raw;
        let round_trip = (on_raw(back) - question.t1).as_nanos();
        let growth = self.max_drift.growth(t4 - question.t1).as_nanos();
        // hi − lo = δ + 2E + growth. A hold as long as the round trip leaves δ = 0.
        let error = ((lie.hi - lie.lo - growth) / 2).max(LEAST_ERROR);
        let hold_growth = self.max_drift.growth(SignedDuration::from_nanos(round_trip)).as_nanos();
        let units = ((error - LEAST_ERROR - hold_growth).max(0) * 65_536 / 1_000_000_000).min(65_000);
        let error = LEAST_ERROR + hold_growth + short_units(units);
        let t3 = utc(t4) + SignedDuration::from_nanos(lie.lo + error);
        let t2 = utc(question.t1) + SignedDuration::from_nanos(lie.hi - error - growth);
        let hold = SignedDuration::from_nanos((t3 - t2).as_nanos().clamp(0, round_trip));
        let (t2, t3) = if lie.lo_counts { (t3 - hold, t3) } else { (t2, t2 + hold) };
        Header {
            leap: self.coalition.leap,
            version: 4,
            mode: 4,
            stratum: 1,
            poll: 6,
            // Finer than a nanosecond: ρ is one.
            precision: -30,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::from_nanos(short_units(units).unsigned_abs()),
            reference_id: ReferenceId::from_bytes(*b"GPS\0"),
            reference: WireTimestamp(0),
            origin: question.nonce,
            receive: WireTimestamp::from_timestamp(t2),
            transmit: WireTimestamp::from_timestamp(t3),
        }
    }
}
