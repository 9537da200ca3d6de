//! What a host's report comes to, in a word. Pure.

use std::fmt;

/// Something that holds of a host. They are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Flag {
    /// It didn't answer, or couldn't be asked.
    Unreachable,
    /// It answered something that can't be right, or asked to be left alone.
    Rejected,
    /// Its clock is off by more than the warning threshold, for certain.
    Skewed,
    /// By more than the critical threshold, for certain.
    Critical,
    /// It says that it doesn't know the time.
    Unsynchronised,
    /// It may be off by more than the warning threshold, and may be not: delay is never called skew. Or there is nothing to
    /// compare it with.
    Inconclusive,
    /// It follows none of the approved upstreams.
    ForeignReference,
    /// Whom it follows can't be told from its reference identifier.
    ReferenceUnknown,
    /// Its samples contradict each other: its clock was stepped, or is slewed fast.
    Unsteady,
}

impl Flag {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Rejected,
        Self::Skewed,
        Self::Critical,
        Self::Unsynchronised,
        Self::Inconclusive,
        Self::ForeignReference,
        Self::ReferenceUnknown,
        Self::Unsteady,
    ];

    /// The name in reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Skewed => "skewed",
            Self::Critical => "critical",
            Self::Unsynchronised => "unsynchronised",
            Self::Inconclusive => "inconclusive",
            Self::ForeignReference => "foreign-reference",
            Self::ReferenceUnknown => "reference-unknown",
            Self::Unsteady => "unsteady",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The flags of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// With one more.
    #[must_use]
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | 1 << flag as u16)
    }

    /// With one more where `holds`.
    #[must_use]
    pub const fn with_if(self, flag: Flag, holds: bool) -> Self {
        if holds { self.with(flag) } else { self }
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & 1 << flag as u16 != 0
    }

    /// Those that hold, in order.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |flag| self.contains(*flag))
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::default(), Self::with)
    }
}

/// The first thing to know of a host: of its flags, the one that matters most. Ordered: the one that comes first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// It didn't answer.
    Unreachable,
    /// Its answer can't be used.
    Rejected,
    /// Its clock is surely off.
    Skewed,
    /// Its clock may be right; nobody sees to that.
    Unsynchronised,
    /// Its clock may be off, or not.
    Inconclusive,
    /// Its clock is right, and follows somebody who is not approved.
    ForeignReference,
    /// Its clock is right; whom it follows can't be told.
    ReferenceUnknown,
    /// All is as it should be.
    InSync,
}

impl State {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Rejected,
        Self::Skewed,
        Self::Unsynchronised,
        Self::Inconclusive,
        Self::ForeignReference,
        Self::ReferenceUnknown,
        Self::InSync,
    ];

    /// What flags come to.
    #[must_use]
    pub fn of(flags: Flags) -> Self {
        [
            (Flag::Unreachable, Self::Unreachable),
            (Flag::Rejected, Self::Rejected),
            (Flag::Skewed, Self::Skewed),
            (Flag::Unsynchronised, Self::Unsynchronised),
            (Flag::Inconclusive, Self::Inconclusive),
            (Flag::ForeignReference, Self::ForeignReference),
            (Flag::ReferenceUnknown, Self::ReferenceUnknown),
        ]
        .into_iter()
        .find_map(|(flag, state)| flags.contains(flag).then_some(state))
        .unwrap_or(Self::InSync)
    }

    /// The name in reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Skewed => "skewed",
            Self::Unsynchronised => "unsynchronised",
            Self::Inconclusive => "inconclusive",
            Self::ForeignReference => "foreign-reference",
            Self::ReferenceUnknown => "reference-unknown",
            Self::InSync => "in-sync",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many hosts are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary([usize; State::ALL.len()]);

impl Summary {
    /// So many are in this one.
    #[must_use]
    pub const fn count(&self, state: State) -> usize {
        self.0[state as usize]
    }

    /// So many there are.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.0.iter().sum()
    }

    /// One more.
    pub(super) const fn add(&mut self, state: State) {
        self.0[state as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_places_go_together() {
        for (index, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!(flag as usize, index);
        }
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index);
            let mut summary = Summary::default();
            summary.add(state);
            assert_eq!((summary.count(state), summary.hosts()), (1, 1));
        }
    }

    proptest! {
        #[test]
        fn every_set_of_flags_is_one_state_and_it_is_the_first_that_holds(bits in 0_u16..1 << Flag::ALL.len()) {
            let flags: Flags = Flag::ALL.into_iter().filter(|flag| bits & 1 << *flag as u16 != 0).collect();
            prop_assert_eq!(flags.iter().count(), bits.count_ones() as usize);
            let state = State::of(flags);
            // By name, as DESIGN.md has it: the order of the states is that of the words.
            let names: Vec<&str> = flags.iter().map(Flag::name).collect();
            let order = [
                "unreachable", "rejected", "skewed", "unsynchronised", "inconclusive", "foreign-reference",
                "reference-unknown",
            ];
            let first = order.into_iter().find(|name| names.contains(name)).unwrap_or("in-sync");
            prop_assert_eq!(state.name(), first);
        }
    }
}
