use super::*;
use crate::block_on;
use crate::store::{Loaded, MemoryStore, StateStore};
use crate::time::TimeInterval;
use crate::time::sim::SimTime;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

fn clock() -> SimTime {
    SimTime::new(TimeInterval::around(NOW, Duration::from_secs(1)))
}

fn record() -> impl Strategy<Value = Record> {
    // What an id may have: see `misleads`.
    let token = r"[^\p{Cc}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]{1,20}";
    let names = (token, prop::option::of("[a-c\"\\\\é]{1,5}"));
    let state = (0..=i64::MAX.unsigned_abs(), prop::option::of(0..=i64::MAX), any::<i64>(), any::<u64>());
    let rest = (any::<i64>(), prop::option::of(any::<i64>()), any::<i64>(), any::<i64>(), any::<u32>());
    (names, state, rest).prop_map(|((token, budget), state, rest)| {
        let (epoch, watermark, mean, variance) = state;
        let (updated, outlier, blind, partial, failures) = rest;
        let token = TokenId::new(&token).unwrap();
        let budget = budget.map_or_else(|| token.clone(), |name| TokenId::new(&name).unwrap());
        let time = Timestamp::from_unix_nanos;
        let drift = Drift::from_parts(
            SignedDuration::from_nanos(mean),
            variance,
            time(updated),
            outlier.map(SignedDuration::from_nanos),
        );
        let watermark = watermark.and_then(TimeStep::new);
        Record {
            key: TokenKey::new(token, budget),
            state: TokenState { epoch, watermark, nonce: [0; 8], drift },
            budget: Budget::from_parts(time(blind), time(partial), failures),
        }
    })
}

fn store_of(records: &[Record]) -> MemoryStore {
    let store = MemoryStore::new();
    for Record { key, state, budget } in records {
        block_on(store.write(key, Change::Enrol { state: *state, budget: *budget })).unwrap();
    }
    store
}

fn exported(store: &MemoryStore) -> String {
    let mut file = Vec::new();
    block_on(export(store, &mut file)).unwrap();
    String::from_utf8(file).unwrap()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn imported(text: &str) -> Result<(MemoryStore, Import), BackupError> {
    let store = MemoryStore::new();
    block_on(import(&store, &clock(), &mut text.as_bytes())).map(|import| (store, import))
}

proptest! {
    #[test]
    fn what_was_exported_comes_back(records in prop::collection::vec(record(), 0..20)) {
        let store = store_of(&records);
        let text = exported(&store);
        let (copy, import) = imported(&text).unwrap();
        prop_assert_eq!(import.created, store.len());
        for Record { key, .. } in &records {
            let row = |store: &MemoryStore| block_on(store.load(key)).unwrap().row;
            let (new, old) = (row(&copy), row(&store));
            let (token, was) = (new.token.unwrap(), old.token.unwrap());
            prop_assert_eq!(token.epoch & 0xffff, was.epoch & 0xffff, "what its codes are made of");
            prop_assert!(i64::try_from(token.epoch).is_ok());
            let as_it_was = TokenState { epoch: was.epoch, ..token };
            prop_assert_eq!((Some(as_it_was), new.budget), (old.token, old.budget));
        }
    }

    /// Whatever is done to a file, it is imported whole or not at all.
    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}", cut in 0_usize..2_000) {
        let _ = read(&mut text.as_bytes());
        let whole = exported(&store_of(&three()));
        let part: String = whole.chars().take(cut).collect();
        let expected = part.len() + 1 >= whole.len();
        prop_assert_eq!(read(&mut part.as_bytes()).is_ok(), expected);
    }
}

fn three() -> [Record; 3] {
    let one = |name: &str, failures| Record {
        key: TokenKey::new(TokenId::new(name).unwrap(), TokenId::new("account").unwrap()),
        state: TokenState {
            epoch: 7,
            watermark: TimeStep::new(59_000_000),
            nonce: [0; 8],
            drift: Drift::from_parts(SignedDuration::from_secs(3), 124_000_000_000_000, NOW, None),
        },
        budget: Budget::from_parts(NOW, NOW, failures),
    };
    [one("phone", 1), one("watch", 1), one("account", 1)]
}

