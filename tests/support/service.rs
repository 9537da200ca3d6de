//! examples/login_service as a process of its own, and what it answers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use skewgate::time::{LocalClock, SignedDuration, os::OsClock};

use crate::support::example;

/// How long anything may take.
pub(crate) const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// The service; it is killed when dropped.
pub(crate) struct Service {
    process: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut process = Command::new(example::build("login_service"))
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        // From here on a panic kills it.
        let mut service = Self { process, address: SocketAddr::from(([0, 0, 0, 0], 0)), log: Arc::default() };
        service.address = lines
            .by_ref()
            .find_map(|line| {
                service.log.lock().unwrap().push(line.clone());
                let event: Value = serde_json::from_str(&line).unwrap();
                (event["message"] == "listening").then(|| event["address"].as_str().unwrap().parse().unwrap())
            })
            .expect("it listens");
        let log = Arc::clone(&service.log);
        thread::spawn(move || lines.for_each(|line| log.lock().unwrap().push(line)));
        service
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The outcomes of security events so far, in the log: as many as have been counted.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, usize> {
        let metrics = self.get("/metrics").body;
        let verdicts = metrics.lines().filter_map(|line| line.strip_prefix("skewgate_verdicts_total{"));
        let counted: usize =
            verdicts.map(|line| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap()).sum();
        let deadline = OsClock.raw() + PATIENCE;
        loop {
            let outcomes = self.logged();
            if outcomes.values().sum::<usize>() >= counted {
                return outcomes;
            }
            assert!(OsClock.raw() < deadline, "{counted} were counted, logged were {outcomes:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn logged(&self) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for line in self.log() {
            let event: Value = serde_json::from_str(&line).expect("each line is JSON");
            if event["target"] == "skewgate::security" {
                *outcomes.entry(event["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        outcomes
    }

    pub(crate) fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let head = head.replace('\n', "\r\n");
        let length = body.len();
        write!(stream, "{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1"))
    }

    /// Asks until the health check says so.
    pub(crate) fn wait_for_health(&self, status: u16) -> Value {
        let deadline = OsClock.raw() + PATIENCE;
        loop {
            let answer = self.get("/healthz");
            let body = answer.json();
            if answer.status == status {
                return body;
            }
            assert!(OsClock.raw() < deadline, "no {status} within {PATIENCE}: {body}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn end(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// What the page's forms carry.
    pub(crate) fn form_token(&self) -> &str {
        let (_, rest) = self.body.split_once(r#"name="token" value=""#).unwrap();
        rest.split('"').next().unwrap()
    }
}
