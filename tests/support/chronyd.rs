//! Real time servers: chronyd on loopback, right, or wrong by a known amount. It never touches the clock.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{fs, thread};

use skewgate::ntp::Source;
use skewgate::time::{LocalClock, SignedDuration, os::OsClock};
use tempfile::TempDir;

/// How long a server may take until it answers as it should.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// 100 ms, in units of 2⁻¹⁶ s: above this a server that follows another has not settled.
const MAX_ROOT_DISPERSION: u32 = 6_554;

/// How often another port is tried where somebody else took the one that was free a moment ago.
const ATTEMPTS: usize = 5;

/// A running chronyd; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Chronyd {
    address: SocketAddr,
    process: Child,
    /// Its configuration, log and pid file.
    _dir: TempDir,
}

/// What a server has to answer before a test may ask it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    /// Anything.
    Answers,
    /// The time of a synchronised clock that is sure of itself.
    Settled,
}

impl Chronyd {
    /// Serves this machine's own clock, as a server of this stratum.
    pub(crate) fn honest(stratum: u8) -> Self {
        Self::start(next_loopback_address(), &format!("local stratum {stratum}"), Ready::Settled)
    }

    /// The same at `::1`.
    pub(crate) fn honest_v6(stratum: u8) -> Self {
        Self::start(Ipv6Addr::LOCALHOST.into(), &format!("local stratum {stratum}"), Ready::Settled)
    }

    /// Serves what `upstream` serves and `seconds` more: ahead where they are positive.
    pub(crate) fn offset_from(upstream: &Self, seconds: f64) -> Self {
        Self::follow(upstream.address, &format!("offset {seconds}"))
    }

    /// Serves what it measures of the server at this address, which may be a relay's.
    pub(crate) fn following(upstream: SocketAddr) -> Self {
        Self::follow(upstream, "")
    }

    /// Runs, and doesn't know the time.
    pub(crate) fn unsynchronised() -> Self {
        Self::start(next_loopback_address(), "", Ready::Answers)
    }

    /// Where it answers.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a configured source.
    pub(crate) fn source(&self) -> Source {
        Source::new(self.address.into())
    }

    fn follow(upstream: SocketAddr, option: &str) -> Self {
        let (ip, port) = (upstream.ip(), upstream.port());
        let directive = format!("server {ip} port {port} iburst minpoll -2 maxpoll -2 {option}");
        Self::start(next_loopback_address(), &directive, Ready::Settled)
    }

    fn start(ip: IpAddr, directive: &str, ready: Ready) -> Self {
        let mut failures = String::new();
        for _ in 0..ATTEMPTS {
            let address = free_port(ip);
            let dir = fresh_dir();
            let process = spawn(address, directive, dir.path());
            // From here on a panic kills it.
            let mut server = Self { address, process, _dir: dir };
            match server.wait_until(ready) {
                Ok(()) => return server,
                Err(ended) => {
                    let log = server.log();
                    write!(failures, "\nat {address} it ended with {ended}:\n{log}")
                        .expect("memory for a text");
                }
            }
        }
        panic!("chronyd does not start:{failures}");
    }

