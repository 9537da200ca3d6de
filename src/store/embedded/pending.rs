//! What the [journal](super::journal) says, in memory.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// Entries by name, as they are kept; `None` for one that is removed.
pub(super) type Entries = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Entries that count before those in the table. A clone is cheap; who changes it while there is one copies what is newer.
#[derive(Clone, Default)]
pub(super) struct Pending {
    /// What was written since settling began last. It counts before the older ones.
    newer: Arc<Entries>,
    /// What is being settled, and doesn't change while it is.
    older: Arc<Entries>,
}

impl Pending {
    pub(super) fn new(newer: Entries, older: Entries) -> Self {
        Self { newer: Arc::new(newer), older: Arc::new(older) }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.newer.get(name).or_else(|| self.older.get(name))
    }

    /// No others than these.
    pub(super) fn of(&self, names: &[&[u8]]) -> Self {
        let kept = |name: &&[u8]| self.get(name).map(|bytes| (name.to_vec(), bytes.clone()));
        Self::new(names.iter().filter_map(kept).collect(), Entries::new())
    }

    /// Adds the next ones after this name to a page of others, which count only where none of these has their name. An empty name
    /// comes before all.
    pub(super) fn add_to_page(&self, page: &mut Entries, after: &[u8], count: usize) {
        for entries in [&self.older, &self.newer] {
            let next = entries.range::<[u8], _>((Excluded(after), Unbounded));
            page.extend(next.take(count).map(|(name, bytes)| (name.clone(), bytes.clone())));
        }
    }

    /// What has to be settled after this name, in their order: what isn't out of date already.
    pub(super) fn unsettled(&self, after: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &Option<Vec<u8>>)> {
        let older = self.older.range::<[u8], _>((Excluded(after), Unbounded));
        older.filter(|(name, _)| !self.newer.contains_key(*name))
    }

    pub(super) fn add(&mut self, changed: Entries) {
        Arc::make_mut(&mut self.newer).extend(changed);
    }

    /// What was written so far is being settled.
    pub(super) fn begin_settling(&mut self) {
        self.older = std::mem::take(&mut self.newer);
    }

    /// It is. Gives what doesn't count any more.
    pub(super) fn end_settling(&mut self) -> Arc<Entries> {
        std::mem::take(&mut self.older)
    }
}
