//! Why samples or votes prove nothing.

use std::time::Duration;

/// No true time fits the measurements of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no true time fits its own samples: its clock is not as right as it claims, or it was stepped meanwhile"
)]
pub struct Inconsistent;

/// The sources together allow no estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEstimate {
    /// No source gave a usable bound.
    #[error(
        "none of the {configured} configured sources gave a usable answer: check the network, the addresses and the sources themselves"
    )]
    NothingUsable {
        /// Votes configured.
        configured: usize,
    },
    /// Too few of the configured sources agree.
    #[error(
        "no quorum: at most {agreeing} of the {configured} configured sources agree, {quorum} must: mend or replace the others"
    )]
    NoQuorum {
        /// The most that agree on some time.
        agreeing: usize,
        /// Votes configured.
        configured: usize,
        /// How many must agree.
        quorum: usize,
    },
    /// A quorum agrees, but too many of those that answered contradict it: with so many liars among them no
    /// bound is true.
    #[error(
        "{agreeing} of the {usable} sources that answered agree, {needed} must before a bound can be vouched for: find out which ones are wrong"
    )]
    TooManyDisagree {
        /// The most that agree on some time.
        agreeing: usize,
        /// Sources that gave a usable bound.
        usable: usize,
        /// How many of these must agree.
        needed: usize,
    },
    /// The bound would hold with fewer liars among the sources than was asked for.
    #[error(
        "with {usable} sources that answered, the bound holds with {tolerated} liars among them, {required} must be tolerated: add sources, or mend the silent ones"
    )]
    ToleratesTooFew {
        /// Sources that gave a usable bound.
        usable: usize,
        /// How many of these may lie.
        tolerated: usize,
        /// How many must be allowed to.
        required: usize,
    },
    /// The samples lie on both sides of an announced leap second, where servers mean different times.
    #[error("it was measured across a leap second: measure again")]
    AcrossLeapSecond,
    /// Several of the configured sources are one and the same, and too few votes are left.
    #[error("several of the sources are one and the same, and what is left is not enough: {0}")]
    TooFewVotes(RulesError),
}

/// The rules for an estimate contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// There is nothing to measure.
    #[error("no time source was given: name at least one, better four")]
    NoSources,
    /// A quorum of none, or of more than there are.
    #[error(
        "a quorum of {quorum} can't be had from {configured} sources: it must be between 1 and {configured}"
    )]
    ImpossibleQuorum {
        /// The quorum asked for.
        quorum: usize,
        /// Votes configured.
        configured: usize,
    },
    /// More liars than can be told from the others.
    #[error(
        "{configured} sources can't tolerate {liars} liars, {most} at the most: a majority must be honest, so add sources"
    )]
    ImpossibleTolerance {
        /// How many were to be tolerated.
        liars: usize,
        /// Votes configured.
        configured: usize,
        /// How many can be.
        most: usize,
    },
    /// An estimate would live across more than one end of a month, and so perhaps across two leap seconds.
    #[error("an estimate may be used for {longest:?} at the most, not {max_age:?}: choose a smaller max_age")]
    MaxAge {
        /// The age asked for.
        max_age: Duration,
        /// The longest.
        longest: Duration,
    },
    /// One source would be believed alone, and nobody said that this is meant.
    #[error(
        "a single source would be believed without another that bears it out: name more sources, or allow a single one explicitly"
    )]
    SingleSource,
}
