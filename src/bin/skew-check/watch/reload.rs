//! The inventory, read again when it has changed. A new one that is broken is told of, and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use skewgate::fleet::Inventory;

use crate::cli::SweepingOptions;
use crate::error::CliError;
use crate::inventory;

/// Whoever writes a file may be in the middle of it, and half of an inventory can be a whole one of half of the hosts: it is
/// taken once it reads the same after this.
const SETTLED: Duration = Duration::from_millis(50);

/// How often it is looked whether it has settled.
const LOOKS: usize = 5;

/// The inventory that counts, and the file that it comes from.
pub(super) struct Source {
    file: PathBuf,
    current: Arc<Inventory>,
    /// What was found in the file last, right or wrong: the same is not told of twice.
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable,
}

/// What became of looking at the file.
#[derive(Debug)]
pub(super) enum Change {
    None,
    Taken,
    /// The one before counts on.
    Broken(CliError),
}

impl Source {
    /// Reads it for the first time: here, what is wrong with it is an error.
    pub(super) fn open(file: &Path, options: &SweepingOptions) -> Result<Self, CliError> {
        let (text, seen) = read(file)?;
        let current = Arc::new(parse(file, &text, options)?);
        Ok(Self { file: file.to_owned(), current, seen })
    }

    pub(super) const fn current(&self) -> &Arc<Inventory> {
        &self.current
    }

    /// Looks whether it has changed; `again`: as if it had.
    pub(super) fn look(&mut self, options: &SweepingOptions, again: bool) -> Change {
        let mut found = read(&self.file);
        let mut seen = found.as_ref().map_or(Seen::Unreadable, |(_, seen)| *seen);
        if seen == self.seen && !again {
            return Change::None;
        }
        for _ in 0..LOOKS {
            std::thread::sleep(SETTLED);
            found = read(&self.file);
            let later = found.as_ref().map_or(Seen::Unreadable, |(_, seen)| *seen);
            if std::mem::replace(&mut seen, later) == later {
                break;
            }
        }
        if seen == self.seen && !again {
            // It was gone for a moment, as when an editor puts another in its place.
            return Change::None;
        }
        self.seen = seen;
        match found.and_then(|(text, _)| parse(&self.file, &text, options)) {
            Ok(inventory) => {
                self.current = Arc::new(inventory);
                Change::Taken
            }
            Err(error) => Change::Broken(error),
        }
    }
}

fn read(file: &Path) -> Result<(String, Seen), CliError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| CliError::ReadFile { file: file.to_owned(), error })?;
    let seen = Seen::Content(Sha256::digest(&text).into());
    Ok((text, seen))
}

fn parse(file: &Path, text: &str, options: &SweepingOptions) -> Result<Inventory, CliError> {
    let mut builder = Inventory::builder();
    inventory::add_text(&mut builder, file, text)?;
    inventory::finish(builder, options)
}
