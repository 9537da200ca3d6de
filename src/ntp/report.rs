//! What one source said, and what to make of it.

use std::fmt;
use std::net::SocketAddr;

use super::{Header, ReferenceId, Source, SourceError};
use crate::clock::{OffsetInterval, SourceBound, Vote};

/// What one source said, and what to make of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceReport {
    /// The source as it was configured.
    pub source: Source,
    /// The address that answered, or the last one that was asked; `None` where the name did not resolve.
    pub address: Option<SocketAddr>,
    /// Whether to believe it; `None` where it can be used but there is no estimate to compare it with, and where the round was
    /// called off before it had its say.
    pub verdict: Option<Verdict>,
    /// What its samples prove together, of the time that it serves: where it smears leap seconds, UTC may be a
    /// second away.
    pub bound: Option<SourceBound>,
    /// True time minus system clock, by this source alone; a second wider where it may be smearing a leap second.
    pub offset: Option<OffsetInterval>,
    /// The header of the last reply that was accepted; where none was, of the last one that was refused.
    pub header: Option<Header>,
    /// Why it can't be used, or why the asking ended early.
    pub error: Option<SourceError>,
}

impl SourceReport {
    /// What it says, where it says anything that can be used.
    #[must_use]
    pub fn vote(&self) -> Option<Vote> {
        Some(Vote { bound: self.bound?, leap: self.header?.leap, smeared: self.source.is_smeared() })
    }

    /// Whom it follows, where that is another server: the reference identifier at strata 2 to 15. Addresses of
    /// 127.0.0.0/8 name a kind of reference clock, the same for everybody.
    #[must_use]
    pub fn upstream(&self) -> Option<ReferenceId> {
        let header = self.header?;
        let server = header.stratum >= 2 && !header.reference_id.as_ipv4().is_loopback();
        server.then_some(header.reference_id)
    }
}

/// Whether a source is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It supports the time that the sources agree on (RFC 5905 §11.2).
    Truechimer,
    /// It contradicts it.
    Falseticker,
    /// It contradicts itself.
    Inconsistent,
    /// Its replies were refused.
    Rejected,
    /// It doesn't know the time.
    Unsynchronised,
    /// It didn't answer, or couldn't be asked.
    Unreachable,
    /// It asked to be left alone.
    Kiss,
}

impl Verdict {
    /// The name in reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truechimer => "truechimer",
            Self::Falseticker => "falseticker",
            Self::Inconsistent => "inconsistent",
            Self::Rejected => "rejected",
            Self::Unsynchronised => "unsynchronised",
            Self::Unreachable => "unreachable",
            Self::Kiss => "kiss",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<&SourceError> for Verdict {
    fn from(error: &SourceError) -> Self {
        match error {
            SourceError::Unresolved { .. }
            | SourceError::ResolveTimeout { .. }
            | SourceError::ResolverBusy
            | SourceError::NoAddressOfFamily { .. }
            | SourceError::Cancelled
            | SourceError::Send { .. }
            | SourceError::Timeout { .. }
            | SourceError::LateReplies { .. } => Self::Unreachable,
            SourceError::OnlyStrays { .. } | SourceError::Refused(_) => Self::Rejected,
            SourceError::Kiss(_) => Self::Kiss,
            SourceError::Unsynchronised { .. } => Self::Unsynchronised,
            SourceError::Inconsistent(_) => Self::Inconsistent,
        }
    }
}

/// What deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Several sources follow the same upstream: they would be wrong together.
    CommonUpstream {
        /// The reference identifier that they share.
        reference_id: ReferenceId,
        /// The sources, as given.
        sources: Vec<String>,
    },
    /// Several entries are one source, and have one vote together.
    SharedVote {
        /// The sources, as given.
        sources: Vec<String>,
    },
    /// A source does not say when its clock was last set, or that was over a day ago.
    StaleReference {
        /// The source, as given.
        source: String,
    },
    /// Sources that are declared to smear leap seconds and others that aren't miss each other by a second at the
    /// most, as they do during a smear. Compared is the time that they serve: as votes the former are a second wider
    /// around the end of a month, and agree with everybody.
    MixedSmear {
        /// The declared ones of these, as given.
        smeared: Vec<String>,
        /// The others of these, as given.
        others: Vec<String>,
    },
    /// A source says that it is smearing a leap second now, and was not declared to: its vote may be wrong.
    UndeclaredSmear {
        /// The source, as given.
        source: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommonUpstream { reference_id, sources } => write!(
                f,
                "{} follow the same upstream ({}): they would be wrong together, so they should have one vote together",
                some_of(sources),
                reference_id.to_text(2),
            ),
            Self::SharedVote { sources } => {
                write!(f, "{} are one source: they have one vote together", some_of(sources))
            }
            Self::StaleReference { source } => {
                write!(f, "{source} does not say when its clock was last set, or that was over a day ago")
            }
            Self::MixedSmear { smeared, others } => write!(
                f,
                "sources that are declared to smear leap seconds ({}) and others that aren't ({}) disagree by up to \
                 a second: perhaps a leap second is being smeared; use sources that all smear, or none that does",
                some_of(smeared),
                some_of(others),
            ),
            Self::UndeclaredSmear { source } => write!(
                f,
                "{source} is smearing a leap second (its reference identifier is {}) and is not declared to: \
                 declare it as smeared, or replace it by one that doesn't smear",
                ReferenceId::CHRONY_SMEAR.to_text(2),
            ),
        }
    }
}

/// The first few, and how many more there are: a line that nobody can read warns nobody.
fn some_of(sources: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = sources.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match sources.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
