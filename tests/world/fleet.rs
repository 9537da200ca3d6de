//! A sweep in a simulated world, and what must hold of it.

use std::sync::Arc;
use std::time::Duration;

use skewgate::clock::{Limits, MaxDrift};
use skewgate::fleet::{Host as Listed, Inventory, Report, State, SweepError, SweepOptions, sweep_over};
use skewgate::ntp::{Options, Pace, SourceError};
use skewgate::time::{LocalClock, SignedDuration, Timestamp, sim::SimClock};

use super::Dice;
use super::host::{Event, Host, World};
use super::server::{Kind, Lean, Member, Path, Server};

const MILLI: i64 = 1_000_000;

/// The rate of a host's clock and of the raw timeline differ by less.
const HOST_DRIFT: MaxDrift = MaxDrift::from_ppm(1_000);

/// How many hosts were found as what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// Their true skew was looked for in their bound.
    pub(crate) compared: usize,
    pub(crate) in_sync: usize,
    pub(crate) skewed: usize,
    pub(crate) inconclusive: usize,
    pub(crate) unsynchronised: usize,
    pub(crate) silent: usize,
    pub(crate) pairs: usize,
    /// The host that measured slept: there is no report.
    pub(crate) slept: usize,
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// One sweep: honest sources, whose error is as large as they admit, and hosts with clocks of their own behind paths of
/// their own.
///
/// # Errors
///
/// What did not hold.
pub(crate) fn sweep_once(seed: u64, found: &mut Found) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
    let clock = SimClock::new(start);
    clock.advance(Duration::from_nanos(dice.roll() % 5_000_000_000));
    clock.set_system_offset(SignedDuration::from_nanos(dice.between(-3_600_000 * MILLI, 3_600_000 * MILLI)));
    let max_drift = MaxDrift::from_ppm(dice.one_of(&[15, 100, 100, 500]));
    let most = i64::from(HOST_DRIFT.as_ppb()) - i64::from(max_drift.as_ppb()) - 2_000;
    let sources = dice.count(1, 4);
    let members: Vec<Member> = (0..dice.count(1, 12))
        .map(|_| Member {
            since: start,
            ahead: match dice.count(0, 9) {
                // Its battery is dead: it stands at about 1970.
                0 => -1_795_000_000_000 * MILLI,
                1..=3 => dice.between(-100_000 * MILLI, 100_000 * MILLI),
                _ => dice.between(-200 * MILLI, 200 * MILLI),
            },
            rate_ppb: dice.one_of(&[0, most, -most, 50_000]),
            synchronised: !dice.once_in(6),
        })
        .collect();
    let kinds: Vec<Kind> =
        std::iter::repeat_n(Kind::Honest, sources).chain(members.iter().copied().map(Kind::Member)).collect();
    let servers: Vec<Server> = kinds
        .iter()
        .zip(1_u8..)
        .map(|(&kind, number)| {
            let lean = dice.one_of(&[Lean::Ahead, Lean::Behind, Lean::Wanders]);
            Server::roll(number, kind, Path::roll(&mut dice), lean, max_drift, &mut dice)
        })
        .collect();

    let mut inventory = Inventory::builder();
    for (server, kind) in servers.iter().zip(&kinds) {
        match kind {
            Kind::Member(_) => {
                inventory.host(server.address.to_string().parse::<Listed>().expect("an address is a host"));
            }
            _ => {
                inventory.reference(server.address.into());
            }
        }
    }
    let inventory = Arc::new(inventory.build().expect("hosts and sources"));
    let pace = Pace {
        samples: dice.one_of(&[1, 2, 4]),
        interval: Duration::from_nanos((dice.one_of(&[1, 200, 2_000]) * MILLI).unsigned_abs()),
        max_rate: dice.one_of(&[None, Pace::default().max_rate, std::num::NonZeroU32::new(20)]),
        ..Pace::default()
    };
    let limits = Limits { max_drift, ..Limits::default() };
    let reference = Options { pace, allow_single: true, limits, ..Options::default() };
    let options = SweepOptions { pace, reference, host_drift: HOST_DRIFT, ..SweepOptions::default() };

    let mut world = World::new(dice, clock, max_drift);
    world.servers = servers;
    for _ in 0..world.weather.mischief / 2 {
        let soon = world.dice.magnitude(MILLI, 10_000 * MILLI);
        world.after(soon, Event::Mischief);
    }
    let host = Host::new(world);
    let report = sweep_over(&host, &inventory, &options, &host, &mut |_| {});
    let slept = host.suspended() > SignedDuration::ZERO;
    match report {
        Ok(_) if slept => Err("the host slept, and there is a report".to_owned()),
        Ok(report) => judge(&host, &report, &members, found),
        Err(SweepError::Suspended { .. }) if slept => {
            found.slept += 1;
            Ok(())
        }
        Err(error) => Err(format!("no report: {error}")),
    }
}

fn judge(host: &Host, report: &Report, members: &[Member], found: &mut Found) -> Result<(), String> {
    let mut skews = Vec::new();
    for (of, member) in report.hosts.iter().zip(members) {
        skews.push(None);
        let Some(reading) = of.reading else {
            // Packets are lost, and there are hosts without IPv6; or nothing comes but what somebody forged.
            let forged = matches!(of.error.as_deref(), Some(SourceError::OnlyStrays { .. }));
            let state = if forged { State::Rejected } else { State::Unreachable };
            ensure(of.state() == state, || format!("it is honest, and found {of:?}"))?;
            found.silent += 1;
            continue;
        };
        let at = host.world().truth_at(reading.anchor);
        let truth = member.skew(at);
        ensure(!reading.unsteady, || format!("it runs evenly, and is called unsteady: {of:?}"))?;
        let off = truth.unsigned_abs() > Duration::from_millis(100);
        match of.state() {
            State::InSync => {
                found.in_sync += 1;
                ensure(!off && member.synchronised, || format!("it is {truth} off, and in sync: {of:?}"))?;
            }
            State::Skewed => {
                found.skewed += 1;
                ensure(off, || format!("it is {truth} off, and skewed: {of:?}"))?;
            }
            State::Unsynchronised => {
                found.unsynchronised += 1;
                ensure(!member.synchronised, || format!("it is synchronised: {of:?}"))?;
            }
            State::Inconclusive => found.inconclusive += 1,
            state => return Err(format!("it is {state}: {of:?}")),
        }
        let Some(skew) = of.skew else { continue };
        found.compared += 1;
        ensure(skew.contains(truth), || format!("it is {truth} off, not {skew:?}: {of:?}"))?;
        skews.pop();
        skews.push(Some(truth));
    }
    if let Some(pair) = report.worst_pair
        && let (Some(a), Some(b)) = (skews[pair.a], skews[pair.b])
    {
        found.pairs += 1;
        ensure(pair.skew.contains(a - b), || format!("they are {} apart, not {pair:?}", a - b))?;
    }
    Ok(())
}
