//! Days of a monitor's life, simulated: the clocks, the network and the servers are made up, everything else is what runs
//! in a service. At every instant the interval contains true time, or there is none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;

use super::keeper::{Keeper, Next};
use super::shared::Shared;
use super::{Counts, Monitor};
use crate::clock::Leap;
use crate::ntp::{
    Header, Incoming, Outgoing, ReferenceId, Sockets, Source, Transport, UNFOLD_FROM_UNIX_SECONDS,
    WireTimestamp,
};
use crate::time::sim::SimClock;
use crate::time::{LocalClock, SignedDuration, Timestamp};

const HOUR: i64 = 3_600;
const SOURCES: usize = 5;

/// Three weeks after the date from which on servers' times are understood, which each release moves.
pub(super) fn begin() -> Timestamp {
    Timestamp::from_unix_seconds(UNFOLD_FROM_UNIX_SECONDS + 21 * 86_400 + 43_200).unwrap()
}

/// What a server does at a time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Honest,
    Dead,
    Kissing([u8; 4]),
    /// Ahead of the truth by so many milliseconds, which it doesn't admit.
    Lying(i64),
}

/// What happens to the host.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The system clock is set ahead by so many milliseconds.
    Step(i64),
    /// The host sleeps for so many seconds.
    Suspend(u64),
    /// The raw clock runs fast by so many parts in 10⁹ from now on.
    Rate(i64),
    /// A time daemon lets the system clock run fast by so many parts in 10⁹ from now on: slews it.
    Slew(i64),
    /// Likewise once the next request is on its way: in the middle of a round.
    SuspendInRound(u64),
    StepInRound(i64),
}

/// A day as it is planned, in seconds since its beginning.
struct Plan {
    /// In order.
    events: Vec<(i64, Event)>,
    /// A source, from when to when, what it does.
    moods: Vec<(usize, i64, i64, Mood)>,
}

struct World {
    clock: Arc<SimClock>,
    start: Timestamp,
    shared: Option<Arc<Shared>>,
    dice: Rng,
    plan: Plan,
    /// How many of the planned events are over.
    happened: usize,
    in_round: Vec<Event>,
    /// Datagrams on their way back, by arrival: true time, which one.
    travelling: BinaryHeap<Reverse<(Timestamp, usize)>>,
    datagrams: Vec<Incoming>,
    /// When which source was asked.
    asked: Vec<(i64, usize)>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    looks: u64,
    /// Looks without an interval, in seconds since the beginning.
    without: Vec<i64>,
}

