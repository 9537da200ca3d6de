//! How often, how fast and how patiently servers are asked.

use std::num::NonZeroU32;
use std::time::Duration;

/// How the sources are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many replies are wanted from each source. Default 4.
    pub samples: u32,
    /// The pause between a reply and the next request to the same source. Default 200 ms.
    pub interval: Duration,
    /// How long a reply is waited for. Default 1 s.
    pub timeout: Duration,
    /// How often a request is sent again when there is no reply, before the next address of the source is
    /// tried. Default 1.
    pub retries: u32,
    /// How many packets are sent a second, over all sources, so that asking many is no flood. What a pause left unsent is made
    /// up for at once: up to 32 packets, and no more than a tenth of a second's worth, or one. Default 5,000; `None`: as fast
    /// as they can be sent.
    pub max_rate: Option<NonZeroU32>,
    /// How many replies are waited for at once. Default 4,096, and never more than the socket's buffer holds, since what
    /// doesn't fit there is lost. On Linux `net.core.rmem_max` limits that buffer; with its default of 212,992 bytes 384
    /// replies surely fit.
    pub max_in_flight: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            samples: 4,
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(1),
            retries: 1,
            max_rate: NonZeroU32::new(5_000),
            max_in_flight: 4_096,
        }
    }
}
