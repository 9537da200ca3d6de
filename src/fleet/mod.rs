//! A fleet: whose clock is wrong, by how much, and how surely.
//!
//! Every host is compared with the sources of the same run, so the clock of the host that measures has no part in what is
//! reported. A host is read, not believed: what it says of its own error doesn't count, and it is measured whether or not
//! it is synchronised.
//!
//! ```text
//! inventory.rs   which hosts there are, their groups and thresholds, what they are compared with; from code, lines, or TOML
//! upstream.rs    whom a host should follow, and what its reference identifier says
//! sweep.rs       asks all of them: the only file here that does I/O
//! reading.rs     what a host's replies prove of its clock
//! reference.rs   true time during the sweep, from several rounds
//! report.rs      skew, flags, states, summaries; pair.rs: the two hosts that are farthest apart
//! severity.rs    how much a state matters
//! alarm.rs       what changed from sweep to sweep, and stayed
//! history/       what sweeps found, in a file (feature `watch`)
//! ```
//!
//! ```
//! use skewgate::fleet::{Inventory, SweepOptions, sweep};
//! use skewgate::ntp::{Responder, Script};
//! use skewgate::time::{SignedDuration, os::OsClock};
//! use std::sync::Arc;
//!
//! let serve = |ahead| Responder::spawn(([127, 0, 0, 1], 0).into(), Script::ahead_by(ahead), OsClock);
//! let (source, right, wrong) =
//!     (serve(SignedDuration::ZERO)?, serve(SignedDuration::ZERO)?, serve(SignedDuration::from_secs(3))?);
//!
//! let mut inventory = Inventory::builder();
//! inventory.reference(source.address().into());
//! inventory.lines(&format!("{}\n{}\n", right.address(), wrong.address()))?;
//! let mut options = SweepOptions::default();
//! options.reference.allow_single = true;
//!
//! let report = sweep(&Arc::new(inventory.build()?), &options, &OsClock, &mut |_| {})?;
//! let states: Vec<_> = report.hosts.iter().map(|host| host.state().name()).collect();
//! assert_eq!(states, ["in-sync", "skewed"]);
//! assert!(report.hosts[1].skew.is_some_and(|skew| skew.contains(SignedDuration::from_secs(3))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod alarm;
#[cfg(feature = "watch")]
#[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
pub mod history;
mod inventory;
mod pair;
mod reading;
mod reference;
mod report;
mod severity;
mod state;
mod sweep;
mod upstream;

pub use alarm::{Alarm, Alarms, Condition, Standing, StandingError, Subject, Transition};
#[cfg(feature = "watch")]
#[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
pub use history::{History, HistoryError, Retention};
pub use inventory::{
    Group, GroupId, Host, Inventory, InventoryBuilder, InventoryError, Labels, Measures, Thresholds,
};
pub use pair::Pair;
pub use reading::Reading;
pub use reference::Reference;
pub use report::{GroupSummary, HostReport, Identity, Margin, Report};
pub use severity::Severity;
pub use state::{Flag, Flags, State, Summary};
pub use sweep::{Phase, Progress, SweepError, SweepOptions, sweep, sweep_over};
pub use upstream::{Upstream, UpstreamError};
