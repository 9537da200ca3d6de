//! A real Prometheus and its promtool, and metrics served to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;
use skewgate::time::{LocalClock, SignedDuration, os::OsClock};
use tempfile::TempDir;

/// How long it may take to start, or to have scraped something.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What `promtool` says of this on its standard input.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> Output {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("this test needs promtool ({error}): run ./tests/run, which installs it")
    });
    // It may have seen enough before the end.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

/// Panics with what it says where it isn't content.
#[track_caller]
pub(crate) fn content(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
    );
}

/// A running Prometheus, killed when dropped.
pub(crate) struct Prometheus {
    address: SocketAddr,
    process: Child,
    dir: TempDir,
}

impl Prometheus {
    /// With this configuration: rule files are found beside it, and `files` are put there.
    pub(crate) fn start(configuration: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory for temporary files");
        for (name, text) in files.iter().chain(&[("prometheus.yml", configuration)]) {
            fs::write(dir.path().join(name), text).expect("room for a file");
        }
        let address = free_port();
        let log = fs::File::create(dir.path().join("log")).expect("room for a log");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("this test needs prometheus ({error}): run ./tests/run, which installs it")
        });
        let mut server = Self { address, process, dir };
        server.wait_for("its start", |server| {
            if let Some(ended) = server.process.try_wait().expect("the state of a child process") {
                panic!("prometheus ended with {ended}:\n{}", server.log());
            }
            get(server.address, "/-/ready").ok().filter(|(status, _)| *status == 200)
        });
        server
    }

    /// Asks until there is an answer.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = OsClock.raw() + PATIENCE;
        while OsClock.raw() < deadline {
            if let Some(answer) = ask(self) {
                return answer;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("no sign of {what} within {PATIENCE}:\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// What a path of its API answers: the status and the document.
    pub(crate) fn api(&self, path: &str) -> (u16, Value) {
        let (status, body) = get(self.address, path).expect("an answer of prometheus");
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    /// The series that an expression gives, or what is wrong with it.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let (status, mut answer) = self.api(&format!("/api/v1/query?query={}", encoded(expression)));
        match (status, answer["data"]["result"].take()) {
            (200, Value::Array(series)) => Ok(series),
            _ => Err(answer["error"].to_string()),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves one page of metrics to everybody who asks, in OpenMetrics, until it is dropped.
pub(crate) struct Page {
    pub(crate) address: SocketAddr,
    text: Arc<Mutex<Option<String>>>,
}

impl Page {
    pub(crate) fn serve(text: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Some(text)));
        let text = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(text) = text.lock().expect("nobody panics with it").clone() else { return };
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        Self { address, text: shared }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Ok(mut text) = self.text.lock() {
            *text = None;
        }
        // Its thread looks.
        drop(TcpStream::connect(self.address));
    }
}

pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on loopback");
    listener.local_addr().expect("an address")
}

/// Version 1.0 of HTTP: what comes back ends with the connection, and is in one piece.
pub(crate) fn get(server: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or(0), body.to_owned()))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A file of this repository.
pub(crate) fn repository_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
