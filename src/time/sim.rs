//! Time that does what it is told: for tests, simulations and demonstrations.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    LocalClock, RawInstant, SignedDuration, SystemReading, TimeError, TimeInterval, TimeSource, Timestamp,
};

/// A [`TimeSource`] that says what it was last set to.
///
/// ```
/// use skewgate::time::{TimeInterval, TimeSource, sim::SimTime};
/// use std::time::Duration;
///
/// let now = TimeInterval::around("2026-01-01T00:00:00Z".parse()?, Duration::from_secs(2));
/// let source = SimTime::new(now);
/// assert_eq!(source.now()?, now);
/// source.advance(Duration::from_secs(30));
/// assert!(source.now()?.contains("2026-01-01T00:00:30Z".parse()?));
/// # Ok::<(), skewgate::time::TimeError>(())
/// ```
#[derive(Debug)]
pub struct SimTime {
    answer: Mutex<Result<TimeInterval, TimeError>>,
}

impl SimTime {
    /// It is `now` until told otherwise.
    #[must_use]
    pub const fn new(now: TimeInterval) -> Self {
        Self { answer: Mutex::new(Ok(now)) }
    }

    /// From here on it is `now`, or there is no time.
    pub fn set(&self, now: Result<TimeInterval, TimeError>) {
        *lock(&self.answer) = now;
    }

    /// Both ends move forward by `length`.
    pub fn advance(&self, length: Duration) {
        let mut answer = lock(&self.answer);
        if let Ok(now) = *answer {
            let length = SignedDuration::from(length);
            *answer = TimeInterval::new(now.earliest() + length, now.latest() + length)
                .map_err(|_| TimeError::OutOfRange);
        }
    }
}

impl TimeSource for SimTime {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        *lock(&self.answer)
    }

    fn system_clock(&self) -> Timestamp {
        self.now().map_or(Timestamp::from_unix_nanos(0), |now| now.midpoint())
    }
}

/// A host in a simulated world: true time is known, and its clocks are wrong in ways that can be set.
///
/// It has the clocks of Linux. The raw one runs at a rate of its own. REALTIME, BOOTTIME and MONOTONIC run together at another one:
/// a time daemon corrects them, and slews them by up to 83,333 ppm (chrony's limit). A step moves REALTIME alone, and
/// suspends are what BOOTTIME − MONOTONIC counts.
///
/// ```
/// use skewgate::time::{LocalClock, SignedDuration, sim::SimClock};
/// use std::time::Duration;
///
/// let host = SimClock::new("2026-01-01T00:00:00Z".parse()?);
/// host.set_rate_error_ppb(50_000); // the raw clock runs 50 ppm fast
/// host.set_system_rate_error_ppb(-83_333_000); // chrony slews the system clock back
/// let (start, system) = (host.raw(), host.system());
/// host.advance(Duration::from_secs(100));
/// assert_eq!(host.raw() - start, SignedDuration::from_millis(100_005));
/// assert_eq!(host.system().realtime - system.realtime, SignedDuration::from_micros(91_666_700));
/// # Ok::<(), skewgate::time::TimeError>(())
/// ```
#[derive(Debug)]
pub struct SimClock {
    world: Mutex<World>,
}

#[derive(Clone, Copy, Debug)]
struct World {
    truth: Timestamp,
    raw: Counter,
    /// BOOTTIME, from which the other two differ by what follows.
    boottime: Counter,
    realtime_minus_boottime: SignedDuration,
    suspended: SignedDuration,
    reading_time: Duration,
}

/// A clock that counts nanoseconds at a rate of its own. Nothing is lost to rounding, however short the steps are.
#[derive(Clone, Copy, Debug)]
struct Counter {
    nanos: i64,
    /// Billionths of a nanosecond.
    rest: i128,
    rate_error_ppb: i64,
}

const BILLION: i128 = 1_000_000_000;

impl Counter {
    const AT_BOOT: Self = Self { nanos: 0, rest: 0, rate_error_ppb: 0 };

    fn advance(&mut self, length: SignedDuration) {
        let rate = BILLION + i128::from(self.rate_error_ppb);
        let counted = i128::from(length.as_nanos()) * rate + self.rest;
        let whole = SignedDuration::saturating_from_nanos(counted.div_euclid(BILLION));
        self.nanos = self.nanos.saturating_add(whole.as_nanos());
        self.rest = counted.rem_euclid(BILLION);
    }