    /// Asks until the answer is right. An error if it ended by itself: its port was taken, perhaps.
    fn wait_until(&mut self, ready: Ready) -> Result<(), ExitStatus> {
        let deadline = OsClock.raw() + PATIENCE;
        while OsClock.raw() < deadline {
            if let Some(ended) = self.process.try_wait().expect("the state of a child process") {
                return Err(ended);
            }
            match ask(self.address) {
                Ok(answer) if ready == Ready::Answers || answer.settled() => return Ok(()),
                Ok(_) | Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("chronyd at {} gave no usable answer within {PATIENCE}:\n{}", self.address, self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self._dir.path().join("log")).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

impl Drop for Chronyd {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One of 127.0.0.2 to 127.0.0.251, in turn: servers on several addresses, like real ones.
fn next_loopback_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    Ipv4Addr::new(127, 0, 0, 2 + NEXT.fetch_add(1, Ordering::Relaxed) % 250).into()
}

fn free_port(ip: IpAddr) -> SocketAddr {
    let socket = UdpSocket::bind((ip, 0)).expect("a free UDP port on loopback");
    socket.local_addr().expect("the address of a bound socket")
}

/// Where `./tests/run` looks for processes that are left over, if it is what runs the tests.
fn fresh_dir() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("chronyd-");
    match std::env::var_os("SKEWGATE_TEST_DIR") {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .expect("a directory for temporary files")
}

fn spawn(address: SocketAddr, directive: &str, dir: &Path) -> Child {
    let (ip, port) = (address.ip(), address.port());
    let pid_file = dir.join("chronyd.pid");
    let configuration = format!(
        "bindaddress {ip}\nport {port}\n{directive}\nallow 127.0.0.0/8\nallow ::1\n\
         cmdport 0\nbindcmdaddress /\npidfile {}\nuser root\n",
        pid_file.display()
    );
    let file = dir.join("chrony.conf");
    fs::write(&file, configuration).expect("room for a configuration");
    let log = fs::File::create(dir.join("log")).expect("room for a log");
    // -x: leave the clock alone. -d: stay in the foreground. -U: other users than root may run it.
    let child = Command::new("chronyd")
        .args(["-x", "-d", "-U", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .spawn();
    match child {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("this test needs chronyd, and it is not in PATH: run ./tests/run, which installs it")
        }
        Err(error) => panic!("chronyd can't be run: {error}"),
    }
}

/// What tells whether a server is synchronised, read from the raw bytes: not by the code under test.
struct Answer {
    leap: u8,
    stratum: u8,
    /// In units of 2⁻¹⁶ s.
    root_dispersion: u32,
}

impl Answer {
    /// And sure of it: one that follows another claims a dispersion of a second after its first sample.
    fn settled(&self) -> bool {
        self.leap != 3 && (1..16).contains(&self.stratum) && self.root_dispersion < MAX_ROOT_DISPERSION
    }
}

fn ask(server: SocketAddr) -> io::Result<Answer> {
    let reply = exchange(server)?;
    let [_, stratum, _, _, _, _, _, _, a, b, c, d] = *reply.first_chunk().unwrap_or(&[0; 12]);
    Ok(Answer { leap: reply[0] >> 6, stratum, root_dispersion: u32::from_be_bytes([a, b, c, d]) })
}

/// A bare exchange: the header of the reply.
pub(crate) fn exchange(server: SocketAddr) -> io::Result<[u8; 48]> {
    let loopback: IpAddr =
        if server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let socket = UdpSocket::bind((loopback, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut request = [0; 48];
    // Leap indicator 0, version 4, mode 3: a client.
    request[0] = 0x23;
    socket.send(&request)?;
    let mut reply = [0; 48];
    if socket.recv(&mut reply)? == reply.len() { Ok(reply) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Asks a server with a chronyd of its own, which sets nothing, by how many seconds this machine's clock is
/// behind; its log where it found out nothing.
pub(crate) fn query(server: SocketAddr) -> Result<f64, String> {
    let dir = fresh_dir();
    let log = ask_with_chronyd(server, 4, &[], dir.path());
    // "System clock wrong by 3.200012 seconds (ignored)"
    let wrong = log.split_once("wrong by ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    wrong.ok_or(log)
}

/// Where the truth is, by chronyd: what it selects among sources by, and calls the root distance, to both sides of its offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// By how many seconds this machine's clock is ahead, at the least and at the most.
    ends: [f64; 2],
}

impl Claim {
    /// Half of the interval.
    pub(crate) fn root_distance(self) -> Duration {
        Duration::from_secs_f64((self.ends[1] - self.ends[0]) / 2.0)
    }

    /// Its middle, either way.
    pub(crate) fn offset(self) -> Duration {
        Duration::from_secs_f64((f64::midpoint(self.ends[0], self.ends[1])).abs())
    }

    /// Whether the clock may be right.
    pub(crate) fn contains_zero(self) -> bool {
        self.ends[0] <= 0.0 && 0.0 <= self.ends[1]
    }
}

/// What a chronyd that sets nothing claims after one exchange with a server; its log where it claims nothing.
pub(crate) fn claim(server: SocketAddr) -> Result<Claim, String> {
    let dir = fresh_dir();
    let logging = [format!("logdir {}", dir.path().display()), "log selection".to_owned()];
    let log = ask_with_chronyd(server, 1, &logging, dir.path());
    let selection = fs::read_to_string(dir.path().join("selection.log")).unwrap_or_default();
    // "2026-11-22 13:40:10 127.0.0.77      * -----    1  1.00  1.362e-04 -6.116e-06  1.441e-04": the last two are the
    // ends; the star is for the source that was selected.
    let ends = selection.lines().rev().find_map(|line| match *line.split_whitespace().collect::<Vec<_>>() {
        [_, _, _, "*", .., low, high] => Some([low.parse().ok()?, high.parse().ok()?]),
        _ => None,
    });
    ends.map(|ends| Claim { ends }).ok_or_else(|| log + &selection)
}

fn ask_with_chronyd(server: SocketAddr, samples: u8, directives: &[String], dir: &Path) -> String {
    let (ip, port) = (server.ip(), server.port());
    let output = Command::new("chronyd")
        .args(["-Q", "-U", "-t", "10"])
        .arg(format!("server {ip} port {port} iburst maxsamples {samples}"))
        .arg(format!("pidfile {}", dir.join("chronyd.pid").display()))
        .args(["user root", "cmdport 0", "bindcmdaddress /"])
        .args(directives)
        .output()
        .expect("this test needs chronyd: run ./tests/run, which installs it");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}