impl World {
    fn micros(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.dice.u64(..limit))
    }

    fn second(&self) -> i64 {
        (self.clock.truth() - self.start).as_nanos() / 1_000_000_000
    }

    /// Lets time pass, up to a second at once, with all that happens meanwhile.
    fn pass(&mut self, mut length: Duration) {
        loop {
            let slice = length.min(Duration::from_millis(500));
            self.clock.advance(slice);
            while let Some(&(due, event)) = self.plan.events.get(self.happened)
                && due <= self.second()
            {
                self.happened += 1;
                self.happen(event);
            }
            self.look();
            length -= slice;
            if length.is_zero() {
                return;
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Step(millis) => self.clock.step_system(SignedDuration::from_millis(millis)),
            Event::Slew(ppb) => self.clock.set_system_rate_error_ppb(ppb),
            Event::Suspend(seconds) => self.clock.suspend(Duration::from_secs(seconds)),
            Event::Rate(ppb) => self.clock.set_rate_error_ppb(ppb),
            Event::SuspendInRound(seconds) => self.in_round.push(Event::Suspend(seconds)),
            Event::StepInRound(millis) => self.in_round.push(Event::Step(millis)),
        }
    }

    /// The promise.
    fn look(&mut self) {
        let Some(shared) = &self.shared else { return };
        self.seen.looks += 1;
        match shared.now() {
            Ok(now) => assert!(
                now.contains(self.clock.truth()),
                "second {}: {now:?} misses {}\n{:?}",
                self.second(),
                self.clock.truth(),
                shared.estimate()
            ),
            Err(_) => self.seen.without.push(self.second()),
        }
    }

    fn mood(&self, source: usize) -> Mood {
        let second = self.second();
        let is_now = |(which, from, to, _): &&(usize, i64, i64, Mood)| {
            *which == source && (*from..*to).contains(&second)
        };
        self.plan.moods.iter().find(is_now).map_or(Mood::Honest, |(.., mood)| *mood)
    }

    fn send(&mut self, packet: &Outgoing) {
        let source = usize::from(packet.address.port() - 1);
        self.asked.push((self.second(), source));
        let mood = self.mood(source);
        // One in twenty is lost on either way.
        if mood == Mood::Dead || self.dice.u8(..20) == 0 {
            return;
        }
        let (out, hold, back) = (self.micros(40_000), self.micros(2_000), self.micros(40_000));
        let (lie, stratum, reference_id) = match mood {
            Mood::Lying(millis) => (SignedDuration::from_millis(millis), 2, [192, 0, 2, 1]),
            Mood::Kissing(code) => (SignedDuration::ZERO, 0, code),
            _ => (SignedDuration::ZERO, 2, [192, 0, 2, 1]),
        };
        // As wrong as it admits, at times.
        let wrong = SignedDuration::from_nanos(self.dice.i64(-5_000_000..=5_000_000));
        let received = self.clock.truth() + SignedDuration::from(out) + wrong + lie;
        let request = Header::from_bytes(&packet.bytes);
        let reply = Header {
            leap: Leap::None,
            mode: 4,
            stratum,
            precision: -23,
            root_delay: Duration::from_millis(4),
            root_dispersion: Duration::from_millis(3),
            reference_id: ReferenceId::from_bytes(reference_id),
            reference: WireTimestamp::from_timestamp(received - SignedDuration::from_secs(60)),
            origin: request.transmit,
            receive: WireTimestamp::from_timestamp(received),
            transmit: WireTimestamp::from_timestamp(received + SignedDuration::from(hold)),
            ..request
        };
        let arrival = self.clock.truth() + SignedDuration::from(out + hold + back);
        self.travelling.push(Reverse((arrival, self.datagrams.len())));
        self.datagrams.push(Incoming {
            from: packet.address,
            bytes: reply.to_bytes(),
            length: 48,
            stamp: None,
        });
        for event in std::mem::take(&mut self.in_round) {
            self.happen(event);
        }
    }
}

/// The world, as a network.
#[derive(Clone)]
struct Net(Arc<Mutex<World>>);

impl Net {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Transport for Net {
    fn open(&self) -> Box<dyn Sockets> {
        // What is still on its way goes to a port that is closed.
        self.world().travelling.clear();
        self.world().datagrams.clear();
        Box::new(self.clone())
    }
}

impl Sockets for Net {
    fn room(&mut self, _: SocketAddr) -> io::Result<usize> {
        Ok(256)
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>) {
        batch.iter().for_each(|packet| self.world().send(packet));
        (batch.len(), None)
    }

