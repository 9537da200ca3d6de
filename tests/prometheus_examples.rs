//! The alert rules, the dashboard and the expressions in the documents: promtool and a real Prometheus read them, and each
//! metric that they name is one that is really there.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::prometheus::{Page, Prometheus, content, repository_file};
use support::scripted::metrics;

const RULES: &str = "examples/prometheus/skewgate.rules.yml";
const TESTS: &str = "examples/prometheus/skewgate.rules.test.yml";
const DASHBOARD: &str = "examples/grafana/skewgate.json";
/// Its expressions are in blocks of `promql`.
const DOCUMENT: &str = "docs/one-million-hosts.md";

fn promtool_on(arguments: &[&str]) -> Output {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus");
    let output = Command::new("promtool").args(arguments).current_dir(dir).output();
    output.unwrap_or_else(|error| {
        panic!("this test needs promtool ({error}): run ./tests/run, which installs it")
    })
}

#[test]
#[ignore = "needs promtool: ./tests/run"]
fn promtool_takes_the_rules_and_the_configuration_and_their_tests_pass() {
    content(&promtool_on(&["check", "rules", "skewgate.rules.yml"]));
    content(&promtool_on(&["check", "config", "prometheus.yml"]));
    content(&promtool_on(&["test", "rules", "skewgate.rules.test.yml"]));
}

/// The values of a key, wherever it is in the text.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key)?.strip_prefix(": "))
        .collect()
}

#[test]
fn every_alert_is_tested_where_it_fires_and_where_it_does_not() {
    let (rules, tests) = (repository_file(RULES), repository_file(TESTS));
    let alerts = values(&rules, "alert");
    assert!(alerts.len() > 20);
    let lines: Vec<&str> = tests.lines().map(str::trim).collect();
    for alert in alerts {
        let expected = |line: &str| {
            let name = format!("alertname: {alert}");
            lines.windows(2).any(|pair| pair[0] == name && pair[1] == line)
        };
        assert!(expected("exp_alerts:") && expected("exp_alerts: []"), "{alert}");
        // Whoever is called at night learns what it is, and what to do.
        let (_, rule) = rules.split_once(&format!("alert: {alert}\n")).unwrap();
        let rule = rule.split("- alert:").next().unwrap();
        for part in ["severity:", "summary:", "description:"] {
            assert!(rule.contains(part), "{alert}: {part}");
        }
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&repository_file(DASHBOARD)).expect("JSON")
}

/// Every expression of the dashboard, with values in place of its variables.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => found.push(with_values(text)),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// As a dashboard does it. The host is left to the caller.
fn with_values(expression: &str) -> String {
    let expression =
        expression.replace("$__rate_interval", "5m").replace("$job", ".+").replace("$instance", ".+");
    assert!(!expression.replace("$host", "").contains('$'), "{expression}: a variable that nobody knows");
    expression
}

#[test]
fn the_dashboard_asks_the_source_that_its_reader_chose() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let variables: Vec<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["datasource", "job", "instance", "host"]);
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty() && ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "{title} lies on another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
        let sources = panel["targets"].as_array().unwrap().iter().map(|target| &target["datasource"]);
        for source in sources.chain([&panel["datasource"]]) {
            assert_eq!(
                source,
                &serde_json::json!({ "type": "prometheus", "uid": "${datasource}" }),
                "{title}"
            );
        }
    }
    assert!(!repository_file(DASHBOARD).contains("http"), "nothing from elsewhere");
}

/// The metrics that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.contains("skew_check_") || word.starts_with("skewgate_"))
        .map(str::to_owned)
        .collect()
}

/// The metrics of a page.
fn exposed(page: &str) -> BTreeSet<String> {
    let series = page.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs prometheus: ./tests/run"]
fn every_expression_is_right_and_asks_for_what_is_there() {
    let text = metrics();
    let page = Page::serve(text.clone());
    let configuration = format!(
        "global: {{ evaluation_interval: 1s, scrape_interval: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n  \
         - job_name: skew-check\n    static_configs:\n      - targets: ['{}']\n",
        page.address
    );
    let mut prometheus = Prometheus::start(&configuration, &[("rules.yml", &repository_file(RULES))]);
    prometheus.wait_for("what rules record", |prometheus| {
        prometheus.query("job:skew_check_apart_at_least_seconds:max").ok().filter(|found| !found.is_empty())
    });
    let (_, rules) = prometheus.api("/api/v1/rules");
    let mut known = exposed(&text);
    let mut asked = Vec::new();
    for group in rules["data"]["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            assert_eq!(rule["health"], "ok", "{rule}");
            asked.push(rule["query"].as_str().unwrap().to_owned());
            if rule["type"] == "recording" {
                known.insert(rule["name"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(asked.len() > 30);
    let host = text.lines().find(|line| line.contains("flag=\"critical\"")).unwrap();
    let host = host.split("host=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut drawn = Vec::new();
    expressions(&dashboard(), &mut drawn);
    assert!(drawn.len() > 30);
    for expression in &mut drawn {
        *expression = expression.replace("$host", host);
        // What a panel of hosts shows is there.
        let series = prometheus.query(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        if named(expression).is_subset(&known) {
            assert!(!series.is_empty(), "{expression}");
        }
    }
    asked.append(&mut drawn);
    let document = repository_file(DOCUMENT);
    let written = document.split("```promql\n").skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0));
    let written: Vec<&str> = written.flat_map(|block| block.split("\n\n")).collect();
    assert!(written.len() >= 8, "{written:?}");
    asked.extend(written.into_iter().map(str::to_owned));
    for expression in &asked {
        prometheus.query(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        for name in named(expression) {
            // Those of login services: tests/login_service.rs looks for them; those of `watch` itself: tests/watch_prometheus.rs.
            let elsewhere = name.starts_with("skewgate_") || name.starts_with("skew_check_watch_");
            assert!(elsewhere || known.contains(&name), "{expression}: there is no {name}");
        }
    }
    // What is wrong is noticed. Each group of rules has its own time.
    for name in [
        "ClockSkewCritical",
        "ClockSkewed",
        "ClockUnreachable",
        "ClockRejected",
        "ReferenceContested",
        "ReferenceFalseticker",
    ] {
        prometheus.wait_for(name, |prometheus| {
            let (_, alerts) = prometheus.api("/api/v1/alerts");
            alerts["data"]["alerts"]
                .as_array()?
                .iter()
                .find(|alert| alert["labels"]["alertname"] == name)
                .cloned()
        });
    }
}
