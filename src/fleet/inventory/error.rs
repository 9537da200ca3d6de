//! What is wrong with an inventory.

use std::time::Duration;

use crate::fleet::UpstreamError;
use crate::ntp::SourceAddrError;

/// What is wrong with an inventory. None of these texts repeats a part of it that could drive a terminal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// Something in a text.
    #[error("line {line}, column {column}: {problem}")]
    At {
        /// The first is 1.
        line: usize,
        /// In characters, the first is 1.
        column: usize,
        /// What is wrong there.
        problem: Box<InventoryError>,
    },
    /// A host, or a source, is none.
    #[error(transparent)]
    Host(#[from] SourceAddrError),
    /// An upstream is none.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// There is nobody to ask.
    #[error("there are no hosts: name one at least")]
    NoHosts,
    /// There is nothing to compare with.
    #[error("there are no reference sources: name one at least that the hosts are compared with")]
    NoReferences,
    /// The same host is there twice.
    #[error("{again} is listed twice (it is the same host as {first}): leave one of them out")]
    HostTwice {
        /// How it was written first.
        first: String,
        /// How it was written again.
        again: String,
    },
    /// Two groups have one name.
    #[error("there is a group of this name already: put all its hosts into one")]
    GroupTwice,
    /// Not a name for a group.
    #[error("a group's name has 1 to 200 bytes, and no control characters")]
    GroupName,
    /// Not a name for a label.
    #[error(
        "a label's name is made of letters, digits and underscores, doesn't begin with a digit or two underscores, \
         and is none of host, address, group, state, flag, measures and le"
    )]
    LabelName,
    /// Not a value for a label.
    #[error("a label's value has at most 200 bytes, and no control characters")]
    LabelValue,
    /// The thresholds are the wrong way round.
    #[error(
        "the warning threshold ({warning:?}) is above the critical one ({critical:?}): it must come first"
    )]
    Thresholds {
        /// The warning.
        warning: Duration,
        /// What is critical.
        critical: Duration,
    },
    /// Not one of the clocks.
    #[error("it is one of \"served\", \"system\" and \"unknown\"")]
    Measures,
    /// Not TOML, or not an inventory's.
    #[error("{detail}")]
    Toml {
        /// What the reader says.
        detail: String,
    },
}

impl InventoryError {
    /// With the place that it is at.
    pub(super) fn at(self, line: usize, column: usize) -> Self {
        Self::At { line, column, problem: Box::new(self) }
    }
}
