mod journal;

use super::table::ROWS;
use super::*;
use crate::block_on;
use crate::otp::TimeStep;
use crate::store::Row;
use crate::time::SignedDuration;
use crate::token::{Budget, Drift, TokenId, TokenState};
use redb::ReadableTable;
use std::fs;
use tempfile::{TempDir, tempdir};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

fn key(text: &str) -> TokenKey {
    TokenId::new(text).unwrap().into()
}

fn state(epoch: u64) -> TokenState {
    let drift = Drift::from_parts(SignedDuration::ZERO, 124_000_000_000_000, NOW, None);
    TokenState { epoch, watermark: TimeStep::new(59_333_333), nonce: epoch.to_le_bytes(), drift }
}

fn enrol(epoch: u64) -> Change {
    Change::Enrol { state: state(epoch), budget: Budget::full(NOW) }
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("tokens.redb");
    (directory, path)
}

fn filled(path: &Path, tokens: u64) -> EmbeddedStore {
    let store = EmbeddedStore::open(path).unwrap();
    for number in 0..tokens {
        let written = block_on(store.write(&key(&format!("token {number:04}")), enrol(number)));
        assert_eq!(written.unwrap(), Written::Done);
    }
    store
}

/// As nobody should.
fn edit(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn a_file_has_one_store_at_a_time() {
    let (_directory, path) = place();
    let store = EmbeddedStore::open(&path).unwrap();
    let again = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(&again, OpenError::InUse { path: named } if *named == path), "{again}");
    drop(store);
    EmbeddedStore::open(&path).unwrap();
}

#[test]
fn making_a_file_leaves_nothing_else_behind_and_lets_nobody_else_read_it() {
    let (directory, path) = place();
    drop(EmbeddedStore::open(&path).unwrap());
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["tokens.redb"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn of_many_that_make_a_file_at_once_one_has_it() {
    let (_directory, path) = place();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| match EmbeddedStore::open(&path) {
                Ok(store) => {
                    block_on(store.write(&key("token"), enrol(1))).unwrap();
                }
                Err(error) => assert!(matches!(error, OpenError::InUse { .. }), "{error}"),
            });
        }
    });
    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(block_on(store.load(&key("token"))).unwrap().row.token, Some(state(1)));
}

#[test]
fn what_is_no_store_is_left_alone() {
    let (directory, path) = place();
    fs::write(&path, b"").unwrap();
    assert!(matches!(EmbeddedStore::open(&path), Err(OpenError::Corrupt { .. })));
    fs::write(&path, b"dear diary".repeat(1_000)).unwrap();
    let error = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"dear diary".repeat(1_000));

    // Somebody else's database.
    let other = directory.path().join("other.redb");
    let database = Database::create(&other).unwrap();
    drop(database);
    let error = EmbeddedStore::open(&other).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");

    let missing = directory.path().join("no such directory").join("tokens.redb");
    assert!(matches!(EmbeddedStore::open(&missing), Err(OpenError::Failed { .. })));
}

#[test]
fn a_later_release_s_file_is_not_opened() {
    let (_directory, path) = place();
    drop(EmbeddedStore::open(&path).unwrap());
    edit(&path, |transaction| {
        transaction.open_table(table::META).unwrap().insert(table::SCHEMA, 3).unwrap();
    });
    let error = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Schema { found: 3, known: 2, .. }), "{error}");
}

/// Whatever byte of the file is damaged: an error, or every row as it was. Never another row, and never none. Of a store that was
/// closed, and of one whose process was killed.
#[test]
fn what_is_damaged_is_never_taken_for_another_row_or_none() {
    const TOKENS: u64 = 300;
    let (directory, path) = place();
    let killed = directory.path().join("killed.redb");
    let store = filled(&path, TOKENS);
    fs::copy(&path, &killed).unwrap();
    drop(store);
    let damaged_path = directory.path().join("damaged.redb");
    let check = |bytes: &[u8]| {
        fs::write(&damaged_path, bytes).unwrap();
        let Ok(store) = EmbeddedStore::open(&damaged_path) else { return false };
        for number in (0..TOKENS).step_by(7).chain([TOKENS - 1]) {
            let row = block_on(store.load(&key(&format!("token {number:04}")))).unwrap().row;
            assert_eq!(row, Row { token: Some(state(number)), budget: Some(Budget::full(NOW)) });
        }
        true
    };
    for path in [path, killed] {
        let whole = fs::read(&path).unwrap();
        assert!(check(&whole));
        let (mut refused, mut unharmed) = (0, 0);
        for at in (0..whole.len()).step_by(397) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            if check(&damaged) { unharmed += 1 } else { refused += 1 }
        }
        for length in [whole.len() / 2, 4096, 100] {
            assert!(!check(&whole[..length]), "cut to {length} bytes");
        }
        assert!(refused > 20, "{refused} refused, {unharmed} unharmed");
    }
}

