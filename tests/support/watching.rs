//! `skew-check watch` as a process of its own, and what its clients see.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use skewgate::time::{LocalClock, SignedDuration, os::OsClock};

/// How long anything may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

/// `skew-check watch`, killed when dropped.
pub(crate) struct Watch {
    process: Child,
    address: Option<SocketAddr>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Watch {
    /// Starts it over an inventory and a database, with sweeps of one sample a second, and waits until it listens.
    pub(crate) fn start(
        inventory: &Path,
        database: &Path,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut watch = Self::spawn(inventory, database, options, environment);
        let listening = watch.event("listening");
        watch.address = listening["address"].as_str().and_then(|address| address.parse().ok());
        watch
    }

    /// The same, without waiting for anything.
    pub(crate) fn spawn(
        inventory: &Path,
        database: &Path,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let defaults = [["--every", "1s"], ["--samples", "1"], ["--timeout", "150ms"]];
        let defaults = defaults.iter().filter(|default| !options.contains(&default[0])).flatten();
        let mut process = Command::new("sh")
            // What is too much for a file is an error then, as on a full disk, and not the end.
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_skew-check")])
            .args(["watch", "--listen", "127.0.0.1:0", "--log-format", "json", "--allow-single", "-4"])
            .args(defaults)
            .arg("--inventory")
            .arg(inventory)
            .arg("--database")
            .arg(database)
            .args(options)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let events = Arc::new(Mutex::new(Vec::new()));
        let (log, stderr) = (events.clone(), process.stderr.take().expect("a pipe"));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.lock().expect("no panic while it was locked").push(event);
            }
        });
        Self { process, address: None, events }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("it was waited for until it listened")
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// All that it has logged until now.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.events.lock().expect("no panic while it was locked").clone()
    }

    /// The events of a name until now.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.log().into_iter().filter(|event| event["event"] == name).collect()
    }

    /// Waits for the first event of a name.
    pub(crate) fn event(&self, name: &str) -> Value {
        until(|| self.events(name).into_iter().next(), || format!("no event {name} in {:#?}", self.log()))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address(), &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.address()))
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    /// What a series shows.
    pub(crate) fn series(&self, name: &str) -> String {
        let page = self.get("/metrics").text();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
    }

    /// What one shows that counts.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.series(name).parse().expect("a whole number")
    }

    pub(crate) fn sweeps(&self) -> u64 {
        self.json("/healthz")["sweeps"].as_u64().expect("a number")
    }

    /// Waits for so many sweeps more, none of which had begun before.
    pub(crate) fn wait_for_sweeps(&self, more: u64) {
        let enough = self.sweeps() + more + 1;
        until(
            || (self.sweeps() >= enough).then_some(()),
            || format!("no {enough} sweeps: {:#?}", self.log()),
        );
    }

    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        until(|| holds(self).then_some(()), || format!("never {what}: {:#?}", self.log()));
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(sent.expect("kill is everywhere").success());
    }

    pub(crate) fn end(mut self, signal: &str) -> (ExitStatus, Duration) {
        let begun = OsClock.raw();
        self.signal(signal);
        let status = self.process.wait().expect("the state of a child process");
        (status, (OsClock.raw() - begun).unsigned_abs())
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("the state of a child process")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Looks again and again until there is something.
pub(crate) fn until<T>(look: impl Fn() -> Option<T>, otherwise: impl Fn() -> String) -> T {
    let begun = OsClock.raw();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(OsClock.raw() - begun < SignedDuration::from(PATIENCE), "{}", otherwise());
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    fn read(mut from: impl Read) -> Self {
        let mut all = Vec::new();
        from.read_to_end(&mut all).expect("an answer to its end");
        let head = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let (head, body) = (String::from_utf8_lossy(&all[..head]).into_owned(), all[head + 4..].to_vec());
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status: status.unwrap_or_else(|| panic!("no status in {head:?}")), headers, body }
    }
}

/// Sends a head, and reads until the other side closes the connection.
pub(crate) fn request(address: SocketAddr, head: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).expect("it reads");
    Answer::read(stream)
}

/// A webhook's other side: keeps what was posted, and answers each post with the next of its statuses, the last again and again.
pub(crate) struct Hook {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    pub(crate) fn answering(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let posts = Arc::new(Mutex::new(Vec::new()));
        let seen = posts.clone();
        thread::spawn(move || {
            for (count, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let status = statuses.get(count).or(statuses.last()).expect("a status");
                seen.lock().expect("no panic while it was locked").push(take(stream, *status));
            }
        });
        Self { address, posts }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/s3cret?key=k3y", self.address)
    }

    /// The heads and bodies of all posts until now.
    pub(crate) fn posts(&self) -> Vec<(String, Value)> {
        self.posts.lock().expect("no panic while it was locked").clone()
    }

    pub(crate) fn wait_for(&self, posts: usize) -> Vec<(String, Value)> {
        until(
            || Some(self.posts()).filter(|all| all.len() >= posts),
            || format!("not {posts} posts: {:#?}", self.posts()),
        )
    }
}

/// One request; its connection is closed afterwards.
fn take(stream: TcpStream, status: u16) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let answer = format!("HTTP/1.1 {status} Answered\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).expect("it reads");
    (head, serde_json::from_slice(&body).expect("JSON"))
}

/// One address behind which there is now this time server, now that one.
pub(crate) struct Switch {
    address: SocketAddr,
    place: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Switch {
    pub(crate) fn between(servers: &[SocketAddr]) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        let address = front.local_addr().expect("an address");
        let (place, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (at, over, servers) = (place.clone(), ended.clone(), servers.to_vec());
        thread::spawn(move || {
            let back = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
            for socket in [&front, &back] {
                socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
            }
            let mut bytes = [0; 512];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, client)) = front.recv_from(&mut bytes) else { continue };
                let server = servers[at.load(Ordering::Relaxed)];
                back.send_to(&bytes[..length], server).expect("loopback");
                if let Ok((length, _)) = back.recv_from(&mut bytes) {
                    front.send_to(&bytes[..length], client).expect("loopback");
                }
            }
        });
        Self { address, place, ended }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn turn_to(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
