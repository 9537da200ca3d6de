//! The inventory, read again when it has changed. A new one that is broken is told of, and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use skewgate::fleet::Inventory;
use skewgate::time::SignedDuration;

use crate::cli::SweepingOptions;
use crate::error::CliError;
use crate::inventory;

/// Whoever writes a file may be in the middle of it, and half of an inventory can be a whole one of half of the hosts, whose alarms would
/// be withdrawn: it is taken once it has read the same for so long.
const SETTLED: Duration = Duration::from_secs(5);

/// The inventory that counts, and the file that it comes from.
pub(super) struct Source {
    file: PathBuf,
    current: Arc<Inventory>,
    /// What was found in the file last, right or wrong: the same is not told of twice.
    seen: Seen,
    /// What is in the file now, where that is something else, and since when it was seen to be.
    settling: Option<(Seen, SignedDuration)>,
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
        Ok(Self { file: file.to_owned(), current, seen, settling: None })
    }

    pub(super) const fn current(&self) -> &Arc<Inventory> {
        &self.current
    }

    /// When it is to be looked at again, where that isn't to wait for the next sweep.
    pub(super) fn settles_at(&self) -> Option<SignedDuration> {
        self.settling.map(|(_, since)| since + SignedDuration::from(SETTLED))
    }

    /// Looks at `now` whether it has changed. `again`: somebody says so, who has written it to its end.
    pub(super) fn look(&mut self, options: &SweepingOptions, now: SignedDuration, again: bool) -> Change {
        let found = read(&self.file);
        let seen = found.as_ref().map_or(Seen::Unreadable, |(_, seen)| *seen);
        if !again {
            if seen == self.seen {
                // Or it was gone for a moment, as when an editor puts another in its place.
                self.settling = None;
                return Change::None;
            }
            let since = self.settling.filter(|(before, _)| *before == seen).map_or(now, |(_, since)| since);
            if now - since < SignedDuration::from(SETTLED) {
                self.settling = Some((seen, since));
                return Change::None;
            }
        }
        (self.seen, self.settling) = (seen, None);
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: SweepingOptions,
    }

    fn inventory(hosts: usize) -> String {
        let hosts: Vec<String> = (0..hosts).map(|host| format!("'host{host}.example.org'")).collect();
        format!("reference = ['a.example.org']\nhosts = [{}]\n", hosts.join(", "))
    }

    #[test]
    fn what_is_being_written_counts_once_it_stays_as_it_is() {
        let Line { options } = Line::parse_from(["watch", "--allow-single"]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("inventory.toml");
        let write = |hosts| std::fs::write(&file, inventory(hosts)).unwrap();
        write(50);
        let mut source = Source::open(&file, &options).unwrap();
        let mut look = |seconds, again| {
            let change = source.look(&options, SignedDuration::from_secs(seconds), again);
            (matches!(change, Change::Taken), source.current().hosts().len(), source.settles_at())
        };
        let later = |seconds| Some(SignedDuration::from_secs(seconds));
        assert_eq!(look(0, false), (false, 50, None));
        // A file that never settles, each time a whole inventory of fewer hosts.
        for second in 1..40 {
            write(usize::try_from(second).unwrap());
            assert_eq!(look(second, false), (false, 50, later(second + 5)));
        }
        // Or for less than it takes.
        assert_eq!(look(43, false), (false, 50, later(44)));
        // What was there before is back: nothing has changed.
        write(50);
        assert_eq!(look(44, false), (false, 50, None));
        write(20);
        assert_eq!(look(45, false), (false, 50, later(50)));
        assert_eq!(look(49, false), (false, 50, later(50)));
        assert_eq!(look(50, false), (true, 20, None));
        assert_eq!(look(51, false), (false, 20, None));
        // For a moment there is none.
        std::fs::remove_file(&file).unwrap();
        assert_eq!(look(60, false), (false, 20, later(65)));
        write(20);
        assert_eq!(look(61, false), (false, 20, None));
        // Somebody says that it is whole.
        write(30);
        assert_eq!(look(62, true), (true, 30, None));
        std::fs::remove_file(&file).unwrap();
        let _ = look(70, false);
        let gone = source.look(&options, SignedDuration::from_secs(75), false);
        assert!(matches!(gone, Change::Broken(_)) && source.current().hosts().len() == 30, "{gone:?}");
    }
}