    const fn raw(&self) -> RawInstant {
        RawInstant::from_nanos(self.nanos)
    }

    const fn since_boot(&self) -> SignedDuration {
        SignedDuration::from_nanos(self.nanos)
    }
}

impl World {
    fn advance(&mut self, length: Duration) {
        let length = SignedDuration::from(length);
        self.truth = self.truth + length;
        self.raw.advance(length);
        self.boottime.advance(length);
    }

    /// What a clock shows, and the time that reading it takes is over.
    fn read<T>(&mut self, clock: impl Fn(&Self) -> T) -> T {
        let shown = clock(self);
        if !self.reading_time.is_zero() {
            self.advance(self.reading_time);
        }
        shown
    }

    fn realtime(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0) + self.realtime_minus_boottime + self.boottime.since_boot()
    }
}

impl SimClock {
    /// A host that boots at this true time, with clocks that are all right and read in no time.
    #[must_use]
    pub const fn new(truth: Timestamp) -> Self {
        Self {
            world: Mutex::new(World {
                truth,
                raw: Counter::AT_BOOT,
                boottime: Counter::AT_BOOT,
                realtime_minus_boottime: SignedDuration::from_nanos(truth.as_unix_nanos()),
                suspended: SignedDuration::ZERO,
                reading_time: Duration::ZERO,
            }),
        }
    }

    /// True time now.
    #[must_use]
    pub fn truth(&self) -> Timestamp {
        lock(&self.world).truth
    }

    /// Lets true time pass; each clock follows at its own rate.
    pub fn advance(&self, length: Duration) {
        lock(&self.world).advance(length);
    }

    /// From here on the raw clock runs fast by so many parts in 10⁹ of true time. Whoever wants a rate that wanders sets it
    /// again and again.
    pub fn set_rate_error_ppb(&self, rate_error_ppb: i64) {
        lock(&self.world).raw.rate_error_ppb = rate_error_ppb;
    }

    /// From here on REALTIME, BOOTTIME and MONOTONIC run fast by so many parts in 10⁹ of true time: what is left of the
    /// clock's error after a time daemon corrected its frequency, and while it slews, the slew. The raw clock is not touched.
    pub fn set_system_rate_error_ppb(&self, rate_error_ppb: i64) {
        lock(&self.world).boottime.rate_error_ppb = rate_error_ppb;
    }

    /// Steps the system clock (REALTIME) so that it is this much ahead of the truth.
    pub fn set_system_offset(&self, ahead: SignedDuration) {
        let mut world = lock(&self.world);
        let by = world.truth + ahead - world.realtime();
        world.realtime_minus_boottime += by;
    }

    /// Steps the system clock (REALTIME) by so much.
    pub fn step_system(&self, by: SignedDuration) {
        lock(&self.world).realtime_minus_boottime += by;
    }

    /// Suspends the host: true time passes, REALTIME and BOOTTIME are set right for it afterwards, MONOTONIC and the raw clock
    /// stand still.
    pub fn suspend(&self, length: Duration) {
        let length = SignedDuration::from(length);
        let mut world = lock(&self.world);
        world.truth = world.truth + length;
        world.suspended += length;
        world.boottime.nanos = world.boottime.nanos.saturating_add(length.as_nanos());
    }

    /// From here on so much true time passes after each reading of a clock: a bracketed reading of the system clock is
    /// three of these wide. A long one, set for a moment, is a process that is interrupted between two readings.
    pub fn set_reading_time(&self, length: Duration) {
        lock(&self.world).reading_time = length;
    }
}

impl LocalClock for SimClock {
    fn raw(&self) -> RawInstant {
        lock(&self.world).read(|world| world.raw.raw())
    }

    fn suspended(&self) -> SignedDuration {
        // BOOTTIME − MONOTONIC: both run at one rate, and only a suspend tells them apart.
        lock(&self.world).read(|world| world.suspended)
    }

    fn system(&self) -> SystemReading {
        let mut world = lock(&self.world);
        let before = world.read(|world| world.raw.raw());
        let realtime = world.read(World::realtime);
        let boottime = world.read(|world| world.boottime.since_boot());
        SystemReading { before, realtime, boottime, after: world.raw.raw() }
    }
}

