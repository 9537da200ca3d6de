//! Two hundred thousand simulated measurements: raw clocks at wrong rates, asymmetric paths, lost replies, servers that are
//! wrong within what they admit, and liars that know everything and collude. With at most as many liars as the estimate
//! says it tolerates, true time is inside its interval, now and later, or there is none.

use std::time::Duration;

use skewgate::clock::{
    ClockEstimate, Exchange, Leap, Limits, MaxDrift, NoEstimate, Reception, Rules, Sample, SourceBound, Vote,
};
use skewgate::time::{LocalClock, RawInstant, SignedDuration, Timestamp, sim::SimClock};

/// Enough for a hundred thousand of them to be published with no more liars than are tolerated.
const RUNS: u64 = 210_000;
const MILLI: i64 = 1_000_000;

/// splitmix64: small, seeded, good enough to choose with.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, ends included.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.abs_diff(low) + 1;
        low + i64::try_from(self.roll() % width).expect("a narrow range")
    }

    fn count(&mut self, low: usize, high: usize) -> usize {
        let picked = self.roll() % (high - low + 1) as u64;
        low + usize::try_from(picked).expect("a small number")
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.roll().is_multiple_of(times)
    }

    fn nanos(&mut self, high: i64) -> Duration {
        Duration::from_nanos(self.between(0, high).unsigned_abs())
    }
}

/// What a server admits about itself, and by how much it is wrong within that.
struct Server {
    root_delay: Duration,
    root_dispersion: Duration,
    error: SignedDuration,
}

impl Server {
    fn honest(dice: &mut Dice) -> Self {
        let (root_delay, root_dispersion) = (dice.nanos(40 * MILLI), dice.nanos(20 * MILLI));
        let admitted = SignedDuration::from(root_delay / 2 + root_dispersion).as_nanos();
        // Often as wrong as it may be: that is where mistakes in a bound show.
        let error = match dice.roll() % 4 {
            0 => admitted,
            1 => -admitted,
            _ => dice.between(-admitted, admitted),
        };
        Self { root_delay, root_dispersion, error: SignedDuration::from_nanos(error) }
    }

    /// One exchange; time passes on the host meanwhile.
    fn answer(&self, host: &SimClock, dice: &mut Dice) -> Sample {
        let slow = |dice: &mut Dice| if dice.once_in(4) { Duration::ZERO } else { dice.nanos(80 * MILLI) };
        let t1 = host.raw();
        host.advance(slow(dice));
        let t2 = host.truth() + self.error;
        host.advance(dice.nanos(MILLI));
        let t3 = host.truth() + self.error;
        host.advance(slow(dice));
        let exchange = Exchange {
            t1,
            t2,
            t3,
            t4: host.raw(),
            reception: Reception::Process,
            root_delay: self.root_delay,
            root_dispersion: self.root_dispersion,
            server_precision: Duration::ZERO,
            client_precision: Duration::ZERO,
        };
        exchange.sample(MaxDrift::default()).expect("an honest server is consistent with itself")
    }
}

/// An interval that begins or ends right where it does most harm: at an honest end, or at the truth itself.
fn lie(honest: &[Vote], truth: SignedDuration, anchor: RawInstant, dice: &mut Dice) -> Vote {
    let mut ends: Vec<i64> = vec![truth.as_nanos()];
    for vote in honest {
        ends.extend([vote.bound.bound.lo().as_nanos(), vote.bound.bound.hi().as_nanos()]);
    }
    let from = ends[dice.count(0, ends.len() - 1)] + dice.between(-100, 100);
    let width = [0, 50, MILLI, 100 * MILLI][dice.count(0, 3)];
    let (lo, hi) = if dice.once_in(2) { (from, from + width) } else { (from - width, from) };
    let end = SignedDuration::from_nanos;
    let bound = skewgate::clock::OffsetInterval::new(end(lo), end(hi)).expect("in order");
    let bound = SourceBound {
        first: anchor,
        anchor,
        bound,
        delay: SignedDuration::ZERO,
        samples: 1,
        kernel_stamped: 0,
    };
    Vote { bound, leap: Leap::None, smeared: false }
}

