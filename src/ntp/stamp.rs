//! From the kernel's receive stamps to the raw timeline. Pure: readings are arguments.
//!
//! The kernel stamps a datagram with the system clock when it arrives; this process sees it later, by as much as
//! the machine is busy. The stamp says how much later, so that waiting for a processor isn't taken for delay on the way. But
//! the system clock can be stepped and slewed meanwhile, and a T4 that is too early would make the bound untrue.

use crate::clock::Reception;
use crate::time::{RawInstant, SignedDuration, SystemReading, Timestamp};

/// A step smaller than this can't be told from the noise of reading two clocks; T4 is put so much later.
const UNSEEN_STEP: SignedDuration = SignedDuration::from_micros(20);

/// The system clock is slewed by less than a tenth of the time that passes (chrony: at most 83,333 ppm, and the frequency
/// itself at most 500 ppm), so nine tenths of what it counted have passed at the least.
const fn surely_passed(counted: SignedDuration) -> SignedDuration {
    SignedDuration::from_nanos(counted.as_nanos() / 10 * 9)
}

/// Maps stamps to the raw timeline, one reading of the clocks for each time that datagrams are taken in.
///
/// A stamp counts where it lies between two readings, `before` and `now`, that show no step between them. It doesn't matter
/// when `before` was. Let a datagram have arrived at a, its stamp be S, and `before` and `now` be read at b and n, where the system
/// clock showed B ≤ S ≤ N:
///
/// - If it arrived after b, the clock ran from S to N while n − a passed, without a step: of N − S nine tenths have surely
///   passed, and n less these is not before a.
/// - If it arrived before b, the stamp is a step's doing, and still N − S ≤ N − B: of that nine tenths have surely
///   passed since b, and n less these is not before b, so it is after a.
///
/// So `before` may stay where it was while datagrams wait that arrived since: it moves where nothing is left, and where it is of no
/// use any more because of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    before: SystemReading,
    now: SystemReading,
    /// The system clock was not stepped between the two.
    steady: bool,
}

impl Stamps {
    /// Begins with a reading from before the first datagram.
    pub(super) const fn new(reading: SystemReading) -> Self {
        Self { before: reading, now: reading, steady: false }
    }

    /// Nothing was there to be taken in: whatever will be arrives after the last reading.
    pub(super) const fn nothing_left(&mut self) {
        self.before = self.now;
    }

    /// Datagrams were taken in, and then the clocks read.
    pub(super) fn read(&mut self, now: SystemReading) {
        if !self.steady {
            self.before = self.now;
        }
        let step = now.since_boot() - self.before.since_boot();
        let noise = (now.after - now.before) + (self.before.after - self.before.before);
        self.steady = step.unsigned_abs() <= UNSEEN_STEP.unsigned_abs() && noise <= UNSEEN_STEP;
        self.now = now;
    }

    /// The last reading: everything that was taken in arrived before.
    pub(super) const fn latest(&self) -> RawInstant {
        self.now.after
    }

