//! One measurement in a simulated world, and what must hold of it.

use std::time::Duration;

use skewgate::clock::{ClockEstimate, Limits, MaxDrift, NoEstimate, OffsetInterval};
use skewgate::ntp::{Measurement, Options, Pace, Source, measure_over};
use skewgate::time::{LocalClock, RawInstant, SignedDuration, TimeError, Timestamp, sim::SimClock};

use super::Dice;
use super::host::{Event, Host, World};
use super::server::{Kind, Lean, Path, Server};
use super::tally::Outcome;

const MILLI: i64 = 1_000_000;

/// One round of the engine, and looks at its estimate until it is too old.
///
/// # Errors
///
/// What did not hold.
pub(crate) fn run(seed: u64) -> Result<Outcome, String> {
    let mut dice = Dice::new(seed);
    let scene = Scene::roll(&mut dice);
    let host = scene.host(dice);
    let measured = measure_over(&host, &scene.sources(&host), &scene.options, &host)
        .map_err(|error| format!("the rules make no sense: {error}"))?;
    let mut outcome = scene.judge(&host, &measured)?;
    if let Ok(estimate) = &measured.estimate
        && (outcome.slept || outcome.wrong <= outcome.tolerated)
    {
        scene.look_again(&host, estimate, &mut outcome)?;
    }
    Ok(outcome)
}