/// A real host that pretends that its system clock is off.
#[derive(Clone, Copy, Debug)]
pub struct Pretend<C> {
    clock: C,
    system_offset: SignedDuration,
}

impl<C: LocalClock> Pretend<C> {
    /// The clocks of `clock`, with the system clock this much ahead of where it is.
    #[must_use]
    pub const fn new(clock: C, system_offset: SignedDuration) -> Self {
        Self { clock, system_offset }
    }
}

impl<C: LocalClock> LocalClock for Pretend<C> {
    fn raw(&self) -> RawInstant {
        self.clock.raw()
    }

    fn suspended(&self) -> SignedDuration {
        self.clock.suspended()
    }

    fn system(&self) -> SystemReading {
        let reading = self.clock.system();
        SystemReading { realtime: reading.realtime + self.system_offset, ..reading }
    }
}

/// A panic in another thread leaves plain numbers behind, never a broken invariant.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rate_errors_survive_short_steps() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        host.set_rate_error_ppb(1_000);
        let start = host.raw();
        for _ in 0..1_000_000 {
            // Each of these is a thousandth of a nanosecond too long.
            host.advance(Duration::from_nanos(1_000));
        }
        let gained = (host.raw() - start).as_nanos() - 1_000_000_000;
        assert_eq!(gained, 1_000);
    }

    #[test]
    fn raw_stands_still_while_suspended() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        let (raw, truth) = (host.raw(), host.truth());
        host.suspend(Duration::from_secs(60));
        assert_eq!(host.raw(), raw);
        assert_eq!(host.truth() - truth, SignedDuration::from_secs(60));
        assert_eq!(host.suspended(), SignedDuration::from_secs(60));
    }

    #[test]
    fn a_slew_takes_realtime_and_boottime_along_and_leaves_the_raw_clock_alone() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        for (rate_ppb, counted_ms) in [(83_333_000, 1_083_333), (-83_333_000, 916_667), (0, 1_000_000)] {
            host.set_system_rate_error_ppb(rate_ppb);
            let (raw, before) = (host.raw(), host.system());
            host.advance(Duration::from_secs(1_000));
            let after = host.system();
            assert_eq!(host.raw() - raw, SignedDuration::from_secs(1_000));
            assert_eq!(after.realtime - before.realtime, SignedDuration::from_millis(counted_ms));
            assert_eq!(after.boottime - before.boottime, SignedDuration::from_millis(counted_ms));
            assert_eq!((after.since_boot(), host.suspended()), (before.since_boot(), SignedDuration::ZERO));
        }
    }

    #[test]
    fn a_step_moves_realtime_alone() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        host.advance(Duration::from_secs(1));
        let before = host.system();
        host.step_system(SignedDuration::from_millis(-300));
        let after = host.system();
        assert_eq!(after.realtime - before.realtime, SignedDuration::from_millis(-300));
        assert_eq!((after.boottime, after.after), (before.boottime, before.after));
        host.set_system_offset(SignedDuration::from_secs(40));
        assert_eq!(host.system().realtime - host.truth(), SignedDuration::from_secs(40));
    }

    #[test]
    fn a_suspend_is_no_step() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        let before = host.system();
        host.suspend(Duration::from_secs(60));
        let after = host.system();
        assert_eq!((after.since_boot(), after.after), (before.since_boot(), before.after));
        assert_eq!(after.boottime - before.boottime, SignedDuration::from_secs(60));
        assert_eq!(after.realtime, host.truth());
    }

    #[test]
    fn readings_take_the_time_they_are_told_to() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        host.set_reading_time(Duration::from_nanos(30));
        let first = host.raw();
        let reading = host.system();
        assert_eq!((reading.before - first).as_nanos(), 30);
        assert_eq!((reading.after - reading.before).as_nanos(), 90);
        assert_eq!(reading.realtime.as_unix_nanos(), reading.before.as_nanos() + 30);
        assert_eq!(reading.boottime.as_nanos(), reading.before.as_nanos() + 60);
    }

    #[test]
    fn a_pretended_offset_moves_the_system_clock_only() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        let slow = Pretend::new(&host, SignedDuration::from_secs(-40));
        assert_eq!(slow.raw(), host.raw());
        assert_eq!(slow.system().realtime - host.system().realtime, SignedDuration::from_secs(-40));
    }
}
