//! What is damaged, or is no history, is an error, and never a panic.

use super::super::tables::{ALARMS, CELLS};
use super::*;

fn filled(directory: &TempDir) -> PathBuf {
    let history = history(directory);
    let names: Vec<String> = (0..300).map(|host| format!("host{host}")).collect();
    for minute in 0..5 {
        let sweep: Vec<_> = names.iter().map(|name| seen(name, minute, minute + 250)).collect();
        history.append_observed(at(60 * minute), &sweep).unwrap();
    }
    history.path().into()
}

/// Everything that can be asked of it.
fn use_all(history: &History) -> Result<(), HistoryError> {
    history.standing()?;
    history.heat_map(at(0), at(300), 5)?;
    history.host("host7", at(0), at(300), 5)?;
    history.append_observed(at(300), &[seen("host7", 0, 9)])
}

#[test]
fn a_damaged_byte_anywhere_is_noticed_or_of_no_account() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(&directory);
    let whole = std::fs::read(&path).unwrap();
    let damaged = directory.path().join("damaged.redb");
    let (mut noticed, mut unused) = (0, 0);
    for place in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x5a;
        std::fs::write(&damaged, bytes).unwrap();
        match History::open(&damaged, small()).and_then(|history| {
            let points = history.host("host7", at(0), at(300), 1)?;
            assert_eq!(points[0].sweeps, 3, "byte {place}");
            use_all(&history)
        }) {
            Ok(()) => unused += 1,
            Err(
                HistoryError::Failed { .. } | HistoryError::Corrupt { .. } | HistoryError::NotAHistory { .. },
            ) => {
                noticed += 1;
            }
            Err(error) => panic!("byte {place}: {error}"),
        }
    }
    println!("{noticed} noticed, {unused} in unused pages");
    assert!(noticed > 0, "nothing was damaged");
}

#[test]
fn a_file_that_is_cut_short_or_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(&directory);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 100, 4_096, whole.len() / 2, whole.len() - 4_096] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let opened = History::open(&path, small()).and_then(|history| use_all(&history));
        assert!(opened.is_err(), "{length} bytes");
    }
    for text in ["hello", &"x".repeat(10_000)] {
        std::fs::write(&path, text).unwrap();
        let opened = History::open(&path, small());
        assert!(
            matches!(opened, Err(HistoryError::NotAHistory { .. } | HistoryError::Corrupt { .. })),
            "{opened:?}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it was left alone");
    }
    let opened = History::open(directory.path(), small());
    assert!(opened.is_err(), "a directory is no file");
}

fn change(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn another_database_and_a_later_release_s_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(&directory);
    change(&path, |transaction| {
        transaction.open_table(META).unwrap().insert(SCHEMA, 2).unwrap();
    });
    let later = History::open(&path, small());
    assert!(matches!(later, Err(HistoryError::Schema { found: 2, known: 1, .. })), "{later:?}");
    change(&path, |transaction| {
        transaction.open_table(META).unwrap().remove(SCHEMA).unwrap();
    });
    let foreign = History::open(&path, small());
    assert!(matches!(foreign, Err(HistoryError::NotAHistory { .. })), "{foreign:?}");
    change(&path, |transaction| {
        transaction.delete_table(META).unwrap();
    });
    let foreign = History::open(&path, small());
    assert!(matches!(foreign, Err(HistoryError::NotAHistory { .. })), "{foreign:?}");
}

#[test]
fn a_row_that_is_not_understood_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(&directory);
    change(&path, |transaction| {
        let mut cells = transaction.open_table(CELLS).unwrap();
        cells.insert((1, NOON + 60, 0), &[9, 9, 9][..]).unwrap();
        transaction.open_table(ALARMS).unwrap().insert(STANDING, &[7][..]).unwrap();
    });
    let history = History::open(&path, small()).unwrap();
    let corrupt = |error| matches!(error, HistoryError::Corrupt { .. });
    assert!(history.host("host7", at(60), at(61), 1).is_err_and(corrupt));
    assert!(history.heat_map(at(60), at(61), 1).is_err_and(corrupt));
    assert!(history.append_observed(at(60), &[seen("a", 0, 9)]).is_err_and(corrupt));
    assert!(history.standing().is_err_and(corrupt));
    // All else is as it was, and it can be written on.
    assert_eq!(history.host("host7", at(120), at(121), 1).unwrap().len(), 1);
    history.append_observed(at(301), &[seen("a", 0, 9)]).unwrap();
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(history.path()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
