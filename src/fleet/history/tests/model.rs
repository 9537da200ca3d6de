//! Beside a model that says in a few lines what is kept, whatever the clock shows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redb::ReadableTable;

use super::super::record::Record;
use super::super::row::decode;
use super::super::tables::{CELLS, HOSTS};
use super::*;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

type Cell = BTreeMap<String, Record>;

/// A tier's cells by their start, and in which order they were begun.
#[derive(Default)]
struct Model {
    cells: BTreeMap<u32, Vec<(i64, Cell)>>,
}

impl Model {
    fn append(&mut self, retention: &Retention, second: i64, seen: &[Observed<'_>]) {
        for tier in retention.tiers() {
            let start = second.div_euclid(tier.span_s.into()) * i64::from(tier.span_s);
            let cells = self.cells.entry(tier.span_s).or_default();
            if !cells.iter().any(|(begin, _)| *begin == start) {
                cells.push((start, Cell::new()));
            }
            let (_, cell) = cells.iter_mut().find(|(begin, _)| *begin == start).unwrap();
            for seen in seen {
                let record = Record::of(seen);
                let together = cell.get(seen.host).map_or(record, |before| before.and(record));
                cell.insert(seen.host.into(), together);
            }
            if cells.len() > tier.cells as usize {
                // The one that was begun first, but never the present one.
                let oldest = cells.iter().position(|(begin, _)| *begin != start).unwrap();
                cells.remove(oldest);
            }
        }
    }

    fn kept(&self) -> BTreeMap<(u32, i64), Cell> {
        let of_tier = |(span, cells): (&u32, &Vec<(i64, Cell)>)| {
            cells.iter().map(|(start, cell)| ((*span, *start), cell.clone())).collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(of_tier).collect()
    }
}

pub(super) fn hosts(history: &History) -> BTreeMap<u32, String> {
    let read = |transaction: &redb::ReadTransaction| {
        let hosts = transaction.open_table(HOSTS)?;
        let mut names = BTreeMap::new();
        for entry in hosts.iter()? {
            let (name, host) = entry?;
            names.insert(host.value().0, name.value().to_owned());
        }
        Ok(names)
    };
    history.read(read).unwrap()
}

fn kept(history: &History) -> BTreeMap<(u32, i64), Cell> {
    let names = hosts(history);
    let read = |transaction: &redb::ReadTransaction| {
        let mut kept: BTreeMap<(u32, i64), Cell> = BTreeMap::new();
        for entry in transaction.open_table(CELLS)?.iter()? {
            let (key, value) = entry?;
            let (span, start, first) = key.value();
            for (number, record) in decode(first, value.value())?.records {
                let before = kept.entry((span, start)).or_default().insert(names[&number].clone(), record);
                assert_eq!(before, None);
            }
        }
        Ok(kept)
    };
    history.read(read).unwrap()
}

#[derive(Clone, Debug)]
enum Clock {
    Minute,
    Seconds(i64),
    Jump(i64),
}

fn clock() -> impl Strategy<Value = Clock> {
    prop_oneof![
        6 => Just(Clock::Minute),
        2 => (-200_i64..4_000).prop_map(Clock::Seconds),
        1 => prop_oneof![Just(-NOON), Just(0), Just(420_000_000), any::<i32>().prop_map(i64::from)].prop_map(Clock::Jump),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_kept_is_what_the_model_keeps(
        sweeps in proptest::collection::vec((clock(), 1_u8..32, -50_i64..50), 1..60),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let history = history(&directory);
        let (mut model, mut second) = (Model::default(), 0);
        for (clock, mask, lo) in sweeps {
            second = match clock {
                Clock::Minute => second + 60,
                Clock::Seconds(seconds) => second + seconds,
                Clock::Jump(to) => to,
            };
            let present = NAMES.iter().enumerate().filter(|(place, _)| mask & 1 << place != 0);
            let seen: Vec<Observed<'_>> = present
                .map(|(place, name)| {
                    let lo = lo + i64::try_from(place).unwrap();
                    if lo % 7 == 0 { silent(name) } else { seen(name, lo, lo + 20) }
                })
                .collect();
            history.append_observed(at(second), &seen).unwrap();
            model.append(&small(), NOON + second, &seen);
            let kept = kept(&history);
            prop_assert_eq!(&kept, &model.kept());
            // Whoever is in a cell has a name still.
            let names = hosts(&history);
            for cell in kept.values() {
                prop_assert!(cell.keys().all(|name| names.values().any(|known| known == name)));
            }
        }
    }
}