    /// When a datagram that was taken in before the last reading arrived, or a little later: never earlier than the truth.
    pub(super) fn arrival(&self, stamp: Option<Timestamp>) -> (RawInstant, Reception) {
        let latest = self.latest();
        match stamp {
            Some(stamp) if self.steady && self.before.realtime <= stamp && stamp <= self.now.realtime => {
                let ago = surely_passed(self.now.realtime - stamp);
                let arrival = latest + (UNSEEN_STEP - ago);
                (arrival.min(latest), Reception::Kernel)
            }
            _ => (latest, Reception::Process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: i64 = 1_000_000;

    /// The clocks at `raw`: the system clock runs `offset` ahead of the time since boot.
    fn reading(raw: i64, offset: i64) -> SystemReading {
        SystemReading {
            before: RawInstant::from_nanos(raw),
            realtime: Timestamp::from_unix_nanos(raw + offset),
            boottime: SignedDuration::from_nanos(raw),
            after: RawInstant::from_nanos(raw),
        }
    }

    fn stamps(before: SystemReading, now: SystemReading) -> Stamps {
        let mut stamps = Stamps::new(before);
        stamps.read(now);
        stamps
    }

    fn at(nanos: i64) -> Option<Timestamp> {
        Some(Timestamp::from_unix_nanos(nanos))
    }

    #[test]
    fn a_stamp_takes_off_most_of_the_waiting() {
        let stamps = stamps(reading(0, 500), reading(10 * MILLI, 500));
        let (arrival, reception) = stamps.arrival(at(2 * MILLI + 500));
        assert_eq!(reception, Reception::Kernel);
        // It arrived at 2 ms; 8 ms were counted since, of which 7.2 ms are sure.
        assert_eq!(arrival.as_nanos(), 2 * MILLI + 800_000 + 20_000);
    }

    #[test]
    fn a_stamp_of_just_now_is_not_moved_into_the_future() {
        let stamps = stamps(reading(0, 0), reading(MILLI, 0));
        assert_eq!(stamps.arrival(at(MILLI)), (RawInstant::from_nanos(MILLI), Reception::Kernel));
    }

    #[test]
    fn without_a_stamp_or_with_an_impossible_one_it_arrived_now() {
        let stamps = stamps(reading(5 * MILLI, 0), reading(10 * MILLI, 0));
        for stamp in [None, at(4 * MILLI), at(11 * MILLI)] {
            assert_eq!(stamps.arrival(stamp), (RawInstant::from_nanos(10 * MILLI), Reception::Process));
        }
    }

    #[test]
    fn what_waited_behind_a_batch_keeps_its_stamp_until_nothing_is_left() {
        let mut stamps = stamps(reading(0, 0), reading(10 * MILLI, 0));
        stamps.read(reading(11 * MILLI, 0));
        // It arrived at 2 ms, and was not among the first that were taken in.
        let (arrival, reception) = stamps.arrival(at(2 * MILLI));
        assert_eq!((arrival.as_nanos(), reception), (2 * MILLI + 900_000 + 20_000, Reception::Kernel));
        stamps.nothing_left();
        stamps.read(reading(20 * MILLI, 0));
        assert_eq!(stamps.arrival(at(10 * MILLI)).1, Reception::Process, "it would have been taken in then");
        assert_eq!(stamps.arrival(at(12 * MILLI)).1, Reception::Kernel);
    }

    #[test]
    fn a_step_anywhere_since_nothing_was_left_makes_stamps_worthless_until_the_reading_after_it() {
        let mut stamps = stamps(reading(0, 0), reading(10 * MILLI, 0));
        stamps.read(reading(11 * MILLI, -5 * MILLI));
        assert_eq!(stamps.arrival(at(4 * MILLI)).1, Reception::Process);
        stamps.read(reading(12 * MILLI, -5 * MILLI));
        // 6 ms was shown at 11 ms.
        assert_eq!(stamps.arrival(at(5 * MILLI)).1, Reception::Process);
        let (arrival, reception) = stamps.arrival(at(6 * MILLI));
        assert_eq!((arrival.as_nanos(), reception), (11 * MILLI + 100_000 + 20_000, Reception::Kernel));
    }

    #[test]
    fn small_steps_do_not_add_up_unseen() {
        let mut stamps = stamps(reading(0, 0), reading(10 * MILLI, 15_000));
        assert_eq!(stamps.arrival(at(9 * MILLI)).1, Reception::Kernel);
        stamps.read(reading(11 * MILLI, 30_000));
        assert_eq!(stamps.arrival(at(9 * MILLI)).1, Reception::Process);
    }

    #[test]
    fn a_stepped_system_clock_makes_stamps_worthless() {
        for step in [-30_000 * MILLI, -MILLI, 21_000, MILLI, 3_600_000 * MILLI] {
            let stamps = stamps(reading(0, 0), reading(10 * MILLI, step));
            let (arrival, reception) = stamps.arrival(at(9 * MILLI));
            assert_eq!((arrival.as_nanos(), reception), (10 * MILLI, Reception::Process), "{step}");
        }
    }

    #[test]
    fn a_slow_reading_makes_stamps_worthless() {
        let slow = SystemReading { before: RawInstant::from_nanos(9 * MILLI), ..reading(10 * MILLI, 0) };
        assert_eq!(stamps(reading(0, 0), slow).arrival(at(9 * MILLI)).1, Reception::Process);
    }

    #[test]
    fn whatever_slew_and_small_step_there_is_the_arrival_is_never_too_early() {
        // (true arrival before now, slew in ppm either way, step that goes unseen)
        for waited in [0, 1_000, 100_000, MILLI, 50 * MILLI, 1_000 * MILLI] {
            for slew_ppm in [-100_000, -83_333, 0, 500, 83_833, 100_000] {
                for step in [-20_000, 0, 20_000] {
                    let now = 2_000 * MILLI;
                    let counted = waited
                        + waited / 1_000_000 * slew_ppm
                        + waited % 1_000_000 * slew_ppm / 1_000_000
                        + step;
                    let mut after = reading(now, 0);
                    after.boottime = after.boottime - SignedDuration::from_nanos(step);
                    let (arrival, _) = stamps(reading(0, 0), after).arrival(at(now - counted));
                    assert!(arrival.as_nanos() >= now - waited, "{waited} {slew_ppm} {step}");
                    assert!(arrival.as_nanos() <= now);
                }
            }
        }
    }
}