/// An entry that says something else than one of ours would, in a database that is whole.
#[test]
fn an_entry_that_is_not_understood_is_an_error_for_that_token_alone() {
    let (_directory, path) = place();
    drop(filled(&path, 3));
    edit(&path, |transaction| {
        let mut rows = transaction.open_table(ROWS).unwrap();
        let kept = rows.get(&b"token 0001"[..]).unwrap().unwrap().value().to_vec();
        rows.insert(&b"token 0001"[..], &kept[..kept.len() - 1]).unwrap();
        let orphan = crate::store::row::encode(&Row { token: Some(state(9)), budget: None });
        rows.insert(&b"account\0orphan"[..], orphan.as_slice()).unwrap();
        rows.insert(&b"tokenless"[..], orphan.as_slice()).unwrap();
    });

    let store = EmbeddedStore::open(&path).unwrap();
    let orphan = TokenKey::new(TokenId::new("orphan").unwrap(), TokenId::new("account").unwrap());
    for damaged in [&key("token 0001"), &orphan, &key("tokenless")] {
        for _ in 0..2 {
            let loaded = block_on(store.load(damaged));
            assert!(matches!(loaded, Err(StoreError::Corrupt { .. })), "{loaded:?}");
            let written = block_on(store.write(damaged, enrol(1)));
            assert!(matches!(written, Err(StoreError::Corrupt { .. })), "{written:?}");
        }
    }
    assert_eq!(block_on(store.load(&key("token 0002"))).unwrap().row.token, Some(state(2)));
    assert_eq!(block_on(store.write(&key("token 0002"), Change::Remove)).unwrap(), Written::Done);
    let scanned = block_on(store.scan(&mut |_| ControlFlow::Continue(())));
    assert!(matches!(scanned, Err(StoreError::Corrupt { .. })), "{scanned:?}");
}

#[test]
fn a_disk_that_does_not_answer_in_time_is_a_refusal_and_loads_go_on() {
    let (_directory, path) = place();
    let store = EmbeddedStore::builder(&path)
        .deadline(Duration::from_millis(50))
        .cache_bytes(1 << 20)
        .open()
        .unwrap();
    block_on(store.write(&key("a"), enrol(1))).unwrap();
    // The writer waits for this transaction to end.
    let stuck = store.database.begin_write().unwrap();
    std::thread::scope(|scope| {
        for name in ["b", "c", "d"] {
            let store = &store;
            scope.spawn(move || {
                let written = block_on(store.write(&key(name), enrol(2)));
                assert!(matches!(written, Err(StoreError::TimedOut { .. })), "{written:?}");
            });
        }
    });
    assert_eq!(block_on(store.load(&key("a"))).unwrap().row.token, Some(state(1)));
    drop(stuck);
    assert_eq!(block_on(store.write(&key("a"), Change::Remove)).unwrap(), Written::Done);
}

#[test]
fn nothing_works_once_the_writer_has_ended() {
    let (_directory, path) = place();
    let store = EmbeddedStore::open(&path).unwrap();
    block_on(store.write(&key("a"), enrol(1))).unwrap();
    let ended = |answer: Result<(), StoreError>| {
        let error = answer.unwrap_err();
        assert!(
            matches!(error, StoreError::Failed { .. }) && error.to_string().contains("open the store again")
        );
    };
    ended(block_on(store.writer.write(Task::Panic)).map(drop));
    ended(block_on(store.load(&key("a"))).map(drop));
    ended(block_on(store.write(&key("a"), Change::Remove)).map(drop));
    ended(block_on(store.set_not_before(NOW)));
    ended(block_on(store.scan(&mut |_| ControlFlow::Continue(()))));
    drop(store);
    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(block_on(store.load(&key("a"))).unwrap().row.token, Some(state(1)), "as it was answered");
}

/// And neither who wrote nor who reads waits for anything else to happen first.
#[test]
fn nothing_works_once_a_write_has_failed() {
    let (_directory, path) = place();
    let store = filled(&path, 3);
    // Whatever is written next can't be.
    let transaction = store.database.begin_write().unwrap();
    transaction.delete_table(super::journal::JOURNAL).unwrap();
    transaction.open_table(redb::TableDefinition::<&str, &str>::new("journal")).unwrap();
    transaction.commit().unwrap();
    let written = block_on(store.write(&key("token 0001"), Change::Remove)).unwrap_err();
    assert!(written.to_string().contains("a write failed"), "{written}");
    let loaded = block_on(store.load(&key("token 0001")));
    assert!(matches!(loaded, Err(StoreError::Failed { .. })), "{loaded:?}");
}

