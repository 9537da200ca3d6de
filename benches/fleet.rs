//! Hosts a second in one sweep of four samples of each of 10,000 hosts, every one an address of its own in 127.0.0.0/8, beside two
//! others that do the same work in the same run:
//!
//! - `check_ntp_time` (monitoring-plugins), as a monitoring system runs it: a process for each host, 64 at once;
//! - `rkik compare` (2.2), in batches of 250 hosts: it takes them as arguments.
//!
//! No pacing; the responder is a process of its own. `cargo bench --bench fleet --features cli`. The others are looked for in
//! `/usr/lib/nagios/plugins` and in `PATH`, or where `CHECK_NTP_TIME` and `RKIK` say; one that is missing is left out, with a
//! word. `HOSTS` (10,000) and `ROUNDS` (5) change how much is done.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use skewgate::time::{LocalClock, os::OsClock};

/// How many processes of `check_ntp_time` run at once.
const AT_ONCE: usize = 64;
/// How many hosts `rkik compare` is given at once.
const BATCH: usize = 250;

/// The responder, stopped when dropped.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
            .args([
                "respond",
                "--listen",
                "0.0.0.0:0",
                "--rate-limit",
                "off",
                "--stratum",
                "2",
                "--dispersion",
                "1ms",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("a pipe");
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        let port = line.rsplit(':').next().and_then(|rest| rest.split(',').next()?.parse().ok());
        Self(child, port.unwrap_or_else(|| panic!("no port in {line:?}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn program(variable: &str, places: &[&str]) -> Option<PathBuf> {
    let said = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path =
        std::env::split_paths(&path).flat_map(|dir| places.iter().map(move |place| dir.join(place)));
    said.into_iter().chain(places.iter().map(PathBuf::from)).chain(in_path).find(|file| file.is_file())
}

/// How many of the hosts were measured.
type Case<'a> = (&'static str, Box<dyn Fn(&[SocketAddr]) -> usize + 'a>);

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let server = Server::start();
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let count = u32::try_from(number("HOSTS", 10_000)).expect("fewer than 2^24 hosts");
    let hosts: Vec<SocketAddr> =
        (0..count).map(|index| SocketAddr::from((Ipv4Addr::from(first + index), server.1))).collect();
    let reference = format!("127.0.0.1:{}", server.1);

    let plugin = program("CHECK_NTP_TIME", &["/usr/lib/nagios/plugins/check_ntp_time", "check_ntp_time"]);
    let rkik = program("RKIK", &["rkik"]);
    let mut cases: Vec<Case<'_>> =
        vec![("skew-check fleet", Box::new(|hosts| skew_check(hosts, &reference)))];
    match &plugin {
        Some(plugin) => cases.push(("check_ntp_time", Box::new(move |hosts| check_ntp_time(plugin, hosts)))),
        None => println!("check_ntp_time isn't there: left out"),
    }
    match &rkik {
        Some(rkik) => cases.push(("rkik compare", Box::new(move |hosts| rkik_compare(rkik, hosts)))),
        None => println!("rkik isn't there: left out"),
    }

    let mut rates = vec![Vec::new(); cases.len()];
    for round in 1..=number("ROUNDS", 5) {
        for ((name, run), rates) in cases.iter().zip(&mut rates) {
            let start = OsClock.raw();
            let measured = run(&hosts);
            let took = (OsClock.raw() - start).unsigned_abs();
            assert_eq!(measured, hosts.len(), "{name} measured only {measured} hosts");
            let rate = f64::from(count) / took.as_secs_f64();
            println!("round {round}: {name:18} {took:>10.2?}  {rate:>9.0} hosts/s");
            rates.push(rate);
        }
    }
    println!("\nhosts a second, the median of the rounds, and how many times as many skew-check measures:");
    let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for ((name, _), median) in cases.iter().zip(&medians) {
        println!("{name:18} {median:>9.0}  {:>6.1}x", medians[0] / median);
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn skew_check(hosts: &[SocketAddr], reference: &str) -> usize {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["fleet", "--allow-single", "--reference", reference, "-", "--format", "json"])
        .args(["--samples", "4", "--interval", "10ms", "--max-rate", "off"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let list: String = hosts.iter().map(|host| format!("{host}\n")).collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(list.as_bytes()).expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let hosts = value["hosts"].as_array().expect("a list");
    hosts.iter().filter(|host| host["samples"] == 4).count()
}

fn check_ntp_time(plugin: &PathBuf, hosts: &[SocketAddr]) -> usize {
    let (next, measured) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // It takes four samples by itself.
                    let output = Command::new(plugin)
                        .args([
                            "-H",
                            &host.ip().to_string(),
                            "-p",
                            &host.port().to_string(),
                            "-w",
                            "1",
                            "-c",
                            "2",
                        ])
                        .output()
                        .expect("check_ntp_time runs");
                    if output.status.success() {
                        measured.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    measured.into_inner()
}

fn rkik_compare(rkik: &PathBuf, hosts: &[SocketAddr]) -> usize {
    let mut measured = 0;
    for batch in hosts.chunks(BATCH) {
        let output = Command::new(rkik)
            .args(["compare", "--format", "json", "--count", "4", "--interval", "0.01"])
            .args(batch.iter().map(ToString::to_string))
            .output()
            .expect("rkik runs");
        if output.status.success() {
            measured += batch.len();
        } else {
            std::io::stderr().write_all(&output.stderr).expect("a place for errors");
        }
    }
    measured
}
