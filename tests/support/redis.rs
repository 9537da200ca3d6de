//! Real Redis servers, each on a port and in a directory of its own, and a Cluster of three.
//!
//! It needs nothing of skewgate: `#[path = "support/redis.rs"] mod servers;` in a test file, and its tests `#[ignore]`d with
//! "needs redis-server: ./tests/run".

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{fs, thread};

use tempfile::TempDir;

/// What a store asks for.
pub(crate) const DURABLE: &[(&str, &str)] = &[("appendonly", "yes"), ("appendfsync", "always")];

/// Keeps everything in memory, and forgets it when it stops.
pub(crate) const FORGETFUL: &[(&str, &str)] = &[("appendonly", "no")];

/// How often it is looked whether a server is there, 20 ms apart.
const LOOKS: usize = 1_000;

/// A redis-server; it is killed when dropped, and when the test's process ends in whatever way.
#[derive(Debug)]
pub(crate) struct RedisServer {
    port: u16,
    settings: Vec<(String, String)>,
    process: Option<Child>,
    dir: TempDir,
}

impl RedisServer {
    /// With these settings, none of which saves snapshots by itself.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let dir = fresh_dir();
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { port: free_port(), settings, process: None, dir };
        server.start();
        server
    }

    /// One that loses nothing.
    pub(crate) fn durable() -> Self {
        Self::with(DURABLE)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn url(&self) -> String {
        url(self.address())
    }

    /// Its files: what a backup would copy.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Starts it again after [`kill`](Self::kill), with the files that it has.
    pub(crate) fn start(&mut self) {
        let log = fs::File::create(self.dir.path().join("log")).expect("room for a log");
        let mut command = Command::new("sh");
        // The server ends with the test, also where that is killed: its end closes the pipe that `read` waits at.
        command.args([
            "-c",
            "redis-server \"$@\" </dev/null & server=$!; read _; kill -9 $server; wait $server",
            "sh",
        ]);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.arg("--dir").arg(self.dir.path());
        for (name, value) in &self.settings {
            command.args([&format!("--{name}"), value]);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.process = Some(command.spawn().expect("a shell"));
        for _ in 0..LOOKS {
            if self.try_cli(&["PING"]).is_some_and(|said| said.trim() == "PONG") {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        panic!(
            "this test needs redis-server and redis-cli (./tests/run installs them), and none answers: {log}"
        );
    }

    /// `kill -9`: no goodbye, and nothing is written any more.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("the state of a child process");
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// What the server says to a command.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments).unwrap_or_else(|| panic!("no answer to {arguments:?}"))
    }

    fn try_cli(&self, arguments: &[&str]) -> Option<String> {
        let said = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output();
        match said {
            Ok(said) => said.status.success().then(|| String::from_utf8_lossy(&said.stdout).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("this test needs redis-cli, and it is not in PATH: run ./tests/run, which installs it")
            }
            Err(error) => panic!("redis-cli can't be run: {error}"),
        }
    }

    /// Asks until the answer holds `wanted`.
    pub(crate) fn wait_for(&self, arguments: &[&str], wanted: &str) {
        let mut said = String::new();
        for _ in 0..LOOKS {
            said = self.cli(arguments);
            if said.contains(wanted) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{arguments:?} never gave {wanted:?}, but {said}");
    }

    /// A second server that follows this one, once it does.
    pub(crate) fn replica(&self, settings: &[(&str, &str)]) -> Self {
        let replica = Self::with(settings);
        replica.cli(&["REPLICAOF", "127.0.0.1", &self.port.to_string()]);
        replica.wait_for(&["INFO", "replication"], "master_link_status:up");
        self.wait_for(&["INFO", "replication"], "state=online");
        replica
    }

    /// To a server that follows this one, as before maintenance: nothing is lost, and connections stay open.
    pub(crate) fn hand_over(&self, replica: &Self) {
        let port = replica.port.to_string();
        assert_eq!(self.cli(&["FAILOVER", "TO", "127.0.0.1", &port]).trim(), "OK");
        replica.wait_for(&["INFO", "replication"], "role:master");
        self.wait_for(&["INFO", "replication"], "master_link_status:up");
        replica.wait_for(&["INFO", "replication"], "state=online");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three primaries.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    pub(crate) nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub(crate) fn new(settings: &[(&str, &str)]) -> Self {
        let nodes: Vec<_> = (0..3).map(|_| Self::node(settings)).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(nodes.iter().map(|node| node.address().to_string()));
        let created = create.arg("--cluster-yes").output().expect("redis-cli");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        for node in &nodes {
            node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
        }
        Self { nodes }
    }

    /// One that knows no other, and has no slot.
    pub(crate) fn node(settings: &[(&str, &str)]) -> RedisServer {
        let bus = free_port().to_string();
        let cluster = [("cluster-enabled", "yes"), ("cluster-node-timeout", "5000"), ("cluster-port", &bus)];
        RedisServer::with(&[settings, &cluster[..]].concat())
    }

    /// The one that other tests use at this moment, too: it takes seconds to make.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::new(DURABLE));
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    pub(crate) fn url(&self) -> String {
        self.nodes[0].url()
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("redis://{address}")
}

/// One raw command, for what redis-cli has no words for; what comes back within 200 ms.
pub(crate) fn raw(address: SocketAddr, command: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout that is not zero");
    stream.write_all(command).expect("an open connection");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free TCP port on loopback");
    listener.local_addr().expect("the address of a bound socket").port()
}

fn fresh_dir() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("redis-");
    match std::env::var_os("SKEWGATE_TEST_DIR") {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .expect("a directory for temporary files")
}
