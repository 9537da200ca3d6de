//! The arithmetic of docs/one-million-hosts.md, done again from what the library does and what is on the wire.

use std::collections::BTreeMap;

use skewgate::fleet::SweepOptions;

const DOCUMENT: &str = include_str!("../docs/one-million-hosts.md");

const HOSTS: u64 = 1_000_000;
const MONITORS: u64 = 20;
const EVERY_S: u64 = 300;
const SCRAPED_EVERY_S: u64 = 120;
/// RFC 5905 §7.3, RFC 768, RFC 791 §3.1 and RFC 8200 §3, in bytes.
const NTP: u64 = 48;
const UDP: u64 = 8;
const IPV4: u64 = 20;
const IPV6: u64 = 40;
/// skew, its bound, delay, stratum and state: `tests/prometheus.rs` prints them.
const SERIES: u64 = 5;

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).expect("digits")).collect();
    parts.join(",")
}

/// In megabits a second, with so many places, rounded.
fn megabits(bits: u64, places: u32) -> String {
    let unit = 10_u64.pow(6 - places);
    let rounded = (bits + unit / 2) / unit;
    let (whole, rest) = (rounded / 10_u64.pow(places), rounded % 10_u64.pow(places));
    format!("{whole}.{rest:0width$} Mbit/s", width = usize::try_from(places).expect("few"))
}

#[test]
fn the_figures_of_the_page_are_what_comes_out() {
    let options = SweepOptions::default();
    let samples = u64::from(options.pace.samples);
    let rate = u64::from(options.pace.max_rate.expect("a pace").get());
    let hosts = HOSTS / MONITORS;
    let requests = hosts * samples;
    let sweep_s = requests / rate;
    let rounds = 2 + sweep_s / options.reference_interval.as_secs();
    let reference_samples = u64::from(options.reference.pace.samples);
    let all = HOSTS * samples;
    let computed = [
        ("hosts a monitor", grouped(hosts)),
        ("requests a sweep, a monitor", grouped(requests)),
        ("time for them", format!("{sweep_s} s")),
        ("most hosts of a monitor at that rate", grouped(rate * EVERY_S / samples)),
        ("a request or a reply, IPv4", format!("{} bytes", NTP + UDP + IPV4)),
        ("a request or a reply, IPv6", format!("{} bytes", NTP + UDP + IPV6)),
        ("sent by a monitor while it sweeps, IPv4", megabits(rate * (NTP + UDP + IPV4) * 8, 2)),
        ("the same, IPv6", megabits(rate * (NTP + UDP + IPV6) * 8, 2)),
        ("requests of all monitors, on average", format!("{} a second", grouped(all / EVERY_S))),
        ("sent by all of them, on average, IPv4", megabits(all * (NTP + UDP + IPV4) * 8 / EVERY_S, 1)),
        ("requests to a host, on average", format!("one in {} s", EVERY_S / samples)),
        ("rounds of the reference, a sweep", rounds.to_string()),
        ("requests to each reference source, a sweep", grouped(rounds * reference_samples * MONITORS)),
        ("series, a monitor", grouped(hosts * SERIES)),
        ("series, all", grouped(HOSTS * SERIES)),
        ("samples a day", grouped(HOSTS * SERIES * 86_400 / SCRAPED_EVERY_S)),
    ];
    let (_, table) = DOCUMENT.split_once("| --- | --- | --- |\n").expect("a table");
    let table = table.split_once("\n\n").expect("its end").0;
    let written: BTreeMap<&str, &str> = table
        .lines()
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0], cells[2])
        })
        .collect();
    assert_eq!(written.len(), computed.len(), "{written:?}");
    for (figure, value) in &computed {
        assert_eq!(written.get(figure).copied(), Some(value.as_str()), "{figure}");
    }
}

/// What the page says in words of the same figures.
#[test]
fn the_words_of_the_page_go_with_its_figures() {
    let per_second = 480.0 / 300.0;
    assert!(DOCUMENT.contains(&format!("480 times in five minutes, {per_second:.1} times a second")));
    let options = SweepOptions::default();
    // Once, and as often again as hosts that are undecided are asked.
    assert_eq!(1 + options.more_rounds, 3);
    assert!(DOCUMENT.contains("at most three times that of the table"));
    assert_eq!((options.pace.samples, options.pace.interval.as_millis()), (4, 200));
    assert!(DOCUMENT.contains("4 requests, 200 ms apart"));
}
