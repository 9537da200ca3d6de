//! Sweeps of ten thousand and of a hundred thousand hosts: a process that answers for all of 127.0.0.0/8.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use skewgate::fleet::{Host, Inventory, Phase, State, SweepOptions, Thresholds, sweep};
use skewgate::ntp::{Options, Pace};
use skewgate::time::{SignedDuration, os::OsClock};
use support::program::Program;

fn server() -> (Program, u16) {
    let options = ["--listen", "0.0.0.0:0", "--rate-limit", "off", "--stratum", "2", "--dispersion", "1ms"];
    let mut server = Program::start(&options);
    let (address, _) = server.listening();
    (server, address.port())
}

fn hosts(count: u32, port: u16) -> impl Iterator<Item = SocketAddr> {
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    (0..count).map(move |index| SocketAddr::from((Ipv4Addr::from(first + index), port)))
}

#[test]
fn ten_thousand_hosts_in_one_sweep_are_all_in_sync() {
    let (_server, port) = server();
    let mut inventory = Inventory::builder();
    inventory.reference(SocketAddr::from(([127, 0, 0, 1], port)).into());
    for host in hosts(10_000, port) {
        inventory.host(host.to_string().parse::<Host>().unwrap());
    }
    // Patience, as other tests may keep the processors busy: what waits for one is delay.
    inventory.ungrouped().thresholds =
        Thresholds::new(Duration::from_secs(5), Duration::from_secs(10)).unwrap();
    let options = SweepOptions {
        pace: Pace { max_rate: None, timeout: Duration::from_secs(10), ..Pace::default() },
        reference: Options { allow_single: true, ..Options::default() },
        // Often, so that there are rounds in the middle of it.
        reference_interval: Duration::from_millis(100),
        ..SweepOptions::default()
    };
    let mut done = Vec::new();
    let report = sweep(&Arc::new(inventory.build().unwrap()), &options, &OsClock, &mut |progress| {
        if progress.phase == Phase::Hosts {
            done.push((progress.done, progress.of));
        }
    })
    .unwrap();

    assert_eq!(done, (0..=10_000).map(|done| (done, 10_000)).collect::<Vec<_>>());
    assert_eq!((report.summary.count(State::InSync), report.summary.hosts()), (10_000, 10_000));
    assert!(report.reference.rounds().len() > 2, "{} rounds", report.reference.rounds().len());
    for host in &report.hosts {
        assert!(host.skew.unwrap().contains(SignedDuration::ZERO), "{host:?}");
        assert_eq!(host.reading.unwrap().samples, 4);
    }
    let pair = report.worst_pair.unwrap();
    assert!(pair.skew.contains(SignedDuration::ZERO), "{pair:?}");
    println!("10,000 hosts, 4 samples each: {:?}; margin {:?}", report.took, report.margin().whole());
}

/// In kibibytes.
const MOST_MEMORY: u64 = 150 << 10;

#[test]
fn a_hundred_thousand_hosts_fit_into_little_memory() {
    const HOSTS: u32 = 100_000;
    let (_server, port) = server();
    let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args([
            "fleet",
            "--allow-single",
            "--reference",
            &format!("127.0.0.1:{port}"),
            "-",
            "--format",
            "json",
        ])
        .args(["--samples", "2", "--interval", "10ms", "--timeout", "10s", "--max-rate", "off"])
        .args(["--warning", "5s", "--critical", "10s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let list: String = hosts(HOSTS, port).map(|host| format!("{host}\n")).collect();
    stdin.write_all(list.as_bytes()).unwrap();
    drop(stdin);
    let (status, peak) = watch(&mut child);

    let text = reader.join().unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &value["summary"]["in-sync"]), (Some(0), &HOSTS.into()), "{}", value["reason"]);
    assert_eq!(value["hosts"].as_array().map(Vec::len), Some(100_000));
    println!("peak memory of a sweep of {HOSTS} hosts: {peak} KiB");
    assert!(peak > 1_000 && peak < MOST_MEMORY, "{peak} KiB");
}

/// Waits for its end, and for the most memory that was ever resident meanwhile, in kibibytes.
fn watch(child: &mut Child) -> (Option<i32>, u64) {
    let file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(&file).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("the state of a child process") {
            return (status.code(), peak);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
