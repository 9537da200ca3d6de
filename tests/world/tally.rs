//! What runs came to, one and many.

use skewgate::clock::{ClockEstimate, NoEstimate};

/// What a run came to, where everything held that must hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) estimate: Result<ClockEstimate, NoEstimate>,
    /// Votes without the truth in them, and how many of these are tolerated.
    pub(super) wrong: usize,
    pub(super) tolerated: usize,
    /// All the wrong ones agree, and with none of the right ones.
    pub(super) apart: bool,
    /// The right ones are enough of a party to contest.
    pub(super) party: bool,
    pub(super) slept: bool,
    pub(super) right: bool,
    /// Looks at the estimate that found the truth inside, and that found no interval any more.
    pub(super) inside: u32,
    pub(super) none: u32,
    pub(super) kernel_stamped: usize,
}

/// What many runs came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) published: u64,
    pub(crate) refused: u64,
    pub(crate) slept: u64,
    pub(crate) lied_to: u64,
    pub(crate) contested: u64,
    pub(crate) inside: u64,
    pub(crate) none: u64,
    pub(crate) kernel_stamped: u64,
    pub(crate) beyond: Beyond,
    /// Of these, those where the liars' times are apart from the honest ones.
    pub(crate) apart: Beyond,
    /// Of these again, those where the right ones are all but one of a quorum, and two at least.
    pub(crate) apart_from_a_party: Beyond,
}

/// With more liars than are tolerated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beyond {
    pub(crate) refused: u64,
    pub(crate) contested: u64,
    pub(crate) right: u64,
    pub(crate) silently_wrong: u64,
}

impl Beyond {
    fn count(&mut self, outcome: &Outcome) {
        match &outcome.estimate {
            Err(_) => self.refused += 1,
            Ok(estimate) if estimate.contested() => self.contested += 1,
            Ok(_) if outcome.right => self.right += 1,
            Ok(_) => self.silently_wrong += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.refused += other.refused;
        self.contested += other.contested;
        self.right += other.right;
        self.silently_wrong += other.silently_wrong;
    }

    pub(crate) fn runs(&self) -> u64 {
        self.refused + self.contested + self.right + self.silently_wrong
    }
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        self.inside += u64::from(outcome.inside);
        self.none += u64::from(outcome.none);
        self.kernel_stamped += outcome.kernel_stamped as u64;
        if outcome.slept {
            self.slept += 1;
        } else if outcome.wrong > outcome.tolerated {
            self.beyond.count(outcome);
            if outcome.apart {
                self.apart.count(outcome);
                if outcome.party {
                    self.apart_from_a_party.count(outcome);
                }
            }
        } else if let Ok(estimate) = &outcome.estimate {
            self.published += 1;
            self.lied_to += u64::from(outcome.wrong > 0);
            self.contested += u64::from(estimate.contested());
        } else {
            self.refused += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.refused += other.refused;
        self.slept += other.slept;
        self.lied_to += other.lied_to;
        self.contested += other.contested;
        self.inside += other.inside;
        self.none += other.none;
        self.kernel_stamped += other.kernel_stamped;
        self.beyond.add(&other.beyond);
        self.apart.add(&other.apart);
        self.apart_from_a_party.add(&other.apart_from_a_party);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { published, refused, slept, lied_to, contested, inside, none, kernel_stamped, .. } = self;
        writeln!(f, "as many liars as are tolerated, or fewer:")?;
        writeln!(
            f,
            "  {published} published and right ({lied_to} of them with liars, {contested} contested), {refused} without a quorum"
        )?;
        writeln!(
            f,
            "  {inside} looks at an estimate found the truth inside, {none} no interval, none a wrong one"
        )?;
        writeln!(
            f,
            "  {slept} more rounds were interrupted by a suspend; {kernel_stamped} replies with the kernel's stamp"
        )?;
        for (name, beyond) in [
            ("more liars than are tolerated", &self.beyond),
            ("of these, all in agreement and apart from all of the honest", &self.apart),
            ("of these, the honest at least two, or Q - 1", &self.apart_from_a_party),
        ] {
            let share = |part: u64| {
                let thousandths = (part * 1_000 + beyond.runs() / 2).checked_div(beyond.runs()).unwrap_or(0);
                format!("{part} ({}.{} %)", thousandths / 10, thousandths % 10)
            };
            let Beyond { refused, contested, right, silently_wrong } = *beyond;
            writeln!(
                f,
                "{name}: {} runs\n  {} refused, {} contested, {} right, {} silently wrong",
                beyond.runs(),
                share(refused),
                share(contested),
                share(right),
                share(silently_wrong)
            )?;
        }
        Ok(())
    }
}