#[test]
fn a_line_says_what_the_documentation_says() {
    let text = exported(&store_of(&three()));
    let lines = sorted(&text);
    assert_eq!(
        lines[3],
        "{\"token\":\"phone\",\"budget\":\"account\",\"epoch\":7,\"watermark\":59000000,\"mean_ns\":3000000000,\
         \"variance_us2\":124000000000000,\"updated_ns\":1780000000000000000,\"outlier_ns\":null,\
         \"blind_full_at_ns\":1780000000000000000,\"partial_full_at_ns\":1780000000000000000,\"failures\":1}"
    );
    assert!(text.starts_with("{\"schema\":\"skewgate/tokens/1\",\"not_before_ns\":null}\n"));
    assert!(text.ends_with("{\"end\":true,\"tokens\":3}\n"));
    assert!(lines.iter().any(|line| line.starts_with("{\"token\":\"account\",\"epoch\"")));
}

#[test]
fn what_is_there_is_left_alone_and_everything_until_now_is_dead() {
    let records = three();
    let text = exported(&store_of(&records));
    let store = store_of(&records[..1]);
    let forgetful =
        Record { state: TokenState { watermark: None, ..records[0].state }, ..records[0].clone() };
    let older = text.replace("59000000", "58000000");
    let import = block_on(import(&store, &clock(), &mut older.as_bytes())).unwrap();
    assert_eq!((import.created, import.kept), (2, 1));
    let Loaded { row, not_before, .. } = block_on(store.load(&forgetful.key)).unwrap();
    assert_eq!(row.token, Some(records[0].state));
    assert_eq!(not_before, Some(NOW + SignedDuration::from_secs(301)));
    assert_eq!(not_before, Some(import.not_before));
}

/// What was decided from a row before it was lost must not be written to the one that was imported.
#[test]
fn an_imported_token_is_another_enrolment() {
    let records = three();
    let (store, _) = imported(&exported(&store_of(&records))).unwrap();
    let epochs: HashSet<u64> = records
        .iter()
        .map(|record| block_on(store.load(&record.key)).unwrap().row.token.unwrap().epoch)
        .chain([7])
        .collect();
    assert_eq!(epochs.len(), 4);
}

/// An account that was guessed at while the backup was written: its tokens' lines say different things of its budget, in any order.
#[test]
fn of_several_budgets_of_one_account_the_emptier_one_counts() {
    let later = NOW + SignedDuration::from_secs(7);
    let text = exported(&store_of(&three()));
    let lines: Vec<&str> = text.lines().collect();
    for fuller in 1..=3 {
        let emptier = |line: &str| {
            line.replace("\"failures\":1", "\"failures\":2")
                .replace("blind_full_at_ns\":1780000000", "blind_full_at_ns\":1780000007")
        };
        let line = |(at, line): (usize, &&str)| if at == fuller { (*line).to_owned() } else { emptier(line) };
        let text: Vec<String> = lines.iter().enumerate().map(line).collect();
        let (store, import) = imported(&(text.join("\n") + "\n")).unwrap();
        assert_eq!(import.created, 3);
        let budget = block_on(store.load(&three()[0].key)).unwrap().row.budget;
        assert_eq!(budget, Some(Budget::from_parts(later, NOW, 2)), "{fuller}");
    }
}

/// A token that owns its budget was removed; another one shares that still.
#[test]
fn the_budget_of_a_removed_token_comes_back_with_those_that_share_it() {
    let records = three();
    let owner = Record { key: TokenId::new("account").unwrap().into(), ..records[2].clone() };
    let store = store_of(&[owner.clone(), records[0].clone()]);
    assert_eq!(block_on(store.write(&owner.key, Change::Remove)).unwrap(), Written::Done);
    let (copy, import) = imported(&exported(&store)).unwrap();
    assert_eq!(import.created, 1);
    let row = block_on(copy.load(&owner.key)).unwrap().row;
    assert_eq!((row.token, row.budget), (None, Some(owner.budget)));
}

