//! `skew-check respond` as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

/// `skew-check respond`, killed when dropped.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skew-check"));
        command.arg("respond").args(options).stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().expect("the binary runs"))
    }

    /// Where it says that it listens.
    pub(crate) fn listening(&mut self) -> (SocketAddr, BufReader<ChildStderr>) {
        let mut stderr = BufReader::new(self.0.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("UTF-8");
        let address = line.trim().strip_prefix("skew-check: serving this host's system clock on ");
        let address = address.and_then(|rest| rest.strip_suffix(", UDP")).unwrap_or_else(|| panic!("{line}"));
        (address.parse().expect("an address"), stderr)
    }

    pub(crate) fn signal(&mut self, name: &str) -> ExitStatus {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.expect("kill is everywhere").success());
        self.0.wait().expect("the state of a child process")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
