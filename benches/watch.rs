//! What `skew-check watch` of 10,000 hosts takes: memory after some sweeps, and how long an answer takes while they go on.
//!
//! Every host is an address of its own in 127.0.0.0/8, asked for four samples without pacing; the responder is a process of its
//! own. The times are from the request to the last byte, over a new connection each, the median of 51. `cargo bench --bench watch
//! --features watch`; `HOSTS` (10,000) and `SWEEPS` (30) change how much is done.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use skewgate::time::{LocalClock, os::OsClock};

/// How often each is asked for.
const TIMES: usize = 51;

/// A process, stopped when dropped.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        (Self(child), stderr)
    }

    /// What of it is in memory, in MiB: now, and at the most until now.
    fn resident(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("Linux");
        let of = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
            line.map_or(0.0, |kib: f64| kib / 1024.0)
        };
        (of("VmRSS:"), of("VmHWM:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn first_line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line
}

/// The bytes of an answer, and how long it took.
fn get(address: &str, path: &str, header: &str) -> (Vec<u8>, Duration) {
    let begun = OsClock.raw();
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    (answer, (OsClock.raw() - begun).unsigned_abs())
}

fn sweeps(address: &str) -> u32 {
    let (answer, _) = get(address, "/healthz", "");
    let text = String::from_utf8_lossy(&answer);
    let count = text.split_once("\"sweeps\":").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    count.unwrap_or(0)
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let respond =
        ["respond", "--listen", "0.0.0.0:0", "--rate-limit", "off", "--stratum", "2", "--dispersion", "1ms"];
    let (_server, mut said) = Process::start(&respond);
    let line = first_line(&mut said);
    let port = line.rsplit(':').next().and_then(|rest| rest.split(',').next()).expect("a port").to_owned();

    let dir = tempfile::tempdir().expect("a directory for temporary files");
    let (inventory, database) = (dir.path().join("hosts.toml"), dir.path().join("history.redb"));
    let (first, count) = (u32::from(Ipv4Addr::new(127, 1, 0, 1)), number("HOSTS", 10_000));
    let mut hosts = format!("reference = ['127.0.0.1:{port}']\nhosts = [\n");
    for index in 0..count {
        writeln!(hosts, "'{}:{port}',", Ipv4Addr::from(first + index)).expect("a text takes everything");
    }
    std::fs::write(&inventory, hosts + "]\n").expect("room for a file");

    let (inventory, database) = (inventory.to_string_lossy(), database.to_string_lossy());
    let (watch, mut said) = Process::start(&[
        "watch",
        "--inventory",
        &inventory,
        "--database",
        &database,
        "--listen",
        "127.0.0.1:0",
        "--every",
        "2s",
        "--allow-single",
        "--samples",
        "4",
        "--interval",
        "10ms",
        "--max-rate",
        "off",
    ]);
    let line = first_line(&mut said);
    let address = line
        .split_once("http://")
        .and_then(|(_, rest)| rest.split('/').next())
        .expect("an address")
        .to_owned();

    for wanted in [1, number("SWEEPS", 30)] {
        while sweeps(&address) < wanted {
            thread::sleep(Duration::from_millis(100));
        }
        let (now, most) = watch.resident();
        println!(
            "{count} hosts, {} sweeps: {now:.1} MiB resident, {most:.1} MiB at the most",
            sweeps(&address)
        );
    }
    let (answer, _) = get(&address, "/api/fleet.json", "");
    let head = String::from_utf8_lossy(&answer[..answer.len().min(1_000)]).into_owned();
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag").to_owned();
    let host = format!("/api/history.json?host={}:{port}", Ipv4Addr::from(first));
    for (path, header) in [
        ("/api/fleet.json", String::new()),
        ("/api/fleet.json", format!("If-None-Match: {tag}\r\n")),
        ("/metrics", String::new()),
        ("/healthz", String::new()),
        ("/api/history.json", String::new()),
        (host.as_str(), String::new()),
        ("/", String::new()),
    ] {
        let mut times = Vec::new();
        let mut length = 0;
        for _ in 0..TIMES {
            let (answer, took) = get(&address, path, &header);
            length = answer.len();
            times.push(took);
        }
        times.sort();
        let (median, slowest) = (times[TIMES / 2], times[TIMES - 1]);
        let with = if header.is_empty() { "" } else { ", with its ETag" };
        println!("{path}{with}: {length} bytes, {median:.2?}, the slowest {slowest:.2?}");
    }
    let (now, most) = watch.resident();
    let size = std::fs::metadata(database.as_ref()).map_or(0, |file| file.len());
    println!("afterwards: {now:.1} MiB resident, {most:.1} MiB at the most; database {size} bytes");
}
