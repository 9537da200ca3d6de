//! `skew-check fleet --format prometheus` as OpenMetrics has it, before promtool, and in a real Prometheus.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Command;

use serde_json::Value;
use skewgate::clock::Leap;
use skewgate::ntp::{ReferenceId, Responder, Script};
use skewgate::time::{SignedDuration, os::OsClock};
use support::prometheus::{Page, Prometheus, content, promtool};

/// A name and a label that would be a series of their own, or the end of the page, if nobody escaped them.
const HOSTILE_GROUP: &str = r#"<script>"} 1\n# EOF {|\"#;
const HOSTILE_LABEL: &str = r#"a"} NaN\ #"#;

fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

/// What a sweep of hosts in many states prints.
fn metrics() -> String {
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

#[test]
fn families_have_help_a_type_and_a_unit_and_no_series_is_there_twice() {
    let text = metrics();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.last(), lines.iter().filter(|line| **line == "# EOF").count()), (Some(&"# EOF"), 1));
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut series, mut family) = (BTreeSet::new(), "");
    for line in &lines[..lines.len() - 1] {
        if let Some(said) = line.strip_prefix("# ") {
            let (kind, rest) = said.split_once(' ').unwrap();
            let (name, what) = rest.split_once(' ').unwrap();
            assert!(!what.is_empty(), "{line}");
            assert_eq!(kind == "HELP", !families.contains_key(name), "{line}: a family is in one piece");
            families.entry(name).or_default().push(kind);
            family = name;
            match kind {
                "TYPE" => assert_eq!(what, "gauge"),
                "UNIT" => assert!(what == "seconds" && name.ends_with("_seconds"), "{line}"),
                _ => assert_eq!(kind, "HELP"),
            }
        } else {
            let (labelled, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            assert_eq!(labelled.split('{').next(), Some(family), "{line}");
            assert!(series.insert(labelled), "{line} is there twice");
        }
    }
    for (name, said) in &families {
        let expected: &[&str] =
            if name.ends_with("_seconds") { &["HELP", "TYPE", "UNIT"] } else { &["HELP", "TYPE"] };
        assert_eq!(said, expected, "{name}");
        assert!(name.starts_with("skew_check_"), "{name}");
    }
    for (labels, value) in [
        ("skew_check_hosts{state=\"skewed\"}", "2"),
        ("skew_check_reference_agreeing", "2"),
        ("skew_check_reference_configured", "3"),
        ("skew_check_reference_contested", "1"),
        ("skew_check_threshold_seconds{group=\"\",severity=\"critical\"}", "1.0"),
        (r#"skew_check_threshold_seconds{group="<script>\"} 1\\n# EOF {|\\",severity="warning"}"#, "0.005"),
    ] {
        assert!(lines.contains(&format!("{labels} {value}").as_str()), "{labels} {value}\n{text}");
    }
    for flag in ["skewed", "critical", "unsynchronised", "rejected", "unreachable", "foreign-reference"] {
        assert!(text.contains(&format!("flag=\"{flag}\"")), "{flag}\n{text}");
    }
    let verdicts = lines.iter().filter(|line| line.starts_with("skew_check_reference_source{"));
    assert_eq!(verdicts.count(), 3, "{text}");
}

#[test]
#[ignore = "needs promtool: ./tests/run"]
fn promtool_finds_nothing_wrong_with_a_sweep() {
    let output = promtool(&["check", "metrics"], &metrics());
    content(&output);
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
#[ignore = "needs prometheus: ./tests/run"]
fn a_real_prometheus_keeps_every_series_as_it_was_written() {
    let text = metrics();
    let page = Page::serve(text.clone());
    let mut prometheus = Prometheus::start(
        &format!(
            "scrape_configs:\n  - job_name: skew-check\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['{}']\n",
            page.address
        ),
        &[],
    );
    let up =
        prometheus.wait_for("a scrape", |prometheus| prometheus.query("up").ok().filter(|up| !up.is_empty()));
    assert_eq!(up[0]["value"][1], "1", "{}", prometheus.api("/api/v1/targets").1);
    let kept = prometheus.query("{__name__=~'skew_check_.+'}").unwrap();
    let written = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(kept.len(), written, "{kept:#?}\n{text}");
    let odd = prometheus.query("skew_check_host_state{state='skewed'}").unwrap();
    assert_eq!(odd.len(), 2);
    for series in &odd {
        let labels = &series["metric"];
        assert_eq!(
            (&labels["group"], &labels["note"]),
            (&Value::from(HOSTILE_GROUP), &Value::from(HOSTILE_LABEL))
        );
    }
    let (_, metadata) = prometheus.api("/api/v1/metadata");
    let skew = &metadata["data"]["skew_check_host_skew_seconds"][0];
    assert_eq!((&skew["type"], &skew["unit"]), (&"gauge".into(), &"seconds".into()), "{metadata}");
}