#[test]
fn more_than_it_keeps_up_with_is_refused() {
    let (_directory, path) = place();
    let store = EmbeddedStore::open(&path).unwrap();
    let stuck = store.database.begin_write().unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let names: Vec<_> = (0..20_000).map(|number| key(&format!("token {number}"))).collect();
    let mut writes: Vec<_> = names.iter().map(|key| store.write(key, enrol(1))).collect();
    let overloaded = writes.iter_mut().filter_map(|write| match write.as_mut().poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    });
    let overloaded: Vec<_> = overloaded.collect();
    assert!((10_000..12_000).contains(&overloaded.len()), "{}", overloaded.len());
    for answer in overloaded {
        assert!(matches!(answer, Err(StoreError::Overloaded { .. })), "{answer:?}");
    }
    drop(stuck);
    drop(writes);
    drop(store);
    // Dropped futures, and yet whole: what was queued was written before the store closed.
    let store = EmbeddedStore::open(&path).unwrap();
    let mut enrolled = 0;
    block_on(store.scan(&mut |record| {
        assert_eq!(record.state, state(1));
        enrolled += 1;
        ControlFlow::Continue(())
    }))
    .unwrap();
    assert!((8_000..=10_000).contains(&enrolled), "{enrolled}");
}

#[test]
fn a_store_may_be_dropped_by_whom_its_answer_wakes() {
    use std::sync::Mutex;
    use std::task::{Context, Wake, Waker};
    struct Drops(Mutex<Option<Arc<EmbeddedStore>>>);
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    let (_directory, path) = place();
    let store = Arc::new(EmbeddedStore::open(&path).unwrap());
    let answer = answer::Answer::new();
    drop(answer.clone());
    let task = Task::Change(key("a"), enrol(1));
    let kept = Arc::clone(&store);
    // The future's own borrow of the store would outlive it: what is polled is the answer, as `write` does.
    let mut comes = Box::pin(answer.clone().come());
    let waker = Waker::from(Arc::new(Drops(Mutex::new(Some(kept)))));
    assert!(comes.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    store.writer.queue_for_test(task, answer);
    drop(store);
    while comes.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        std::thread::yield_now();
    }
    drop(waker);
    while matches!(EmbeddedStore::open(&path), Err(OpenError::InUse { .. })) {
        std::thread::yield_now();
    }
}

/// What the documents say: such a file can't know it, so whoever puts it back says so.
#[test]
fn after_an_old_file_was_put_back_and_that_was_said_no_used_code_is_let_in() {
    use crate::otp::{Secret, Totp};
    use crate::time::TimeInterval;
    use crate::time::sim::SimTime;
    use crate::token::Token;
    use crate::validator::{Attempt, Reason, Validator, Verdict};

    let (directory, path) = place();
    let backup = directory.path().join("backup.redb");
    let time = Arc::new(SimTime::new(TimeInterval::around(NOW, Duration::from_millis(10))));
    let gate = || {
        let store = Arc::new(EmbeddedStore::open(&path).unwrap());
        Validator::builder(store, time.clone()).build().unwrap()
    };
    let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap();
    let token = Token::new(TokenId::new("ada").unwrap(), totp.clone());
    let shown = |later: i64| {
        Attempt::one(totp.code_at(totp.step_at(NOW + SignedDuration::from_secs(later)).unwrap()))
    };
    block_on(gate().enrol(&token, &shown(0))).unwrap();
    fs::copy(&path, &backup).unwrap();
    time.advance(Duration::from_secs(60));
    assert!(block_on(gate().validate(Some(&token), &shown(60))).is_accepted());

    for said in [false, true] {
        fs::copy(&backup, &path).unwrap();
        let gate = gate();
        if said {
            block_on(gate.restored()).unwrap();
        }
        match block_on(gate.validate(Some(&token), &shown(60))) {
            Verdict::Accepted(_) => assert!(!said, "a used code"),
            Verdict::Refused(refused) => {
                assert!(said && matches!(refused.reason(), Reason::WatermarkAhead { .. }), "{refused:?}");
            }
        }
    }
    time.advance(Duration::from_secs(400));
    assert!(block_on(gate().validate(Some(&token), &shown(460))).is_accepted());
}