#[test]
fn what_was_dead_stays_dead() {
    let soon = NOW + SignedDuration::from_secs(3_000);
    for (moment, expected) in [(NOW, NOW + SignedDuration::from_secs(301)), (soon, soon)] {
        let store = store_of(&three());
        block_on(store.set_not_before(moment)).unwrap();
        let text = exported(&store);
        assert_eq!(read(&mut text.as_bytes()).unwrap().not_before, Some(moment));
        let (copy, import) = imported(&text).unwrap();
        assert_eq!(import.not_before, expected);
        assert_eq!(block_on(copy.load(&three()[0].key)).unwrap().not_before, Some(expected));
    }
    // Nobody could be let in for years.
    let store = store_of(&three());
    block_on(store.set_not_before(NOW + SignedDuration::from_secs(1_000_000))).unwrap();
    let Err(error) = imported(&exported(&store)) else { panic!("it was imported") };
    assert!(matches!(&error, BackupError::Line { line: 1, .. }), "{error}");
    assert!(error.to_string().contains("not_before_ns"), "{error}");
}

#[test]
fn nothing_is_imported_without_the_time() {
    let store = MemoryStore::new();
    let nobody_knows = clock();
    nobody_knows.set(Err(TimeError::NotMeasured));
    let text = exported(&store_of(&three()));
    let refused = block_on(import(&store, &nobody_knows, &mut text.as_bytes()));
    assert!(matches!(refused, Err(BackupError::ClockUntrusted(_))));
    assert!(store.is_empty());
}

#[test]
fn each_flaw_is_named_with_its_line() {
    let text = exported(&store_of(&three()));
    let lines: Vec<&str> = text.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let twice = with(2, lines[1]);
    let negative = lines[1].replace("59000000", "-1");
    let big = lines[1].replace("\"epoch\":7", "\"epoch\":9223372036854775808");
    let nameless = lines[1]
        .replace("\"budget\":\"account\"", "\"budget\":\"\"")
        .replace("\"token\":\"account\"", "\"token\":\"\"");
    for (text, line, says) in [
        (with(0, "{\"schema\":\"skewgate/tokens/2\"}"), 1, "expected"),
        (with(0, "[]"), 1, "can't be understood"),
        (with(1, "{}"), 2, "missing field"),
        (with(1, &lines[1].replace("\"epoch\"", "\"apoch\"")), 2, "unknown field"),
        (with(1, &negative), 2, "watermark"),
        (with(1, &big), 2, "epoch"),
        (with(1, &nameless), 2, "can't be empty"),
        (twice, 3, "second time"),
        (with(4, "{\"end\":true,\"tokens\":2}"), 5, "counts 2"),
        (text.clone() + lines[1], 6, "doesn't belong"),
        (with(1, &"x".repeat(9_000)), 2, "doesn't belong"),
    ] {
        let Err(error) = imported(&text) else { panic!("{says}") };
        let BackupError::Line { line: at, .. } = error else { panic!("{error}") };
        let said = error.to_string();
        assert_eq!(at, line, "{said}");
        assert!(said.contains(says), "{said}");
    }
    let in_the_last_line = text.trim_end().trim_end_matches("}").to_owned();
    for cut in [String::new(), lines[..4].join("\n"), in_the_last_line, text[..text.len() / 2].to_owned()] {
        let error = imported(&cut).unwrap_err();
        assert!(matches!(error, BackupError::CutOff { .. }), "{error}");
    }
    let no_end = with(4, "{\"end\":false,\"tokens\":3}");
    assert!(matches!(imported(&no_end), Err(BackupError::Line { line: 5, .. })));
}
