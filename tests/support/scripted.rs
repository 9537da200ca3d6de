//! A fleet of scripted hosts, in many states, and what `skew-check fleet` says of it to Prometheus.

use std::io::Write;
use std::process::Command;

use skewgate::clock::Leap;
use skewgate::ntp::{ReferenceId, Responder, Script};
use skewgate::time::{SignedDuration, os::OsClock};

/// A name and a label that would be a series of their own, or the end of the page, if nobody escaped them.
pub(crate) const HOSTILE_GROUP: &str = r#"<script>"} 1\n# EOF {|\"#;
pub(crate) const HOSTILE_LABEL: &str = r#"a"} NaN\ #"#;

pub(crate) fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

/// What a sweep of hosts in many states prints.
pub(crate) fn metrics() -> String {
    let ahead = |millis| serve(Script::ahead_by(SignedDuration::from_millis(millis)));
    let (reference, second, liar) = (ahead(0), ahead(0), ahead(45_000));
    let hosts = [
        ahead(300),
        ahead(-5_000),
        serve(Script { leap: Leap::Unsynchronised, stratum: 0, ..Script::default() }),
        serve(Script {
            stratum: 1,
            reference_id: ReferenceId::from_bytes(*b"\x1b\"}\n"),
            ..Script::default()
        }),
        serve(Script { stratum: 0, reference_id: ReferenceId::from_bytes(*b"DENY"), ..Script::default() }),
    ];
    let address = |responder: &Responder| responder.address().to_string();
    let named: Vec<String> = hosts.iter().map(|host| format!("'{}'", address(host))).collect();
    let inventory = format!(
        "reference = ['{0}', '{0}', '{1}', '{2}']\nupstreams = ['clock:GPS']\nhosts = ['{0}', '127.0.0.9:1']\n\
         [group.'{HOSTILE_GROUP}']\nwarning = '5ms'\nlabels = {{ note = '{HOSTILE_LABEL}' }}\nhosts = [{3}]\n",
        address(&reference),
        address(&second),
        address(&liar),
        named.join(", "),
    );
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(inventory.as_bytes()).expect("room for a file");
    let output = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args([
            "fleet",
            "--samples",
            "2",
            "--interval",
            "10ms",
            "--timeout",
            "150ms",
            "--format",
            "prometheus",
        ])
        .args(["--inventory", file.path().to_str().expect("UTF-8")])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