fn utc_minus_raw(host: &SimClock) -> SignedDuration {
    host.truth() - Timestamp::from_unix_nanos(host.raw().as_nanos())
}

#[derive(Default)]
struct Tally {
    published: u32,
    refused: u32,
    beyond_contested: u32,
    beyond_refused: u32,
    beyond_wrong: u32,
    beyond_right: u32,
}

/// One measurement with some liars, and looks at it later. True where the number of liars was tolerated.
fn measurement(seed: u64, tally: &mut Tally) {
    let dice = &mut Dice(seed);
    let host = SimClock::new("2026-11-22T12:00:00Z".parse().expect("a time"));
    host.set_rate_error_ppb(dice.between(-100_000, 100_000));
    let configured = dice.count(1, 9);
    let silent = dice.count(0, configured / 2);
    let liars = dice.count(0, configured - silent - 1);
    let honest = configured - silent - liars;

    let servers: Vec<Server> = (0..honest).map(|_| Server::honest(dice)).collect();
    let rounds = dice.between(1, 5);
    let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (server, samples) in servers.iter().zip(&mut samples) {
            samples.push(server.answer(&host, dice));
            host.advance(dice.nanos(50 * MILLI));
        }
        host.advance(dice.nanos(16_000 * MILLI));
    }
    let mut votes: Vec<Vote> = samples
        .iter()
        .map(|samples| {
            let bound = SourceBound::from_samples(samples, MaxDrift::default());
            Vote {
                bound: bound.unwrap_or_else(|error| panic!("seed {seed}: {error}")),
                leap: Leap::None,
                smeared: false,
            }
        })
        .collect();
    let (truth, anchor) = (utc_minus_raw(&host), host.raw());
    // Colluding: all of them tell the same lie, or each its own.
    let common = lie(&votes, truth, anchor, dice);
    let collude = dice.once_in(2);
    for _ in 0..liars {
        let own = lie(&votes[..honest], truth, anchor, dice);
        votes.push(if collude { common } else { own });
    }

    let rules = Rules::new(configured, None, true, Limits::default()).expect("rules that make sense");
    let estimate = ClockEstimate::from_votes(&votes, &rules, SignedDuration::ZERO);
    let tolerated = votes.len().saturating_sub(1) / 2;
    let right = |estimate: &ClockEstimate| {
        let now = estimate.at(host.raw(), SignedDuration::ZERO).expect("young and narrow");
        now.contains(host.truth())
    };
    if liars <= tolerated {
        match estimate {
            Ok(estimate) => {
                tally.published += 1;
                assert_eq!(estimate.tolerated_liars(), tolerated);
                assert!(right(&estimate), "seed {seed}: at once");
                for _ in 0..3 {
                    host.advance(dice.nanos(7 * 3_600_000 * MILLI));
                    assert!(right(&estimate), "seed {seed}: later");
                }
            }
            // The honest alone always agree; only the silent can keep them from a quorum.
            Err(NoEstimate::NoQuorum { .. }) => tally.refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    } else {
        match estimate {
            Err(_) => tally.beyond_refused += 1,
            Ok(estimate) if right(&estimate) => tally.beyond_right += 1,
            Ok(estimate) if estimate.contested() => tally.beyond_contested += 1,
            Ok(_) => tally.beyond_wrong += 1,
        }
    }
}

#[test]
fn truth_is_inside_with_as_many_liars_as_are_tolerated() {
    let mut tally = Tally::default();
    for seed in 0..RUNS {
        measurement(seed, &mut tally);
    }
    let Tally { published, refused, beyond_contested, beyond_refused, beyond_wrong, beyond_right } = tally;
    println!("liars tolerated: {published} published and right, {refused} without a quorum");
    println!(
        "more liars than that: {beyond_refused} refused, {beyond_contested} contested, {beyond_right} right, \
         {beyond_wrong} silently wrong"
    );
    assert!(published >= 100_000, "the simulation must show something: {published}");
    assert!(beyond_wrong > 0, "the liars must be able to do harm where no promise is made");
}
