//! What is in the journal counts as if it were in the table, whatever happens in between.

use super::*;
use crate::store::embedded::journal::{JOURNAL, SETTLING};
use crate::store::{MemoryStore, Reset};
use proptest::collection::vec;
use proptest::prelude::*;
use redb::{ReadableDatabase, ReadableTableMetadata};

#[derive(Clone, Debug)]
enum Step {
    /// All at once.
    Write(Vec<(usize, u8)>),
    NotBefore(i64),
    Close,
    /// The process is killed: nothing is closed.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec((0..12_usize, any::<u8>()), 1..20).prop_map(Step::Write),
        1 => (0..9_i64).prop_map(Step::NotBefore),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
    ]
}

/// Tokens with a budget of their own, and some that share one, of which one bears the account's name.
fn keys() -> Vec<TokenKey> {
    let shared = |token: &str| TokenKey::new(TokenId::new(token).unwrap(), TokenId::new("e").unwrap());
    let own = ["a", "b", "c", "d", "e", "f", "g", "h"].map(key);
    own.into_iter().chain(["e1", "e2", "a", "z"].map(shared)).collect()
}

fn change(choice: u8) -> Change {
    match choice % 4 {
        0 | 1 => enrol(choice.into()),
        2 => Change::Remove,
        _ => Change::Reset(Reset { budget: Budget::full(NOW + SignedDuration::from_secs(choice.into())) }),
    }
}

/// Everything in it.
fn all(store: &dyn ManageStore) -> Vec<Record> {
    let mut records = Vec::new();
    block_on(store.scan(&mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    }))
    .unwrap();
    records.sort_by_key(|record| format!("{:?}", record.key));
    records
}

/// How many entries the table and the journal have.
fn lengths(path: &Path) -> (u64, u64) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let (rows, journal) = (transaction.open_table(ROWS).unwrap(), transaction.open_table(JOURNAL).unwrap());
    (rows.len().unwrap(), journal.len().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// It answers as a store without a journal does, and the same is left.
    #[test]
    fn no_answer_depends_on_where_a_row_is(steps in vec(step(), 1..30)) {
        let (directory, mut path) = place();
        let mut store = EmbeddedStore::open(&path).unwrap();
        let (memory, keys) = (MemoryStore::new(), keys());
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write(writes) => {
                    let mut own: Vec<_> = writes
                        .iter()
                        .map(|(which, choice)| store.write(&keys[*which], change(*choice)))
                        .collect();
                    // Queued by the first poll, and some are answered by that.
                    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                    let ready: Vec<_> = own.iter_mut().map(|write| write.as_mut().poll(&mut context)).collect();
                    for ((which, choice), (write, ready)) in writes.iter().zip(own.into_iter().zip(ready)) {
                        let answer = match ready {
                            Poll::Ready(answer) => answer,
                            Poll::Pending => block_on(write),
                        };
                        let expected = block_on(memory.write(&keys[*which], change(*choice)));
                        prop_assert_eq!(answer.unwrap(), expected.unwrap());
                    }
                }
                Step::NotBefore(later) => {
                    let moment = NOW + SignedDuration::from_secs(later);
                    block_on(store.set_not_before(moment)).unwrap();
                    block_on(memory.set_not_before(moment)).unwrap();
                }
                Step::Close => {
                    drop(store);
                    prop_assert_eq!(lengths(&path).1, 0, "settled");
                    store = EmbeddedStore::open(&path).unwrap();
                }
                Step::Kill => {
                    let left = directory.path().join(format!("{at}.redb"));
                    fs::copy(&path, &left).unwrap();
                    path = left;
                    store = EmbeddedStore::open(&path).unwrap();
                }
            }
            for key in &keys {
                let (own, expected) = (block_on(store.load(key)).unwrap(), block_on(memory.load(key)).unwrap());
                prop_assert_eq!((own.row, own.not_before), (expected.row, expected.not_before));
            }
            prop_assert_eq!(all(&store), all(&memory));
        }
    }
}

