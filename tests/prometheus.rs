//! `skew-check fleet --format prometheus` as OpenMetrics has it, before promtool, and in a real Prometheus.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::prometheus::{Page, Prometheus, content, promtool};
use support::scripted::{HOSTILE_GROUP, HOSTILE_LABEL, metrics};

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