    fn receive(&mut self, take: &mut dyn FnMut(&Incoming)) {
        let mut world = self.world();
        let truth = world.clock.truth();
        while let Some(&Reverse((arrival, index))) = world.travelling.peek()
            && arrival <= truth
        {
            world.travelling.pop();
            let stamp = Some(world.clock.system().realtime);
            take(&Incoming { stamp, ..world.datagrams[index] });
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let mut world = self.world();
        let arrival = world.travelling.peek().map(|Reverse((arrival, _))| *arrival - world.clock.truth());
        let until = arrival.map_or(timeout, |until| timeout.min(until.unsigned_abs()));
        // Woken a little late.
        let late = world.micros(300);
        world.pass(until + late);
    }

    fn local_address(&self, _: SocketAddr) -> Option<IpAddr> {
        None
    }
}

/// A day, or as long as it takes; what was seen, who was asked when, what was counted.
fn live(seed: u64, plan: Plan, seconds: i64) -> (Seen, Vec<(i64, usize)>, Counts) {
    let clock = Arc::new(SimClock::new(begin()));
    let world = World {
        start: clock.truth(),
        clock: Arc::clone(&clock),
        shared: None,
        dice: Rng::with_seed(seed),
        plan,
        happened: 0,
        in_round: Vec::new(),
        travelling: BinaryHeap::new(),
        datagrams: Vec::new(),
        asked: Vec::new(),
        seen: Seen::default(),
    };
    let net = Net(Arc::new(Mutex::new(world)));
    let mut dice = Rng::with_seed(seed ^ 0xd1ce);
    let source = |index: usize| {
        let port = u16::try_from(index + 1).unwrap();
        Source::new(SocketAddr::from(([192, 0, 2, 1], port)).into())
    };
    let mut keeper: Keeper = Monitor::builder()
        .sources((0..SOURCES).map(source))
        .clock(clock)
        .transport(Arc::new(net.clone()))
        .keeper(Box::new(move || dice.u32(..)))
        .unwrap();
    net.world().shared = Some(Arc::clone(&keeper.shared));
    while net.world().second() < seconds {
        match keeper.look() {
            Next::Round => keeper.round(),
            Next::Wait(length) => net.world().pass(length),
        }
    }
    let counts = keeper.shared.health().counts;
    let mut world = net.world();
    (std::mem::take(&mut world.seen), std::mem::take(&mut world.asked), counts)
}

/// How often a source was asked from one second to another.
fn asked(log: &[(i64, usize)], source: usize, from: i64, to: i64) -> usize {
    log.iter().filter(|&&(second, who)| who == source && (from..to).contains(&second)).count()
}

#[test]
fn a_day_with_everything_in_it() {
    let hours = |from: i64, to: i64| (from * HOUR, to * HOUR);
    let moods = [
        (0, hours(6, 8), Mood::Dead),
        (1, hours(6, 8), Mood::Dead),
        (2, hours(2, 4), Mood::Kissing(*b"RATE")),
        (3, hours(15, 17), Mood::Kissing(*b"DENY")),
        (4, hours(18, 19), Mood::Kissing(*b"RSTR")),
        (1, hours(20, 22), Mood::Lying(5_000)),
        (0, hours(22, 23), Mood::Lying(-20)),
        (0, hours(10, 14), Mood::Dead),
        (1, hours(10, 14), Mood::Dead),
        (2, hours(10, 14), Mood::Dead),
        (3, hours(10, 14), Mood::Dead),
        (4, hours(10, 14), Mood::Dead),
    ];
    let moods = moods.map(|(source, (from, to), mood)| (source, from, to, mood)).to_vec();
    let mut events = vec![
        (0, Event::Rate(100_000)),
        (HOUR + 111, Event::Step(3_000)),
        (2 * HOUR, Event::Rate(-100_000)),
        (3 * HOUR, Event::Suspend(2_400)),
        (5 * HOUR, Event::StepInRound(-90_000)),
        (HOUR + 1_800, Event::Slew(83_833_000)),
        (HOUR + 1_900, Event::Slew(-500_000)),
        (4 * HOUR, Event::Slew(-83_833_000)),
        (4 * HOUR + 700, Event::Slew(0)),
        (9 * HOUR, Event::Rate(70_000)),
        (17 * HOUR + 50, Event::SuspendInRound(1)),
        (19 * HOUR, Event::Suspend(5)),
        (23 * HOUR, Event::Rate(-40_000)),
    ];
    // Somebody steps the clock each second for two minutes.
    events.extend((0..120).map(|second| (9 * HOUR + 30 + second, Event::Step(50))));
    events.sort_by_key(|(second, _)| *second);
    let (seen, log, counts) = live(1, Plan { events, moods }, 24 * HOUR);

    assert!(seen.looks > 100_000, "{}", seen.looks);
    // There is an interval within a few seconds of the start and of each suspend, and always otherwise: the sources that died
    // were outlived.
    let expected = |second: i64| {
        [0, 3 * HOUR + 2_400, 19 * HOUR + 5].iter().any(|start| (0..12).contains(&(second - start)))
            // Sometime after it the next round begins, and is interrupted.
            || (17 * HOUR + 50..17 * HOUR + 50 + 700).contains(&second)
    };
    let odd: Vec<_> = seen.without.iter().filter(|second| !expected(**second)).collect();
    assert!(odd.is_empty(), "no interval at {odd:?}");
    let mut without = seen.without;
    without.dedup();
    assert!(without.len() < 20, "{without:?}");
    // Everything was noticed, once; those of the two minutes that fell into one round, together.
    assert_eq!(counts.suspends, 3);
    assert!((2 + 60..=2 + 120).contains(&counts.clock_steps), "{}", counts.clock_steps);
    // A step is a reason to measure at once, but not each second.
    assert!(asked(&log, 4, HOUR + 111, HOUR + 114) >= 1);
    assert!(asked(&log, 4, 9 * HOUR + 30, 9 * HOUR + 160) <= 8 * 5, "the sources are flooded");
    // Each round asks five times at most (one in ten exchanges is lost and tried again).
    let normal = asked(&log, 2, 0, 2 * HOUR);
    assert!((40..130).contains(&normal), "{normal}");
    // RATE: at first after 20 minutes, then after 40: after 2 h it was asked three times or four.
    let rated = asked(&log, 2, 2 * HOUR, 4 * HOUR);
    assert!((1..=8).contains(&rated), "{rated}");
    assert!(asked(&log, 2, 7 * HOUR, 9 * HOUR) > 40, "it is asked again once it answers");
    for (source, from, to) in [(3, 15, 17), (4, 18, 19)] {
        let denied = asked(&log, source, from * HOUR, to * HOUR);
        assert!((1..=4).contains(&denied), "{source}: {denied}");
        assert!(asked(&log, source, (to + 2) * HOUR, (to + 4) * HOUR) > 40, "{source} is asked again");
    }
}

/// A plan in which at most two of five sources are dead, or one lies while all live.
fn any_plan(seed: u64) -> Plan {
    let mut dice = Rng::with_seed(seed);
    let mut events = Vec::new();
    for _ in 0..24 {
        let event = match dice.u8(..8) {
            0 => Event::Step(dice.i64(-100_000..100_000)),
            1 => Event::Suspend(dice.u64(1..=7_200)),
            2 => Event::SuspendInRound(dice.u64(1..=600)),
            3 => Event::StepInRound(dice.i64(-5_000..5_000)),
            4 | 5 => Event::Slew(dice.i64(-83_833_000..=83_833_000)),
            _ => Event::Rate(dice.i64(-100_000..=100_000)),
        };
        events.push((dice.i64(0..24 * HOUR), event));
    }
    events.sort_by_key(|(second, _)| *second);
    let mut moods = Vec::new();
    for hour in 0..24 {
        let (from, to) = (hour * HOUR, (hour + 1) * HOUR);
        let [one, other] = [dice.usize(..SOURCES), dice.usize(..SOURCES)];
        match dice.u8(..4) {
            0 => moods.push((one, from, to, Mood::Lying(dice.i64(-10_000..10_000)))),
            1 => moods.extend([(one, from, to, Mood::Dead), (other, from, to, Mood::Dead)]),
            2 => moods.push((one, from, to, Mood::Kissing(*b"RATE"))),
            _ => moods.extend((0..SOURCES).map(|source| (source, from, to, Mood::Dead))),
        }
    }
    Plan { events, moods }
}

#[test]
fn any_day_is_right_or_silent_at_every_instant() {
    let mut looks = 0;
    let mut without = 0;
    for seed in 0..12 {
        let (seen, ..) = live(seed, any_plan(seed), 24 * HOUR);
        looks += seen.looks;
        without += seen.without.len() as u64;
    }
    // It must not be right by being silent.
    assert!(without * 5 < looks, "{without} of {looks} looks had no interval");
}
