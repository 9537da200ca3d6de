//! A headless Chromium, driven by a script in tests/peers. `SKEWGATE_PICTURES=DIR` leaves pictures of what it saw there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The browser and its user; both are gone when it was dropped, whatever happened.
pub(crate) struct Browser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) profile: TempDir,
}

impl Browser {
    /// `node tests/peers/SCRIPT PEERS CHROMIUM PICTURES PROFILE ARGUMENTS…`
    pub(crate) fn start<A: Into<OsString>>(script: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let peers =
            std::env::var_os("SKEWGATE_PEERS").map_or_else(|| root.join("target/peers"), PathBuf::from);
        let pictures = std::env::var_os("SKEWGATE_PICTURES").unwrap_or_default();
        if !pictures.is_empty() {
            std::fs::create_dir_all(&pictures).expect("a directory for pictures");
        }
        let profile = tempfile::tempdir().expect("a directory");
        let mut process = Command::new("node")
            .arg(root.join("tests/peers").join(script))
            .arg(peers)
            .args([chromium(), pictures])
            .arg(profile.path())
            .args(arguments.into_iter().map(Into::into))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs node: run ./tests/run, which installs it");
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (input, output) = (input.expect("a pipe"), BufReader::new(output.expect("a pipe")));
        Self { process, input, output, profile }
    }

    /// What was seen until the user waits, or has done all.
    pub(crate) fn look(&mut self) -> BTreeMap<String, Value> {
        let mut seen = BTreeMap::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).expect("UTF-8"),
                0,
                "the browser failed, see above; tests/run installs chromium and puppeteer-core. Seen: {:?}",
                seen.keys()
            );
            let step: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let name = step["step"].as_str().expect("its name").to_owned();
            let last = name == "waiting" || name == "end";
            seen.insert(name, step);
            if last {
                return seen;
            }
        }
    }

    pub(crate) fn go_on(&mut self) {
        self.input.write_all(b"\n").expect("it waits for that");
    }

    /// Process groups of the browser of this profile: puppeteer gives it one of its own, so that it outlives whoever only
    /// kills node.
    fn groups(&self) -> BTreeSet<u32> {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let of_browser = |id: u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
            // A renamed process has spaces where others have zeros.
            let mut arguments = line.split(|byte| matches!(byte, 0 | b' '));
            arguments.any(|argument| argument == profile.as_bytes()).then_some(id)
        };
        let own = group_of(std::process::id());
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|entry| of_browser(entry.file_name().to_str()?.parse().ok()?))
            .filter_map(group_of)
            .filter(|group| Some(*group) != own)
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Whoever drives it closes it, if asked to.
        signal("TERM", &self.process.id().to_string());
        for _ in 0..50 {
            if self.groups().is_empty() && !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for group in self.groups() {
            signal("KILL", &format!("-{group}"));
        }
    }
}

fn signal(name: &str, to: &str) {
    // There may be nobody left to hear it.
    let _ = Command::new("kill").args(["-s", name, "--", to]).stderr(Stdio::null()).status();
}

/// The fifth field of its status; the second, its name, is in parentheses and may hold anything.
fn group_of(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn chromium() -> OsString {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let programs = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&paths)
        .flat_map(|path| programs.map(|program| path.join(program)))
        .find(|program| program.is_file())
        .expect("this test needs chromium, and it is not in PATH: run ./tests/run, which installs it")
        .into()
}
