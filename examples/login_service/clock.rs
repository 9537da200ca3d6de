//! What time it is, and what to tell users and operators of that.

use std::sync::Arc;
use std::time::Duration;

use skewgate::monitor::{Counts, Monitor};
use skewgate::otp::Totp;
use skewgate::time::os::{OsClock, SystemTime};
use skewgate::time::{LocalClock, SignedDuration, TimeError, TimeInterval, TimeSource, Timestamp};
use skewgate::window::{Window, WindowError, WindowPolicy};

use crate::arguments::ClockArguments;
use crate::error::StartError;

/// Measured by a monitor in the background, or vouched for by the operator.
pub(crate) enum Clock {
    Monitored { monitor: Box<Monitor>, configured: usize },
    System(SystemTime),
}

/// Why no code can be judged.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Untrusted {
    #[error(transparent)]
    Unknown(#[from] TimeError),
    #[error(transparent)]
    TooUncertain(#[from] WindowError),
    #[error("the monitor has stopped: restart the service")]
    Stopped,
}

/// How the clock is doing.
pub(crate) struct Report {
    pub(crate) now: Result<TimeInterval, Untrusted>,
    /// None where nothing is measured.
    pub(crate) measured: Option<Measured>,
}

pub(crate) struct Measured {
    /// True time minus this host's clock, at its most likely.
    pub(crate) offset: Option<SignedDuration>,
    pub(crate) configured: usize,
    /// Of the last measurement that told the time, and how many agreed in it, or contradicted those.
    pub(crate) age: Option<Duration>,
    pub(crate) agreeing: usize,
    pub(crate) contested: bool,
    pub(crate) last_error: Option<String>,
    pub(crate) counts: Counts,
}

impl Clock {
    pub(crate) fn start(arguments: ClockArguments) -> Result<Arc<Self>, StartError> {
        let ClockArguments { sources, system_clock, allow_single, interval, max_age } = arguments;
        if let Some(max_error) = system_clock {
            return Ok(Arc::new(Self::System(SystemTime::with_max_error(max_error))));
        }
        let mut options = skewgate::ntp::Options { allow_single, ..Default::default() };
        if let Some(max_age) = max_age {
            options.limits.max_age = max_age;
        }
        let configured = sources.len();
        let monitor = Monitor::builder().sources(sources).options(options).interval(interval).spawn()?;
        Ok(Arc::new(Self::Monitored { monitor: Box::new(monitor), configured }))
    }

    pub(crate) fn report(&self) -> Report {
        let (monitor, configured) = match self {
            Self::System(clock) => return Report { now: judge(clock.now()), measured: None },
            Self::Monitored { monitor, configured } => (monitor, *configured),
        };
        let health = monitor.health();
        let measured = Measured {
            offset: health.estimate.map(|estimate| estimate.best_system_offset(&OsClock.system())),
            age: health.age,
            agreeing: health.agreeing(),
            configured,
            contested: health.contested(),
            last_error: health.last_error.map(|error| error.to_string()),
            counts: health.counts,
        };
        let now = if health.running { judge(health.now) } else { Err(Untrusted::Stopped) };
        Report { now, measured: Some(measured) }
    }
}

/// An interval is of use where the window of an ordinary token fits into it: logins would be refused otherwise.
fn judge(now: Result<TimeInterval, TimeError>) -> Result<TimeInterval, Untrusted> {
    let now = now?;
    let t0 = Timestamp::from_unix_nanos(0);
    Window::for_enrolment(&WindowPolicy::default(), Totp::DEFAULT_PERIOD, t0, &now, 1)?;
    Ok(now)
}

impl TimeSource for Clock {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        match self {
            Self::Monitored { monitor, .. } => monitor.now(),
            Self::System(clock) => clock.now(),
        }
    }
}

impl Report {
    /// For the foot of every page.
    pub(crate) fn summary(&self) -> String {
        match (&self.now, &self.measured) {
            (Err(_), _) => "The time is not known well enough: nobody can be signed in".into(),
            (Ok(now), None) => format!("Clock: this host's, right to {}", rounded(now.half_width())),
            (Ok(now), Some(measured)) => format!(
                "Clock: known to ±{}, {} of {} time sources agreed{}",
                rounded(now.half_width()),
                measured.agreeing,
                measured.configured,
                if measured.contested { ", others contradicted them" } else { "" }
            ),
        }
    }
}

/// Rounded up, to a figure that people can read.
pub(crate) fn rounded(length: Duration) -> String {
    let nanos = length.as_nanos();
    match nanos {
        0..1_000_000 => format!("{} µs", nanos.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} ms", nanos.div_ceil(1_000_000)),
        _ => {
            let tenths = nanos.div_ceil(100_000_000);
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
    }
}
