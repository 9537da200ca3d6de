//! `skew-check watch` in a real Prometheus: its series, and the alerts that follow from them.

mod support;

use std::collections::BTreeSet;

use skewgate::ntp::{Responder, Script};
use skewgate::time::SignedDuration;
use support::prometheus::{Prometheus, content, promtool, repository_file};
use support::scripted::serve;
use support::watching::Watch;

const RULES: &str = "examples/prometheus/skewgate.rules.yml";
const DASHBOARD: &str = "examples/grafana/skewgate.json";
const DOCUMENT: &str = "docs/one-million-hosts.md";

/// A fleet with a clock that is right, one that is not, and one that nobody sees; and `watch` over it, which has swept.
fn watched(dir: &tempfile::TempDir) -> (Watch, [Responder; 3]) {
    let ahead = |millis| serve(Script::ahead_by(SignedDuration::from_millis(millis)));
    let fleet = [ahead(0), ahead(0), ahead(5_000)];
    let [reference, right, wrong] = [0, 1, 2].map(|index: usize| fleet[index].address());
    let inventory = dir.path().join("hosts.toml");
    let text = format!("reference = ['{reference}']\nhosts = ['{right}', '{wrong}', '127.0.0.9:1']\n");
    std::fs::write(&inventory, text).expect("room for a file");
    let watch = Watch::start(&inventory, &dir.path().join("history.redb"), &[], &[]);
    watch.wait_for_sweeps(2);
    (watch, fleet)
}

#[test]
#[ignore = "needs promtool: ./tests/run"]
fn promtool_finds_nothing_wrong_with_what_watch_serves() {
    let dir = tempfile::tempdir().unwrap();
    let (watch, _fleet) = watched(&dir);
    let page = watch.get("/metrics").text();
    let output = promtool(&["check", "metrics"], &page);
    content(&output);
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    // What alerts, a dashboard and a document ask for is there.
    let asked = [RULES, DASHBOARD, DOCUMENT].map(repository_file).concat();
    let names = asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let names: BTreeSet<&str> = names
        .filter(|name| name.starts_with("skew_check_watch_") && !name.ends_with('_') && !name.contains(':'))
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        assert!(
            page.contains(&format!("\n{name} ")) || page.contains(&format!("\n{name}{{")),
            "{name}\n{page}"
        );
    }
}

#[test]
#[ignore = "needs prometheus: ./tests/run"]
fn a_real_prometheus_scrapes_watch_and_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let (watch, fleet) = watched(&dir);
    // The configuration that is given away, but for where and how often.
    let configuration = repository_file("examples/prometheus/prometheus.yml")
        .replace("127.0.0.1:9124", &watch.address().to_string())
        .replace("scrape_interval: 1m", "scrape_interval: 1s")
        .replace("scrape_timeout: 30s", "scrape_timeout: 1s");
    let configuration = format!("global: {{ evaluation_interval: 1s }}\n{configuration}");
    let mut prometheus =
        Prometheus::start(&configuration, &[("skewgate.rules.yml", &repository_file(RULES))]);
    let up = |expected: &str, prometheus: &mut Prometheus| {
        prometheus.wait_for(expected, |prometheus| {
            let up = prometheus.query("up{job='skew-check'}").ok()?;
            (up.first()?["value"][1] == *expected).then_some(())
        });
    };
    up("1", &mut prometheus);
    let of = |query: String| {
        move |prometheus: &mut Prometheus| prometheus.query(&query).ok().filter(|found| !found.is_empty())
    };
    let wrong = fleet[2].address();
    let skew = prometheus.wait_for("a skew", of(format!("skew_check_host_skew_seconds{{host='{wrong}'}}")));
    let skew: f64 = skew[0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!((skew - 5.0).abs() < 0.1, "{skew}");
    prometheus
        .wait_for("growing counters", of("increase(skew_check_watch_sweeps_total[10s]) > 1".to_owned()));
    prometheus
        .wait_for("what rules record", of("job:skew_check_apart_at_least_seconds:max > 4.9".to_owned()));
    for (alert, host) in
        [("ClockSkewCritical", wrong.to_string()), ("ClockUnreachable", "127.0.0.9:1".to_owned())]
    {
        let alert = format!("ALERTS{{alertname='{alert}', host='{host}'}}");
        prometheus.wait_for(&alert, of(alert.clone()));
    }
    // No more of it: the alert about the monitor is on its way.
    assert!(watch.end("TERM").0.success());
    up("0", &mut prometheus);
    prometheus.wait_for("an alert", of("ALERTS{alertname='SkewCheckDown'}".to_owned()));
}