/// How many servers of which kind, and how they are asked.
struct Scene {
    kinds: Vec<Kind>,
    options: Options,
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Scene {
    fn roll(dice: &mut Dice) -> Self {
        let configured = dice.one_of(&[1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9]);
        let mute = if dice.once_in(3) { dice.count(0, configured / 2) } else { 0 };
        let talking = configured - mute;
        let tolerated = (talking - 1) / 2;
        let liars = match dice.count(0, 9) {
            0 => 0,
            1 => dice.count(0, tolerated),
            // One honest at least, or there is nothing to be told apart from.
            2..=3 => dice.count((tolerated + 1).min(talking - 1), talking - 1),
            _ => tolerated,
        };
        let kinds = (0..configured)
            .map(|number| match number {
                _ if number < mute => {
                    dice.one_of(&[Kind::Silent, Kind::Unsynchronised, Kind::Kisses { after: 0 }])
                }
                _ if number < mute + liars => Kind::Liar,
                _ if dice.once_in(25) => Kind::Kisses { after: 1 },
                _ => Kind::Honest,
            })
            .collect();
        let timeout = dice.one_of(&[300, 1_000, 1_000]) * MILLI;
        let pace = Pace {
            samples: dice.one_of(&[1, 1, 2, 3, 4, 6]),
            interval: Duration::from_nanos((dice.one_of(&[0, 1, 200, 2_000, 16_000]) * MILLI).unsigned_abs()),
            timeout: Duration::from_nanos(timeout.unsigned_abs()),
            retries: dice.one_of(&[0, 1, 1, 3]),
            max_rate: dice.one_of(&[None, Pace::default().max_rate, std::num::NonZeroU32::new(20)]),
            max_in_flight: dice.one_of(&[1, 4, 4_096]),
        };
        let quorum = if dice.once_in(6) { Some(dice.count(1, configured)) } else { None };
        let limits =
            Limits { max_drift: MaxDrift::from_ppm(dice.one_of(&[15, 100, 100, 500])), ..Limits::default() };
        let options = Options { pace, quorum, allow_single: true, limits, ..Options::default() };
        Self { kinds, options }
    }

    fn host(&self, mut dice: Dice) -> Host {
        // Mostly any time of the year, once in a while the end of a month, where a leap second may be announced.
        let start = if dice.once_in(10) { "2027-01-31T23:59:50Z" } else { "2026-11-22T12:00:00Z" };
        let clock = SimClock::new(start.parse().expect("a time"));
        clock.advance(Duration::from_nanos(dice.roll() % 5_000_000_000));
        clock.set_system_offset(SignedDuration::from_nanos(
            dice.between(-3_600_000 * MILLI, 3_600_000 * MILLI),
        ));
        // In the worst case all of the honest are wrong in the same way, behind paths that are all alike.
        let common =
            dice.once_in(2).then(|| (Path::roll(&mut dice), dice.one_of(&[Lean::Ahead, Lean::Behind])));
        let max_drift = self.options.limits.max_drift;
        let servers = self
            .kinds
            .iter()
            .zip(1_u8..)
            .map(|(&kind, number)| {
                let own = (Path::roll(&mut dice), dice.one_of(&[Lean::Ahead, Lean::Behind, Lean::Wanders]));
                let (path, lean) = common.unwrap_or(own);
                Server::roll(number, kind, path, lean, max_drift, &mut dice)
            })
            .collect();
        let mut world = World::new(dice, clock, max_drift);
        world.servers = servers;
        world.coalition.wanted = self.options.pace.samples;
        world.coalition.timeout = SignedDuration::from(self.options.pace.timeout).as_nanos();
        // Some of what goes wrong does so at any time, not just when a datagram leaves or arrives.
        for _ in 0..world.weather.mischief / 2 {
            let soon = world.dice.magnitude(MILLI, 10_000 * MILLI);
            world.after(soon, Event::Mischief);
        }
        Host::new(world)
    }

    fn sources(&self, host: &Host) -> Vec<Source> {
        host.world().servers.iter().map(|server| Source::new(server.address.into())).collect()
    }

    /// Checks a round right after it.
    fn judge(&self, host: &Host, measured: &Measurement) -> Result<Outcome, String> {
        let max_drift = self.options.limits.max_drift;
        let votes: Vec<_> = measured.reports.iter().map(|report| report.bound).collect();
        let usable = votes.iter().flatten().count();
        let anchor = votes.iter().flatten().map(|vote| vote.anchor).max().unwrap_or(measured.reading.after);
        let mut world = host.world();
        let slept = measured.suspended > SignedDuration::ZERO;
        let offset = world.truth_at_reading - measured.reading.realtime;
        let truth = world.utc_minus_raw_at(anchor);
        let (mut right_votes, mut wrong_votes) = (Vec::new(), Vec::new());
        for ((report, kind), vote) in measured.reports.iter().zip(&self.kinds).zip(&votes) {
            let Some(vote) = vote else { continue };
            if *kind != Kind::Liar && !slept {
                let there = world.utc_minus_raw_at(vote.anchor);
                ensure(vote.bound.contains(there), || {
                    format!("an honest source proved {:?}, it is {there:?}: {report:?}", vote.bound)
                })?;
                ensure(report.offset.is_some_and(|shown| shown.contains(offset)), || {
                    format!("an honest source shows {:?}, this host is {offset} behind", report.offset)
                })?;
            }
            let moved = vote.bound.aged(anchor - vote.anchor, max_drift);
            if moved.contains(truth) { right_votes.push(moved) } else { wrong_votes.push(moved) }
        }
        let (wrong, right) = (wrong_votes.len(), right_votes.len());
        let tolerated = usable.saturating_sub(1) / 2;
        let quorum = self.options.quorum.unwrap_or(self.kinds.len() / 2 + 1);
        let enough = quorum.saturating_sub(1).clamp(1, 2);
        let apart = wrong > 0 && right > 0 && are_apart(&wrong_votes, &right_votes);
        let estimate = measured.estimate;
        let mut outcome = Outcome {
            estimate,
            wrong,
            tolerated,
            apart,
            party: right >= enough,
            slept,
            right: false,
            inside: 0,
            none: 0,
            kernel_stamped: votes.iter().flatten().map(|vote| vote.kernel_stamped).sum(),
        };
        drop(world);
        if slept {
            return Ok(outcome);
        }
        if let Ok(estimate) = &estimate {
            let anchor = estimate.anchor();
            let truth = host.world().truth_at(anchor);
            outcome.right =
                estimate.at(anchor, measured.suspended).is_ok_and(|interval| interval.contains(truth));
            ensure(estimate.tolerated_liars() == tolerated, || "it tolerates another number".to_owned())?;
        }
        if wrong <= tolerated {
            self.must_be_right(&outcome, measured, offset, right >= quorum)?;
        }
        if apart {
            must_be_as_foretold(&estimate, (right, wrong), quorum, enough)?;
        }
        Ok(outcome)
    }

    /// With no more liars than are tolerated.
    fn must_be_right(
        &self,
        outcome: &Outcome,
        measured: &Measurement,
        offset: SignedDuration,
        honest_quorum: bool,
    ) -> Result<(), String> {
        match &outcome.estimate {
            Ok(estimate) => {
                ensure(outcome.right, || {
                    format!("the truth is outside: {estimate:?} of {:#?}", measured.reports)
                })?;
                let shown = estimate.system_offset(&measured.reading, measured.suspended);
                ensure(shown.is_ok_and(|shown| shown.contains(offset)), || {
                    format!("this host is {offset} behind, and the estimate says {shown:?}")
                })
            }
            // Anybody's announcement of a leap second ends a round at its time.
            Err(NoEstimate::AcrossLeapSecond) => Ok(()),
            // Only the silent can keep the honest from a quorum.
            Err(NoEstimate::NoQuorum { .. } | NoEstimate::NothingUsable { .. }) => {
                ensure(!honest_quorum, || {
                    format!("the honest are a quorum, and there is none: {measured:#?}")
                })
            }
            Err(error) => Err(format!("liars that are tolerated prevent an estimate: {error}")),
        }
    }

    /// The estimate ages while the clocks go on being wrong. The truth stays inside, or there is no interval.
    fn look_again(&self, host: &Host, estimate: &ClockEstimate, outcome: &mut Outcome) -> Result<(), String> {
        for _ in 0..4 {
            self.live(host);
            let (raw, suspended) = (host.raw(), host.suspended());
            let truth = host.world().truth_at(raw);
            let slept = suspended > SignedDuration::ZERO;
            let age = (raw - estimate.anchor()).unsigned_abs();
            let interval = estimate.at(raw, suspended);
            match interval {
                Ok(_) if slept => return Err("the host slept, and there is still an estimate".to_owned()),
                Ok(interval) => {
                    ensure(interval.contains(truth), || {
                        format!("after {age:?} it is {truth}, not {interval:?}")
                    })?;
                    outcome.inside += 1;
                }
                Err(error) => {
                    let fits = match error {
                        TimeError::Suspended { .. } => slept,
                        TimeError::TooOld { max_age, .. } => age > max_age,
                        // At 100 ppm there are 10 s after more than a day.
                        TimeError::TooWide { .. } => true,
                        _ => false,
                    };
                    ensure(fits, || format!("after {age:?}, slept: {slept}: {error}"))?;
                    outcome.none += 1;
                }
            }
            let reading = host.system();
            if let Ok(shown) = estimate.system_offset(&reading, host.suspended()) {
                let offset = host.world().truth_at_reading - reading.realtime;
                ensure(shown.contains(offset), || {
                    format!("after {age:?} it is {offset} behind, not {shown:?}")
                })?;
            }
        }
        Ok(())
    }

    /// Some time passes on the host: from nothing to half a day.
    fn live(&self, host: &Host) {
        let mut world = host.world();
        for _ in 0..2 {
            world.step();
            world.slew();
            world.wander();
            if world.weather.suspends && world.dice.once_in(4) {
                world.suspend();
            }
            let length = world.dice.magnitude(MILLI, 6 * 3_600_000 * MILLI);
            world.pass(length);
        }
    }
}

impl World {
    fn utc_minus_raw_at(&mut self, raw: RawInstant) -> SignedDuration {
        self.truth_at(raw) - Timestamp::from_unix_nanos(raw.as_nanos())
    }
}

/// All of the wrong have a point in common, and none of them one with any of the right.
fn are_apart(wrong: &[OffsetInterval], right: &[OffsetInterval]) -> bool {
    let common = wrong.iter().copied().map(Some).reduce(|one, other| one?.intersection(other?)).flatten();
    common.is_some() && wrong.iter().all(|wrong| right.iter().all(|right| !wrong.overlaps(*right)))
}

/// What becomes of two parties apart from each other follows from their sizes alone: the right have the truth in common, the
/// wrong their lie. The larger one is published where it is a quorum and a majority of those that answered; and it is
/// contested where the smaller one is all but one of a quorum, and two at least.
fn must_be_as_foretold(
    estimate: &Result<ClockEstimate, NoEstimate>,
    (right, wrong): (usize, usize),
    quorum: usize,
    enough: usize,
) -> Result<(), String> {
    let (larger, smaller) = (right.max(wrong), right.min(wrong));
    let says = match estimate {
        // A leap second that is announced is another matter.
        Err(NoEstimate::AcrossLeapSecond) => return Ok(()),
        Err(NoEstimate::NoQuorum { .. }) => "no quorum",
        Err(NoEstimate::TooManyDisagree { .. }) => "too many disagree",
        Err(_) => "another error",
        Ok(estimate) if estimate.contested() => "contested",
        Ok(_) => "uncontested",
    };
    let foretold = if larger < quorum {
        "no quorum"
    } else if larger == smaller {
        "too many disagree"
    } else if smaller >= enough {
        "contested"
    } else {
        "uncontested"
    };
    ensure(says == foretold, || {
        format!("{right} right and {wrong} wrong votes apart, quorum {quorum}: {says}, not {foretold}")
    })
}
