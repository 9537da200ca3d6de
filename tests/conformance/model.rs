//! What a store has to hold: two tables, and `Change::apply`.

use std::collections::HashMap;

use super::*;
use skewgate::store::Row;

#[derive(Default)]
pub(super) struct Model {
    tokens: HashMap<TokenKey, TokenState>,
    budgets: HashMap<TokenId, Budget>,
}

impl Model {
    pub(super) fn row(&self, key: &TokenKey) -> Row {
        Row { token: self.tokens.get(key).copied(), budget: self.budgets.get(key.budget()).copied() }
    }

    pub(super) fn write(&mut self, key: &TokenKey, change: Change) -> Written {
        let mut row = self.row(key);
        let written = change.apply(&mut row, change.seen().unwrap_or_default());
        match row.token {
            Some(state) => self.tokens.insert(key.clone(), state),
            None => self.tokens.remove(key),
        };
        if let Some(budget) = row.budget {
            self.budgets.insert(key.budget().clone(), budget);
        }
        written
    }

    /// All tokens, in the order of their names.
    pub(super) fn records(&self) -> Vec<Record> {
        let record = |(key, state): (&TokenKey, &TokenState)| Record {
            key: key.clone(),
            state: *state,
            budget: self.budgets[key.budget()],
        };
        sorted(self.tokens.iter().map(record).collect())
    }
}

/// By name: a scan may show them in any order.
pub(super) fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| (a.key.budget(), a.key.token()).cmp(&(b.key.budget(), b.key.token())));
    records
}
