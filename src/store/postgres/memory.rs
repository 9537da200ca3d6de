//! How far a server's log had come, as this process was told: where the log is shorter now, files were put back.
//!
//! On one timeline of one server the log only grows, and what was flushed of it outlives every stop and every crash. A server whose files were
//! put back goes on from their end, as if nothing had been after it: it says itself that it is the one that it was.

use crate::store::Replaced;
use crate::time::Timestamp;

use super::server::Run;

/// What a server has said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) run: Run,
    /// Where the part of its log ended that was flushed, in bytes since its beginning.
    pub(super) flushed: i64,
    pub(super) not_before: Option<Timestamp>,
}

impl Word {
    /// In which way what this was told of is missing, if the server says `now` what was asked later.
    ///
    /// What it writes after its start makes up for the missing bytes in length, and its recovery alone may do so for a single login.
    /// So where it was started since, it counts from where that log was read to. And where the files are those of another timeline, its rows are of that
    /// one too.
    fn compare(&self, now: &Self, promotion: Replaced) -> Option<Replaced> {
        let known_to = if now.run.started == self.run.started { now.flushed } else { now.run.redo };
        let other = now.run.server.compare(Some(self.run.server), promotion);
        other.or_else(|| (known_to < self.flushed).then_some(Replaced::Restored))
    }
}

/// The furthest that was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    furthest: Option<Word>,
    /// How often another run has taken the place of the one before, or what was heard was settled. What was asked before that isn't
    /// remembered any more: its answer may be an older one.
    turns: u64,
}

impl Memory {
    /// How much log the server must have that is asked now.
    pub(super) fn flushed(&self) -> i64 {
        self.furthest.map_or(0, |word| word.flushed)
    }

    /// Takes the answer to what was asked when this was `asked`, of a server whose rows know it: in which way it isn't the one that it was. That is
    /// said until it is [settled](Self::settle).
    pub(super) fn hear(&mut self, asked: &Self, word: Word, promotion: Replaced) -> Option<Replaced> {
        let before = match self.furthest {
            // Another run than was known: all that was heard of that one, also meanwhile, was before this one began.
            Some(furthest) if self.turns == asked.turns && furthest.run.lineage() != word.run.lineage() => {
                Some(furthest)
            }
            _ => asked.furthest,
        };
        if let Some(before) = before
            && let Some(replaced) = before.compare(&word, promotion)
        {
            // One that rose was set later than all that was known here, also where it came with the files: what could
            // have been used then is dead. Another process has noticed it, or somebody has said it.
            if word.not_before <= before.not_before {
                return Some(replaced);
            }
            if self.turns == asked.turns {
                self.settle(word);
            }
            return None;
        }
        if self.turns == asked.turns {
            match &mut self.furthest {
                Some(furthest) if furthest.run.lineage() == word.run.lineage() => {
                    furthest.flushed = furthest.flushed.max(word.flushed);
                    furthest.not_before = furthest.not_before.max(word.not_before);
                }
                _ => self.settle(word),
            }
        }
        None
    }

    /// Takes what a write was answered that was sent when this was `asked`, by the run that has this lineage: where it is another one, a load has to
    /// tell first.
    pub(super) fn hear_of_write(&mut self, asked: &Self, lineage: [u8; 20], flushed: i64) {
        if let Some(furthest) = &mut self.furthest
            && self.turns == asked.turns
            && furthest.run.lineage() == lineage
        {
            furthest.flushed = furthest.flushed.max(flushed);
        }
    }

    /// Forgets what was, and begins with this.
    pub(super) fn settle(&mut self, word: Word) {
        *self = Self { furthest: Some(word), turns: self.turns.wrapping_add(1) };
    }
}

#[cfg(test)]
mod tests;
