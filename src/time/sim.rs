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
/// ```
/// use skewgate::time::{LocalClock, SignedDuration, sim::SimClock};
/// use std::time::Duration;
///
/// let host = SimClock::new("2026-01-01T00:00:00Z".parse()?);
/// host.set_rate_error_ppb(50_000); // the raw clock runs 50 ppm fast
/// let start = host.raw();
/// host.advance(Duration::from_secs(100));
/// assert_eq!(host.raw() - start, SignedDuration::from_millis(100_005));
/// # Ok::<(), skewgate::time::TimeError>(())
/// ```
#[derive(Debug)]
pub struct SimClock {
    world: Mutex<World>,
}

#[derive(Clone, Copy, Debug)]
struct World {
    booted: Timestamp,
    truth: Timestamp,
    /// Nanoseconds in 2³² parts, so that a small rate error is not lost in many short steps.
    raw_fine: i128,
    rate_error_ppb: i64,
    system_offset: SignedDuration,
    suspended: SignedDuration,
}

const FINE: i128 = 1 << 32;

impl SimClock {
    /// A host whose clocks are all right, at this true time.
    #[must_use]
    pub const fn new(truth: Timestamp) -> Self {
        Self {
            world: Mutex::new(World {
                booted: truth,
                truth,
                raw_fine: 0,
                rate_error_ppb: 0,
                system_offset: SignedDuration::ZERO,
                suspended: SignedDuration::ZERO,
            }),
        }
    }

    /// True time now.
    #[must_use]
    pub fn truth(&self) -> Timestamp {
        lock(&self.world).truth
    }

    /// Lets true time pass; the raw clock follows at its own rate.
    pub fn advance(&self, length: Duration) {
        let mut world = lock(&self.world);
        let nanos = i128::from(SignedDuration::from(length).as_nanos());
        world.truth = world.truth + SignedDuration::from(length);
        world.raw_fine += nanos * FINE + nanos * FINE * i128::from(world.rate_error_ppb) / 1_000_000_000;
    }

    /// From here on the raw clock runs fast by so many parts in 10⁹.
    pub fn set_rate_error_ppb(&self, rate_error_ppb: i64) {
        lock(&self.world).rate_error_ppb = rate_error_ppb;
    }

    /// Sets the system clock this much ahead of the truth.
    pub fn set_system_offset(&self, ahead: SignedDuration) {
        lock(&self.world).system_offset = ahead;
    }

    /// Suspends the host: true time passes, the raw clock stands still.
    pub fn suspend(&self, length: Duration) {
        let mut world = lock(&self.world);
        world.truth = world.truth + SignedDuration::from(length);
        world.suspended += SignedDuration::from(length);
    }
}

impl LocalClock for SimClock {
    fn raw(&self) -> RawInstant {
        let nanos = lock(&self.world).raw_fine.div_euclid(FINE);
        RawInstant::from_nanos(SignedDuration::saturating_from_nanos(nanos).as_nanos())
    }

    fn suspended(&self) -> SignedDuration {
        lock(&self.world).suspended
    }

    fn system(&self) -> SystemReading {
        let raw = self.raw();
        let world = lock(&self.world);
        SystemReading {
            before: raw,
            realtime: world.truth + world.system_offset,
            boottime: world.truth - world.booted,
            after: raw,
        }
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
        assert!((999..=1_000).contains(&gained), "{gained}");
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
    fn a_pretended_offset_moves_the_system_clock_only() {
        let host = SimClock::new(Timestamp::from_unix_nanos(0));
        let slow = Pretend::new(&host, SignedDuration::from_secs(-40));
        assert_eq!(slow.raw(), host.raw());
        assert_eq!(slow.system().realtime - host.system().realtime, SignedDuration::from_secs(-40));
    }
}