/// However long nobody closes it; and whoever opens what a killed process left goes on from there.
#[test]
fn a_long_journal_is_settled_while_it_grows() {
    let (directory, path) = place();
    let store = filled(&path, 240);
    let left = directory.path().join("left.redb");
    for last in [280, 350, 420] {
        fs::copy(&path, &left).unwrap();
        let (rows, journal) = lengths(&left);
        assert!(rows >= 140 && (1..=100).contains(&journal), "{rows} rows, and {journal} in the journal");
        let goes_on = EmbeddedStore::open(&left).unwrap();
        for number in last - 40..last {
            block_on(goes_on.write(&key(&format!("token {number:04}")), enrol(number))).unwrap();
        }
        let names: Vec<_> = all(&goes_on).into_iter().map(|record| record.key.token().to_string()).collect();
        let expected: Vec<_> = (0..last).map(|number| format!("token {number:04}")).collect();
        assert_eq!(names, expected);
        drop(goes_on);
        assert_eq!(lengths(&left), (last, 0));
        for number in last - 40..last.max(240) + 30 {
            block_on(store.write(&key(&format!("token {number:04}")), enrol(number))).unwrap();
        }
    }
}

/// However few writes there are between one end of the process and the next.
#[test]
fn settling_goes_on_where_a_killed_process_left_it() {
    goes_on(150, |life| 3 + life % 4);
    goes_on(150, |_| 1);
}

fn goes_on(lives: usize, writes_in: impl Fn(usize) -> usize) {
    const TOKENS: usize = 101;
    let (directory, mut path) = place();
    drop(filled(&path, 101));
    let name = |at: usize| key(&format!("token {at:04}"));
    let (mut expected, mut longest) = ([Budget::full(NOW); TOKENS], 0);
    let mut writes = 0..;
    for life in 0..lives {
        let store = EmbeddedStore::open(&path).unwrap();
        for at in writes.by_ref().take(writes_in(life)).map(|write| write * 37 % TOKENS) {
            let later = SignedDuration::from_secs(i64::try_from(life).unwrap() + 1);
            expected[at] = Budget::full(NOW + later);
            block_on(store.write(&name(at), Change::Reset(Reset { budget: expected[at] }))).unwrap();
        }
        for (at, budget) in expected.iter().enumerate() {
            assert_eq!(block_on(store.load(&name(at))).unwrap().row.budget, Some(*budget), "{at} in {life}");
        }
        let left = directory.path().join(format!("{life}.redb"));
        fs::copy(&path, &left).unwrap();
        path = left;
        longest = longest.max(lengths(&path).1);
    }
    assert!((50..=100).contains(&longest), "{longest}");
}

/// What was being settled when the store was closed says nothing about what is written after that.
#[test]
fn a_journal_begins_anew_once_it_is_settled() {
    for written in 50..70 {
        let (directory, path) = place();
        drop(filled(&path, written));
        assert_eq!(lengths(&path), (written, 0));
        let store = EmbeddedStore::open(&path).unwrap();
        for number in 0..3 {
            block_on(store.write(&key(&format!("a later one {number}")), enrol(number))).unwrap();
        }
        let left = directory.path().join("left.redb");
        fs::copy(&path, &left).unwrap();
        assert_eq!(all(&EmbeddedStore::open(&left).unwrap()).len(), usize::try_from(written).unwrap() + 3);
    }
}

/// Not all that is pending at once: others on the thread would wait for it.
#[test]
fn a_scan_shows_a_page_at_a_time_wherever_the_rows_are() {
    use std::task::{Context, Waker};
    let (_directory, path) = place();
    let store = filled(&path, 40);
    let mut seen = 0;
    let mut visit = |_| {
        seen += 1;
        ControlFlow::Continue(())
    };
    let mut scan = store.scan(&mut visit);
    assert!(scan.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(scan);
    assert_eq!(seen, 3);
    assert_eq!(all(&store).len(), 40);
}

#[test]
fn a_journal_without_end_is_corrupt() {
    let (_directory, path) = place();
    drop(filled(&path, 3));
    edit(&path, |transaction| {
        transaction.open_table(JOURNAL).unwrap().insert(u64::MAX, vec![(&b"a"[..], None)]).unwrap();
    });
    let error = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

/// As the releases before the journal left it.
#[test]
fn a_file_without_a_journal_gets_one() {
    let (_directory, path) = place();
    drop(filled(&path, 3));
    edit(&path, |transaction| {
        assert!(transaction.delete_table(JOURNAL).unwrap() && transaction.delete_table(SETTLING).unwrap());
        transaction.open_table(table::META).unwrap().insert(table::SCHEMA, 1).unwrap();
    });

    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(block_on(store.load(&key("token 0002"))).unwrap().row.token, Some(state(2)));
    assert_eq!(block_on(store.write(&key("token 0003"), enrol(3))).unwrap(), Written::Done);
    drop(store);
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_read().unwrap();
    let schema = transaction.open_table(table::META).unwrap().get(table::SCHEMA).unwrap().unwrap().value();
    assert_eq!(schema, 2, "a release that knows no journal must not open it");
}
