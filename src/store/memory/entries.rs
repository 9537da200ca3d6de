//! Rows as bytes, one after the other: half of what they take as values in a table of names.
//!
//! An entry is the name of an account, the name of a token on its budget or nothing where it is the account's own row, and the
//! [row](crate::store::row), each behind its length in one byte: no name and no row is longer than 255.

use std::ops::Range;

use crate::bytes::{Malformed, Reader};
use crate::store::{Change, Record, Row, Seen, StoreError, Written, row};
use crate::token::{TokenId, TokenKey};

use super::STORE;

/// Of the accounts whose names have one hash: as a rule one account, and as a rule one row.
#[derive(Default)]
pub(super) struct Entries(Box<[u8]>);

struct Entry<'a> {
    account: &'a [u8],
    /// `None`: the account's own row.
    token: Option<&'a [u8]>,
    row: &'a [u8],
    /// Where all of that is.
    range: Range<usize>,
}

impl Entries {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn row(&self, key: &TokenKey) -> Result<Row, StoreError> {
        let account = self.kept(name(key.budget()), None)?;
        if key.owns_budget() {
            return Ok(account);
        }
        Ok(Row { budget: account.budget, ..self.kept(name(key.budget()), Some(name(key.token())))? })
    }

    pub(super) fn change(
        &mut self,
        key: &TokenKey,
        change: Change,
        now: Seen,
    ) -> Result<Written, StoreError> {
        let before = self.row(key)?;
        let mut after = before;
        let written = change.apply(&mut after, now);
        let account = name(key.budget());
        if key.owns_budget() {
            if after != before {
                self.keep(account, None, after);
            }
            return Ok(written);
        }
        if after.token != before.token {
            self.keep(account, Some(name(key.token())), Row { budget: None, ..after });
        }
        if after.budget != before.budget {
            let own = self.kept(account, None)?;
            self.keep(account, None, Row { budget: after.budget, ..own });
        }
        Ok(written)
    }

    /// The tokens, but for those that stand in for unknown ones.
    pub(super) fn records(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for entry in self.entries().filter(|entry| !TokenId::is_stand_in_name(entry.account)) {
            let Row { token: state, .. } = row::decode(entry.row).map_err(corrupt)?;
            // As a rule the account's own row comes first, so that it is found at once.
            let Row { budget, .. } = self.kept(entry.account, None)?;
            if let (Some(state), Some(budget)) = (state, budget) {
                let account = id(entry.account)?;
                let token = entry.token.map_or_else(|| Ok(account.clone()), id)?;
                records.push(Record { key: TokenKey::new(token, account), state, budget });
            }
        }
        Ok(records)
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = Reader::new(&self.0);
        std::iter::from_fn(move || next(&mut rest).ok())
    }

    fn find(&self, account: &[u8], token: Option<&[u8]>) -> Option<Entry<'_>> {
        self.entries().find(|entry| entry.account == account && entry.token == token)
    }

    fn kept(&self, account: &[u8], token: Option<&[u8]>) -> Result<Row, StoreError> {
        let entry = self.find(account, token);
        entry.map_or(Ok(Row::default()), |entry| row::decode(entry.row)).map_err(corrupt)
    }

    fn keep(&mut self, account: &[u8], token: Option<&[u8]>, row: Row) {
        let bytes = if row == Row::default() { Vec::new() } else { row::encode(&row) };
        let place = self.find(account, token).map(|entry| (entry.range, entry.row.len()));
        let range = match place {
            // As a rule it is as long as it was.
            Some((Range { end, .. }, length)) if length == bytes.len() => {
                return self.0[end - length..end].copy_from_slice(&bytes);
            }
            Some((range, _)) => range,
            None => self.0.len()..self.0.len(),
        };
        let token = token.unwrap_or_default();
        // Exactly as much as is kept: what is given back later leaves gaps.
        let parts = account.len() + token.len() + bytes.len() + 3;
        let mut all = Vec::with_capacity(self.0.len() - range.len() + parts);
        all.extend(&self.0[..range.start]);
        if !bytes.is_empty() {
            for part in [account, token, &bytes] {
                let [length, ..] = part.len().to_le_bytes();
                all.push(length);
                all.extend(part);
            }
        }
        all.extend(&self.0[range.end..]);
        self.0 = all.into();
    }
}

/// An error where there is none.
fn next<'a>(rest: &mut Reader<'a>) -> Result<Entry<'a>, Malformed> {
    let start = rest.at;
    let mut part = || rest.take().and_then(|[length]| rest.slice(usize::from(length)));
    let (account, token, row) = (part()?, part()?, part()?);
    let token = Some(token).filter(|name| !name.is_empty());
    Ok(Entry { account, token, row, range: start..rest.at })
}

fn name(id: &TokenId) -> &[u8] {
    id.as_str().as_bytes()
}

fn id(name: &[u8]) -> Result<TokenId, StoreError> {
    let text = std::str::from_utf8(name).map_err(corrupt)?;
    TokenId::new(text).map_err(corrupt)
}

/// Can't be: nobody else writes here.
fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { store: STORE, what: error.to_string() }
}

#[cfg(test)]
mod tests;
