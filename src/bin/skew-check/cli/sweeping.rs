//! How a fleet is swept: what `fleet` and `watch` are both told.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::{AskingOptions, duration};
use skewgate::clock::{Rules, RulesError};
use skewgate::fleet::SweepOptions;
use skewgate::ntp::{Options, Pace, Source};

/// What hosts are compared with, how all are asked, and how far off they may be.
#[derive(Debug, Args)]
pub(crate) struct SweepingOptions {
    /// A time source that hosts are compared with; repeat it for more. In place of those of the inventory.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    reference: Vec<Source>,
    /// The same for one that smears leap seconds.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    smeared: Vec<Source>,
    #[command(flatten)]
    asking: AskingOptions,
    /// A skew beyond this, either way, is a warning. In place of what the inventory says [default: 100ms].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(crate) warning: Option<humantime::Duration>,
    /// A skew beyond this, either way, is critical. In place of what the inventory says [default: 1s].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(crate) critical: Option<humantime::Duration>,
    /// How many packets to send a second, over all hosts; or "off".
    #[arg(long, value_name = "N", default_value = "5000", value_parser = max_rate)]
    max_rate: MaxRate,
    /// How many replies to wait for at once.
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = at_least_one)]
    max_in_flight: usize,
}

impl SweepingOptions {
    /// The sources that were named here: first those that don't smear.
    pub(crate) fn references(&self) -> Vec<Source> {
        let smeared = self.smeared.iter().cloned().map(|source| source.smeared(true));
        self.reference.iter().cloned().chain(smeared).collect()
    }

    /// The same for the library.
    pub(crate) fn sweep(&self) -> SweepOptions {
        let reference = self.asking.measurement();
        SweepOptions {
            pace: Pace { max_rate: self.max_rate.0, max_in_flight: self.max_in_flight, ..reference.pace },
            family: reference.family,
            reference,
            ..SweepOptions::default()
        }
    }

    /// Whether what they demand of so many reference sources can be had at all.
    pub(crate) fn check(&self, references: usize) -> Result<(), RulesError> {
        let Options { quorum, allow_single, limits, tolerated_liars, .. } = self.asking.measurement();
        Rules::new(references, quorum, allow_single, limits)?.tolerating(tolerated_liars)?;
        Ok(())
    }

    /// How long it takes when every one of so many hosts answers at once.
    pub(crate) fn shortest(&self, hosts: usize) -> Duration {
        let samples = u64::from(self.asking.samples);
        let packets = u64::try_from(hosts).unwrap_or(u64::MAX).saturating_mul(samples);
        let paced = self.max_rate.0.map_or(0, |rate| packets / u64::from(rate.get()));
        Duration::from_secs(paced).max(self.asking.shortest())
    }
}

#[derive(Clone, Copy, Debug)]
struct MaxRate(Option<NonZeroU32>);

fn max_rate(text: &str) -> Result<MaxRate, &'static str> {
    if text == "off" {
        return Ok(MaxRate(None));
    }
    text.parse()
        .map(|rate| MaxRate(Some(rate)))
        .map_err(|_| "write a number of packets a second from 1, or off")
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("write a number from 1")
}
