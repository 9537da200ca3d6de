//! The unit in examples/systemd: what systemd makes of it, and whether `watch` can live under what it forbids. It is traced for
//! that, since a filter that kills it would be found out by its users.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{fs, thread};

use skewgate::ntp::Script;
use support::prometheus::{free_port, get, repository_file};
use support::scripted::serve;

const UNIT: &str = "examples/systemd/skew-check-watch.service";
const BINARY: &str = env!("CARGO_BIN_EXE_skew-check");

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): run ./tests/run, which installs it")
    })
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The values of a setting, in order.
fn settings(unit: &str, name: &str) -> Vec<String> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned).collect()
}

#[test]
fn what_the_unit_starts_is_a_right_command_line() {
    let unit = repository_file(UNIT);
    let start = settings(&unit, "ExecStart").remove(0);
    let words: Vec<&str> = start.split(' ').skip(1).collect();
    assert_eq!(words[0], "watch");
    // Options and their values are looked at before --help is.
    let output = run(BINARY, &[&words[..], &["--help"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // Prometheus looks where it listens.
    let listen =
        words.iter().position(|word| *word == "--listen").map(|place| words[place + 1]).expect("an address");
    assert!(repository_file("examples/prometheus/prometheus.yml").contains(listen), "{listen}");
}

#[test]
#[ignore = "needs systemd-analyze: ./tests/run"]
fn systemd_takes_the_unit_and_finds_little_that_it_allows() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("skew-check-watch.service");
    fs::write(&file, repository_file(UNIT).replace("/usr/bin/skew-check", BINARY)).unwrap();
    let file = file.to_str().unwrap();
    let output = run("systemd-analyze", &["verify", "--man=no", file]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    // Of a hundred: 1.2 out of 10 and less is what a service can have that talks to the network.
    let output =
        run("systemd-analyze", &["security", "--offline=true", "--no-pager", "--threshold=12", file]);
    assert!(output.status.success(), "{}", said(&output));
}

/// The system calls of each group that systemd knows, without groups in groups.
fn groups() -> BTreeMap<String, BTreeSet<String>> {
    let output = run("systemd-analyze", &["syscall-filter", "--no-pager"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(entry) if !entry.starts_with('#') => {
                groups.entry(name.clone()).or_default().insert(entry.trim().to_owned());
            }
            None if line.starts_with('@') => line.clone_into(&mut name),
            _ => {}
        }
    }
    groups
}

fn calls(groups: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    let entries = groups.get(name).unwrap_or_else(|| panic!("systemd knows no {name}"));
    entries
        .iter()
        .flat_map(
            |entry| {
                if entry.starts_with('@') { calls(groups, entry) } else { BTreeSet::from([entry.clone()]) }
            },
        )
        .collect()
}

/// What the unit's filter lets through.
fn allowed() -> BTreeSet<String> {
    let groups = groups();
    // Always there, says systemd.exec(5).
    let mut allowed = calls(&groups, "@default");
    for filter in settings(&repository_file(UNIT), "SystemCallFilter") {
        match filter.strip_prefix('~') {
            Some(names) => {
                let taken: BTreeSet<String> =
                    names.split(' ').flat_map(|name| calls(&groups, name)).collect();
                allowed.retain(|call| !taken.contains(call));
            }
            None => allowed.extend(filter.split(' ').flat_map(|name| calls(&groups, name))),
        }
    }
    assert!(allowed.len() > 200 && !allowed.contains("clock_settime") && !allowed.contains("ptrace"));
    allowed
}

#[test]
#[ignore = "needs strace and systemd-analyze: ./tests/run"]
fn watch_does_nothing_that_the_unit_forbids() {
    let dir = tempfile::tempdir().unwrap();
    let (reference, host) = (serve(Script::default()), serve(Script::default()));
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // A name, so that names are resolved.
    let inventory =
        format!("reference = ['{}']\nhosts = ['localhost:{}']\n", reference.address(), host.address().port());
    fs::write(at("hosts.toml"), inventory).unwrap();
    let notified = UnixDatagram::bind(at("notify")).unwrap();
    notified.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let listen = free_port();
    // -D: what is traced is the child of this process, and is who a signal is sent to.
    let child = Command::new("strace")
        .args([
            "-D",
            "-f",
            "-qq",
            "-o",
            &at("trace"),
            BINARY,
            "watch",
            "--allow-single",
            "--every",
            "1s",
            "--samples",
            "1",
        ])
        .args([
            "--inventory",
            &at("hosts.toml"),
            "--database",
            &at("history.redb"),
            "--listen",
            &listen.to_string(),
        ])
        .args(["--command", "/bin/true", "--confirm", "1"])
        .env("NOTIFY_SOCKET", at("notify"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("this test needs strace ({error}): run ./tests/run, which installs it")
    });
    let mut message = [0; 256];
    let ready =
        notified.recv(&mut message).map(|length| String::from_utf8_lossy(&message[..length]).into_owned());
    let swept = (0..300).find(|_| {
        thread::sleep(Duration::from_millis(100));
        get(listen, "/healthz").is_ok_and(|(status, _)| status == 200)
    });
    for path in ["/", "/metrics", "/api/fleet.json", "/api/history.json"] {
        assert_eq!(get(listen, path).map(|(status, _)| status).unwrap_or_default(), 200, "{path}");
    }
    drop(host);
    thread::sleep(Duration::from_secs(3));
    let id = child.id().to_string();
    for signal in ["HUP", "TERM"] {
        assert!(run("kill", &["-s", signal, &id]).status.success());
        thread::sleep(Duration::from_millis(500));
    }
    let ended = child.wait().unwrap();
    assert_eq!(
        (ready.ok().as_deref().map(str::trim), swept.is_some(), ended.code()),
        (Some("READY=1"), true, Some(0))
    );
    let trace = fs::read_to_string(at("trace")).unwrap();
    let allowed = allowed();
    let mut seen = BTreeSet::new();
    for line in trace.lines() {
        // "1234  socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = 3", also "<... read resumed>" and "+++ exited".
        let Some((_, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        seen.insert(name.to_owned());
        // MemoryDenyWriteExecute.
        let memory = ["mmap", "mprotect", "pkey_mprotect"].contains(&name);
        assert!(!(memory && arguments.contains("PROT_WRITE") && arguments.contains("PROT_EXEC")), "{line}");
        if name == "socket" {
            let families = settings(&repository_file(UNIT), "RestrictAddressFamilies").remove(0);
            let family = arguments.split(',').next().unwrap();
            // What glibc asks the interfaces for, and does without where it may not.
            let is_glibc = family == "AF_NETLINK";
            assert!(is_glibc || families.split(' ').any(|allowed| allowed == family), "{line}");
        }
    }
    // It did what it is for: with the kernel's stamps, many datagrams a call.
    for call in ["recvmmsg", "setsockopt", "bind", "listen", "sendto", "fsync", "execve"] {
        assert!(
            seen.contains(call) || call == "fsync" && seen.contains("fdatasync"),
            "{call} isn't in {seen:?}"
        );
    }
    let forbidden: Vec<&String> = seen.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}
