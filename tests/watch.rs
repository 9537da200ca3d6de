//! `skew-check watch`: what it serves and to whom, what it tells and when, and what is left of it whatever ends it.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use skewgate::fleet::{History, Retention};
use skewgate::ntp::{ReferenceId, Responder, Script};
use skewgate::time::{LocalClock, SignedDuration, Timestamp, os::OsClock};
use support::chronyd::Chronyd;
use support::watching::{Hook, Switch, Watch, request, until};
use tempfile::TempDir;

fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

fn ahead(millis: i64) -> Responder {
    serve(Script::ahead_by(SignedDuration::from_millis(millis)))
}

/// A directory with an inventory and room for a database.
struct Place(TempDir);

impl Place {
    fn new(reference: SocketAddr, hosts: &[SocketAddr]) -> Self {
        let place = Self(tempfile::tempdir().expect("a directory for temporary files"));
        place.write(&Self::inventory(reference, hosts));
        place
    }

    fn inventory(reference: SocketAddr, hosts: &[SocketAddr]) -> String {
        let hosts: Vec<String> = hosts.iter().map(|host| format!("'{host}'")).collect();
        format!("reference = ['{reference}']\nhosts = [{}]\n", hosts.join(", "))
    }

    fn write(&self, inventory: &str) {
        std::fs::write(self.file(), inventory).expect("room for a file");
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("inventory.toml")
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("history.redb")
    }

    fn watch(&self, options: &[&str]) -> Watch {
        Watch::start(&self.file(), &self.database(), options, &[])
    }

    fn watch_with(&self, environment: &[(&str, &str)]) -> Watch {
        Watch::start(&self.file(), &self.database(), &[], environment)
    }
}

fn states(fleet: &Value) -> Vec<String> {
    let hosts = fleet["hosts"].as_array().unwrap_or_else(|| panic!("no hosts in {fleet}"));
    hosts.iter().map(|host| host["state"].as_str().expect("a text").to_owned()).collect()
}

const PATHS: [&str; 5] = ["/", "/metrics", "/healthz", "/api/fleet.json", "/api/history.json"];

#[test]
fn every_endpoint_answers_and_is_strict() {
    let (reference, right, fast, silent) = (ahead(0), ahead(0), ahead(300), serve(Script::silent()));
    let place = Place::new(reference.address(), &[right.address(), fast.address(), silent.address()]);
    let watch = place.watch(&[]);
    watch.wait_for_sweeps(2);

    for path in PATHS {
        let answer = watch.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        // Browsers keep what has a tag, and ask with it: RFC 9111 §5.2.2.4.
        let kept = if path == "/api/fleet.json" { "no-cache, private" } else { "no-store" };
        for (header, value) in [
            ("cache-control", kept),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(header), value, "{path}");
        }
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        let head = request(watch.address(), &format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n"));
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let refused =
                request(watch.address(), &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n"));
            assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"), "{method} {path}");
        }
    }
    assert_eq!(watch.get("/").header("content-type"), "text/html; charset=utf-8");

    let fleet = watch.get("/api/fleet.json");
    let document: Value = serde_json::from_slice(&fleet.body).unwrap();
    assert_eq!(states(&document), ["in-sync", "skewed", "unreachable"]);
    assert_eq!(
        (&document["schema"], fleet.header("content-type")),
        (&"skew-check/fleet/1".into(), "application/json")
    );

    assert_eq!(watch.get("/metrics").header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let head = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n");
    let metrics = request(watch.address(), &head);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), kind);
    let page = metrics.text();
    assert!(page.ends_with("# EOF\n") && page.matches("# EOF").count() == 1, "{page}");
    assert!(
        page.contains(&format!("skew_check_host_state{{host=\"{}\",state=\"skewed\"}} 1", fast.address())),
        "{page}"
    );
    assert!(watch.metric("skew_check_watch_sweeps_total") >= 2);
    let last = watch.series("skew_check_watch_last_success_timestamp_seconds").parse::<f64>();
    assert!(last.is_ok_and(|seconds| seconds > 1.7e9));
    assert_eq!(watch.metric("skew_check_watch_healthy"), 1);
    // What `fleet --format prometheus` shows is here too, under the same names.
    let families = |page: &str| -> BTreeSet<String> {
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect()
    };
    let path = place.file();
    let output = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["fleet", "--allow-single", "--samples", "1", "--timeout", "150ms", "--format", "prometheus"])
        .arg("--inventory")
        .arg(&path)
        .output()
        .unwrap();
    let once = families(&String::from_utf8(output.stdout).unwrap());
    assert!(once.len() > 8 && once.is_subset(&families(&page)), "{once:?}\n{page}");

    let health = watch.json("/healthz");
    assert_eq!(
        (&health["status"], &health["reasons"], &health["hosts"]),
        (&"ok".into(), &Value::Array(vec![]), &3.into())
    );

    let map = watch.json("/api/history.json?from=-100&columns=10");
    assert_eq!((map["hosts"].as_array().unwrap().len(), &map["states"][2]), (3, &"skewed".into()), "{map}");
    for (index, state) in [(0, '7'), (1, '2'), (2, '0')] {
        let row = map["hosts"][index]["row"].as_str().unwrap();
        assert!(row.len() == 10 && row.ends_with(state), "{map}");
    }
    let past = watch.json(&format!("/api/history.json?host={}&from=-100&points=200", fast.address()));
    let points = past["points"].as_array().unwrap();
    assert!(points.len() >= 2, "{past}");
    for point in points {
        let ns = |field: &str| point[field].as_i64().unwrap_or_else(|| panic!("no {field} in {point}"));
        assert_eq!(
            (&point["state"], &point["sweeps"], &point["missed"]),
            (&"skewed".into(), &1.into(), &0.into())
        );
        assert!(ns("earliest_ns") <= 300_000_000 && 300_000_000 <= ns("latest_ns"), "{point}");
        assert!((ns("skew_ns") - 300_000_000).abs() < 20_000_000 && ns("delay_ns") > 0, "{point}");
    }
}

#[test]
fn who_polls_gets_the_fleet_once_a_sweep() {
    let (reference, right) = (ahead(0), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    let watch = place.watch(&["--every", "3s"]);
    watch.wait_until("shown", |watch| watch.get("/api/fleet.json").status == 200);
    let ask = |tag: &str| {
        let head = format!("GET /api/fleet.json HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n");
        request(watch.address(), &head)
    };
    let first = watch.get("/api/fleet.json");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 4, "{tag}");
    for same in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = ask(&same);
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()), "{same}");
        assert_eq!(again.header("cache-control"), "no-cache, private");
    }
    assert_eq!(ask("\"another\"").body, first.body);
    let later =
        until(|| Some(ask(&tag)).filter(|answer| answer.status == 200), || "no other sweep".to_owned());
    assert_ne!(later.header("etag"), tag);
}

#[test]
fn what_is_asked_for_by_another_name_is_refused() {
    let (reference, right) = (ahead(0), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    let watch = place.watch(&["--allow-host", "Fleet.Example.org", "--allow-host", "192.0.2.1"]);
    watch.wait_for_sweeps(1);
    let port = watch.address().port();
    let status = |path: &str, headers: &str| {
        request(watch.address(), &format!("GET {path} HTTP/1.1\r\n{headers}")).status
    };
    for known in ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "fleet.example.org", "192.0.2.1"] {
        for host in [known.to_owned(), format!("{known}:{port}")] {
            assert_eq!(status("/healthz", &format!("Host: {host}\r\n")), 200, "{host}");
        }
    }
    for path in PATHS.iter().chain(&["/nowhere"]) {
        for host in
            ["evil.example", "localhost.evil.example", "192.0.2.2", "evil.example:9124", "127.0.0.1.nip.io"]
        {
            assert_eq!(status(path, &format!("Host: {host}\r\n")), 421, "{path} {host}");
        }
    }
    for headers in [
        "",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: a b\r\n",
        "Host: u@localhost\r\n",
        "Host:\r\n",
    ] {
        assert_eq!(status("/healthz", headers), 400, "{headers:?}");
    }
    // As a proxy is asked: the target counts, too.
    assert_eq!(status("http://evil.example/healthz", "Host: localhost\r\n"), 400);
}

#[test]
fn what_a_query_may_not_be_is_told() {
    let (reference, right) = (ahead(0), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    let watch = place.watch(&[]);
    watch.wait_for_sweeps(1);
    for (query, status, code, parameter) in [
        ("columns=0", 400, "bad_parameter", "columns"),
        ("columns=100000", 400, "bad_parameter", "columns"),
        ("columns=%3Cscript%3E", 400, "bad_parameter", "columns"),
        ("host=a&points=99999999999999999999", 400, "bad_parameter", "points"),
        ("from=10&to=10", 400, "bad_parameter", "from"),
        ("from=yesterday", 400, "bad_parameter", "from"),
        ("to=99999999999", 400, "bad_parameter", "to"),
        ("host=a&host=b", 400, "unknown_parameter", "host"),
        ("x%1b[2J=1", 400, "unknown_parameter", "x\\u{1b}[2J"),
        ("host=nobody", 404, "no_such_host", ""),
        ("host=%3Cscript%3Ealert(1)%3C/script%3E%0d%0aSet-Cookie:a", 404, "no_such_host", ""),
        ("host=%ff%fe%00", 404, "no_such_host", ""),
    ] {
        let answer = watch.get(&format!("/api/history.json?{query}"));
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "application/json"),
            "{query}: {answer:?}"
        );
        assert_eq!((answer.header("x-content-type-options"), answer.header("set-cookie")), ("nosniff", ""));
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (&problem["schema"], &problem["code"]),
            (&"skew-check/problem/1".into(), &code.into()),
            "{problem}"
        );
        assert_eq!(problem["parameter"].as_str().unwrap_or(""), parameter, "{problem}");
    }
    // A host that was never swept has no points yet, and is no mistake.
    let none = watch.json(&format!("/api/history.json?host={}&from=1000&to=2000", right.address()));
    assert_eq!(none["points"], Value::Array(vec![]));
}

#[test]
fn a_new_inventory_counts_and_a_broken_one_does_not() {
    let (reference, right, fast) = (ahead(0), ahead(0), ahead(300));
    let place = Place::new(reference.address(), &[right.address()]);
    let watch = place.watch(&[]);
    watch.wait_for_sweeps(1);
    place.write(&Place::inventory(reference.address(), &[right.address(), fast.address()]));
    let reloaded = watch.event("inventory_reloaded");
    assert_eq!(reloaded["hosts"], 2);
    watch.wait_for_sweeps(1);
    assert_eq!(states(&watch.json("/api/fleet.json")), ["in-sync", "skewed"]);

    place.write(&format!("reference = ['{}']\nhosts = ['a..b']\n", reference.address()));
    let broken = watch.event("inventory_broken");
    assert!(broken["problem"].as_str().unwrap().contains("inventory.toml: line 2, column 10: "), "{broken}");
    watch.wait_for_sweeps(3);
    assert_eq!(states(&watch.json("/api/fleet.json")), ["in-sync", "skewed"], "the one before counts");
    let health = watch.get("/healthz");
    let told: Value = serde_json::from_slice(&health.body).unwrap();
    assert_eq!((health.status, &told["warnings"][0]["code"]), (200, &"inventory_broken".into()), "{told}");
    assert!(told["warnings"][0]["detail"].as_str().unwrap().contains("line 2, column 10"), "{told}");
    assert_eq!(watch.events("inventory_broken").len(), 1, "the same is told once");
    let errors = "skew_check_watch_inventory_reload_errors_total";
    assert_eq!(watch.metric(errors), 1);
    // Whoever says that it has changed is told again.
    watch.signal("HUP");
    watch.wait_until("told again", |watch| watch.metric(errors) == 2);
    // What no sweep could do is broken, too.
    place.write("reference = ['127.0.0.1:1']\nhosts = []\n");
    watch.wait_until("told", |watch| watch.metric(errors) == 3);
    std::fs::remove_file(place.file()).unwrap();
    watch.wait_until("told", |watch| watch.metric(errors) == 4);

    place.write(&Place::inventory(reference.address(), &[fast.address()]));
    watch.wait_until("taken", |watch| states(&watch.json("/api/fleet.json")) == ["skewed"]);
    // It is shown, and then kept.
    watch.wait_for_sweeps(1);
    let told = watch.json("/healthz");
    assert_eq!((&told["warnings"], &told["hosts"]), (&Value::Array(vec![]), &1.into()), "{told}");
    assert_eq!(watch.metric("skew_check_watch_inventory_reloads_total"), 2);
}

#[test]
fn one_noisy_sweep_is_no_alarm_and_two_are_one() {
    let (reference, right, fast) = (ahead(0), ahead(0), ahead(2_000));
    let switch = Switch::between(&[right.address(), fast.address()]);
    let place = Place::new(reference.address(), &[switch.address()]);
    let hook = Hook::answering(&[200]);
    let watch = place.watch(&["--every", "2s", "--webhook", &hook.url()]);
    let next_sweep = || {
        let before = watch.sweeps();
        watch.wait_until("swept", |watch| watch.sweeps() > before);
    };
    let state = || states(&watch.json("/api/fleet.json")).remove(0);
    next_sweep();
    for _ in 0..3 {
        switch.turn_to(1);
        next_sweep();
        switch.turn_to(0);
        assert_eq!(state(), "skewed");
        next_sweep();
        assert_eq!(state(), "in-sync");
    }
    assert_eq!((watch.events("host_changed").len(), hook.posts().len()), (0, 0), "{:#?}", watch.log());

    switch.turn_to(1);
    let posts = hook.wait_for(1);
    next_sweep();
    let told = watch.events("host_changed");
    assert_eq!((told.len(), hook.posts().len()), (1, 1), "{told:#?}");
    let host = switch.address().to_string();
    assert_eq!(
        (&told[0]["host"], &told[0]["from"], &told[0]["to"], &told[0]["severity"], &told[0]["level"]),
        (&host.as_str().into(), &"in-sync".into(), &"skewed".into(), &"critical".into(), &"ERROR".into())
    );
    let (head, body) = &posts[0];
    assert!(
        head.starts_with("POST /hook/s3cret?key=k3y HTTP/1.1") && head.contains("application/json"),
        "{head}"
    );
    assert_eq!(
        (&body["schema"], &body["severity"], &body["omitted"]),
        (&"skew-check/changes/1".into(), &"critical".into(), &0.into())
    );
    let change = &body["changes"][0];
    assert_eq!(
        (&change["host"], &change["from"], &change["to"]),
        (&host.as_str().into(), &"in-sync".into(), &"skewed".into())
    );
    assert!((change["skew_ns"].as_i64().unwrap() - 2_000_000_000).abs() < 50_000_000, "{change}");
    assert!(change["reason"].as_str().unwrap().contains("ahead") && body["summary"]["skewed"] == 1, "{body}");
}

#[test]
fn a_webhook_that_fails_is_asked_again_and_its_secret_shows_nowhere() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    let hook = Hook::answering(&[500, 429, 200]);
    let watch = place.watch(&["--confirm", "1", "--webhook", &hook.url()]);
    let posts = hook.wait_for(3);
    assert!(posts.windows(2).all(|two| two[0].1 == two[1].1), "the same each time: {posts:#?}");
    let delivered = "skew_check_watch_notifications_total{channel=\"webhook\",outcome=\"delivered\"}";
    watch.wait_until("counted", |watch| watch.metric(delivered) == 1);
    assert_eq!(watch.events("notification_delayed").len(), 2);

    // One that refuses for good is not.
    let gone = Hook::answering(&[410]);
    let other = Place::new(reference.address(), &[silent.address()]);
    let second = other.watch(&["--confirm", "1", "--webhook", &gone.url()]);
    second.event("notification_failed");
    assert_eq!(gone.posts().len(), 1);
    // Nor does one that can't be reached show more than its host.
    let third = Place::new(reference.address(), &[silent.address()]);
    let nobody = "http://127.0.0.1:1/hook/s3cret?key=k3y";
    let third = third.watch(&["--confirm", "1", "--webhook", nobody]);
    third.event("notification_failed");
    for watch in [&watch, &second, &third] {
        let log = format!("{:?}", watch.log());
        assert!(!log.contains("s3cret") && !log.contains("k3y"), "{log}");
    }
}

#[test]
fn what_a_webhook_misses_it_is_told_once_it_is_back() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    let hook = Hook::answering(&[500, 503, 500, 200]);
    let watch = place.watch(&["--confirm", "1", "--webhook", &hook.url()]);
    watch.event("notification_failed");
    let health = watch.get("/healthz");
    let told: Value = serde_json::from_slice(&health.body).unwrap();
    assert_eq!(
        (health.status, &told["warnings"][0]["code"]),
        (200, &"notifications_failing".into()),
        "{told}"
    );
    assert!(!health.text().contains("s3cret"), "{told}");
    let posts = hook.wait_for(4);
    assert_eq!(posts[0].1, posts[3].1);
    watch.wait_until("well", |watch| watch.json("/healthz")["warnings"] == Value::Array(vec![]));
    assert_eq!(watch.events("host_changed").len(), 1);
}

#[test]
fn what_was_not_told_before_it_ended_is_told_by_the_next() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    // It takes connections, and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", deaf.local_addr().unwrap());
    for (signal, options) in [("TERM", ["--notify-timeout", "1m"]), ("KILL", ["--notify-timeout", "1s"])] {
        let watch = place.watch(&[&["--confirm", "1", "--webhook", &url], &options[..]].concat());
        assert_eq!(watch.event("host_changed")["to"], "unreachable");
        watch.wait_for_sweeps(3);
        let (_, took) = watch.end(signal);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    let hook = Hook::answering(&[204]);
    let watch = place.watch(&["--confirm", "1", "--webhook", &hook.url()]);
    assert_eq!(hook.wait_for(1)[0].1["changes"][0]["to"], "unreachable");
    watch.wait_for_sweeps(2);
    assert!(watch.end("TERM").0.success());
    // And then it is told.
    let watch = place.watch(&["--confirm", "1", "--webhook", &hook.url()]);
    watch.wait_for_sweeps(3);
    assert_eq!((watch.events("host_changed").len(), hook.posts().len()), (0, 1), "{:#?}", watch.log());
}

/// Takes posts over TLS, writes the last one's body into a file, and says on which port.
const TLS_HOOK: &str = r#"
import http.server, ssl, sys
certificate, key, out = sys.argv[1:]
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(out, "wb") as file:
            file.write(body)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

#[test]
#[ignore = "needs python3 and openssl: ./tests/run"]
fn over_tls_a_webhook_is_told_if_its_certificate_is_trusted_and_not_otherwise() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    let file = |name: &str| place.0.path().join(name).to_str().expect("UTF-8").to_owned();
    let (certificate, key, out) = (file("certificate.pem"), file("key.pem"), file("out.json"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=hook", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let mut hook = Process(
        Command::new("python3")
            .args(["-c", TLS_HOOK, &certificate, &key, &out])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3"),
    );
    let mut port = String::new();
    BufReader::new(hook.0.stdout.take().expect("a pipe")).read_line(&mut port).expect("a line");
    let url = format!("https://127.0.0.1:{}/hook", port.trim());

    let told = |trusted: &str, database: &str| {
        let options = ["--confirm", "1", "--webhook", &url];
        let watch =
            Watch::start(&place.file(), Path::new(&file(database)), &options, &[("SSL_CERT_FILE", trusted)]);
        let count = |outcome: &str| {
            watch.metric(&format!(
                "skew_check_watch_notifications_total{{channel=\"webhook\",outcome=\"{outcome}\"}}"
            ))
        };
        watch.wait_until("told", |_| count("delivered") + count("failed") == 1);
        (count("delivered"), watch.log())
    };
    let (delivered, log) = told("/dev/null", "one.redb");
    assert!(delivered == 0 && !Path::new(&out).exists(), "{log:#?}");
    assert!(format!("{log:?}").contains("certificate"), "{log:#?}");
    let (delivered, log) = told(&certificate, "two.redb");
    assert_eq!(delivered, 1, "{log:#?}");
    let document: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(document["changes"][0]["to"], "unreachable");
}

/// A process, killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nobody_who_is_slow_to_hear_delays_a_sweep() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    // It takes connections, and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", deaf.local_addr().unwrap());
    let watch = place.watch(&[
        // Longer than a sweep takes on a machine that does much else.
        "--every",
        "3s",
        "--confirm",
        "1",
        "--webhook",
        &url,
        "--notify-timeout",
        "1m",
        "--command",
        "/bin/sleep",
        "--command-arg",
        "60",
    ]);
    watch.event("host_changed");
    let late = "skew_check_watch_sweeps_late_total";
    watch.wait_for_sweeps(4);
    assert_eq!(watch.metric(late), 0);
    assert_eq!(watch.get("/healthz").status, 200);
    // Nor does it keep it from ending.
    let (status, took) = watch.end("TERM");
    assert!(status.success() && took < Duration::from_secs(10), "{status} {took:?}");
}

#[test]
fn a_program_is_run_with_the_changes_on_its_input_and_no_shell_reads_them() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[]);
    place.write(&format!(
        "reference = ['{}']\n[group.'$(touch pwned); `touch pwned` \"']\nhosts = ['{}']\n",
        reference.address(),
        silent.address()
    ));
    let out = place.0.path().join("out.json");
    let script =
        format!("cat > '{0}'; printf '%s\\n' \"$@\" > '{0}.arguments'; env > '{0}.env'", out.display());
    let arguments = [
        "--confirm",
        "1",
        "--command",
        "/bin/sh",
        "--command-arg",
        "-c",
        "--command-arg",
        &script,
        "--command-arg",
        "name",
        "--command-arg",
        "$(touch pwned) *",
        "--webhook",
        "http://127.0.0.1:1/s3cret",
    ];
    let watch = place.watch(&arguments);
    let env = PathBuf::from(format!("{}.env", out.display()));
    let done = "skew_check_watch_notifications_total{channel=\"command\",outcome=\"delivered\"}";
    watch.wait_until("run", |watch| watch.metric(done) == 1);
    let document: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(document["changes"][0]["group"], "$(touch pwned); `touch pwned` \"");
    let given = std::fs::read_to_string(format!("{}.arguments", out.display())).unwrap();
    assert_eq!(given, "$(touch pwned) *\n");
    let env = std::fs::read_to_string(env).unwrap();
    for line in [
        format!("SKEW_CHECK_HOST={}", silent.address()),
        "SKEW_CHECK_TO=unreachable".to_owned(),
        "SKEW_CHECK_SEVERITY=unknown".to_owned(),
        "SKEW_CHECK_CHANGES=1".to_owned(),
    ] {
        assert!(env.lines().any(|shown| shown == line), "{line}: {env}");
    }
    assert!(!Path::new("pwned").exists() && !place.0.path().join("pwned").exists());
}

#[test]
fn options_that_are_secrets_are_not_handed_to_programs() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    let (out, config) = (place.0.path().join("env"), place.0.path().join("config.toml"));
    let settings = format!(
        "[watch]\nconfirm = 1\nallow-single = true\ncommand = '/bin/sh'\ncommand-arg = ['-c', \"env > '{}'\"]\n",
        out.display()
    );
    std::fs::write(&config, settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["watch", "--once", "--samples", "1", "--timeout", "100ms"])
        .env("SKEW_CHECK_CONFIG", config)
        .env("SKEW_CHECK_INVENTORY", place.file())
        .env("SKEW_CHECK_DATABASE", place.database())
        .env("SKEW_CHECK_WEBHOOK", "http://127.0.0.1:1/s3cret")
        .env("NOTIFY_SOCKET", "/nowhere")
        .output()
        .unwrap();
    // As `fleet` would end.
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let env = std::fs::read_to_string(out).unwrap();
    assert!(env.contains("SKEW_CHECK_TO=unreachable"), "{env}");
    assert!(
        !env.contains("s3cret") && !env.contains("NOTIFY_SOCKET") && !env.contains("SKEW_CHECK_DATABASE"),
        "{env}"
    );
}

/// The children of a process, with their states.
fn children(of: u32) -> Vec<(u32, char)> {
    let stats = std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (id, rest) = stat.split_once(" (")?;
        let mut fields = rest.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse::<u32>().ok()?);
        Some((id.parse::<u32>().ok()?, state, parent))
    });
    stats.filter(|(_, _, parent)| *parent == of).map(|(id, state, _)| (id, state)).collect()
}

#[test]
fn a_program_that_hangs_is_killed_with_all_that_it_started_and_nothing_is_left_of_it() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    let grandchild = place.0.path().join("grandchild");
    let script = format!("sleep 1000 & echo $! > '{}'; wait", grandchild.display());
    let watch = place.watch(&[
        "--confirm",
        "1",
        "--notify-timeout",
        "1s",
        "--command",
        "/bin/sh",
        "--command-arg",
        "-c",
        "--command-arg",
        &script,
    ]);
    let failed = watch.event("notification_failed");
    assert!(failed["problem"].as_str().unwrap().contains("was killed"), "{failed}");
    assert_eq!(children(watch.id()), [], "nobody waits to be reaped");
    let id = std::fs::read_to_string(&grandchild).unwrap();
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).ok()?;
        (!stat.contains(") Z ")).then_some(stat)
    };
    until(|| alive().is_none().then_some(()), || format!("{:?} lives", alive()));
}

#[test]
fn a_restart_does_not_say_again_what_was_said() {
    let (reference, right, silent) = (ahead(0), ahead(0), serve(Script::silent()));
    let switch = Switch::between(&[silent.address(), right.address()]);
    let place = Place::new(reference.address(), &[switch.address(), right.address()]);
    let first = place.watch(&[]);
    assert_eq!(first.event("host_changed")["to"], "unreachable");
    first.wait_for_sweeps(1);
    assert!(first.end("TERM").0.success());
    let second = place.watch(&[]);
    second.wait_for_sweeps(4);
    assert_eq!(second.events("host_changed"), Vec::<Value>::new());
    // It knows what was said: that it is over is told.
    switch.turn_to(1);
    let told = second.event("host_changed");
    assert_eq!((&told["from"], &told["to"]), (&"unreachable".into(), &"in-sync".into()));
}

#[test]
fn whatever_kills_it_the_history_opens_and_holds_whole_sweeps() {
    let (reference, right, fast) = (ahead(0), ahead(0), ahead(300));
    let hosts = [right.address(), fast.address()];
    let place = Place::new(reference.address(), &hosts);
    let begun = OsClock.system().realtime;
    let mut random = fastrand::Rng::with_seed(1);
    let mut seen = 0;
    for round in 0..12 {
        let watch = Watch::spawn(&place.file(), &place.database(), &[], &[]);
        // From before it listens until after its second sweep.
        thread::sleep(Duration::from_millis(random.u64(..1_800)));
        let (status, _) = watch.end("KILL");
        assert!(!status.success(), "{round}: it was killed");
        let history = History::open(place.database(), Retention::default()).unwrap();
        let now = OsClock.system().realtime + SignedDuration::from_secs(1);
        let of = |host: SocketAddr| -> Vec<Timestamp> {
            let points = history.host(&host.to_string(), begun, now, 5_000).unwrap();
            points.iter().map(|point| point.at).collect()
        };
        let (one, other) = (of(hosts[0]), of(hosts[1]));
        assert_eq!(one, other, "{round}: a sweep is there with all of its hosts, or not at all");
        assert!(one.len() >= seen, "{round}: what was there stays");
        seen = one.len();
    }
    println!("{seen} sweeps in 12 lives");
    assert!(seen > 0, "some lived long enough to sweep");
}

#[test]
fn it_ends_when_it_is_told_to_also_in_the_middle_of_a_sweep() {
    let (reference, silent) = (ahead(0), serve(Script::silent()));
    let place = Place::new(reference.address(), &[silent.address()]);
    for signal in ["TERM", "INT"] {
        let watch = place.watch(&["--timeout", "20s"]);
        // Somebody who keeps a connection open.
        let mut idle = TcpStream::connect(watch.address()).unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        thread::sleep(Duration::from_millis(300));
        let (status, took) = watch.end(signal);
        assert!(status.success() && took < Duration::from_secs(8), "{signal}: {status} {took:?}");
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).expect("the connection was closed, not reset");
        assert!(
            rest.starts_with(b"HTTP/1.1 503"),
            "no sweep has ended: {:?}",
            String::from_utf8_lossy(&rest)
        );
    }
}

#[test]
fn it_is_not_well_without_true_time() {
    let (reference, right) = (serve(Script::silent()), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    let watch = place.watch(&[]);
    let told = watch.event("fleet_changed");
    assert_eq!((&told["to"], &told["host"]), (&"no-reference".into(), &Value::Null));
    let health = watch.get("/healthz");
    let document: Value = serde_json::from_slice(&health.body).unwrap();
    assert_eq!(
        (health.status, &document["reasons"][0]["code"]),
        (503, &"reference_unknown".into()),
        "{document}"
    );
    assert_eq!(watch.metric("skew_check_watch_healthy"), 0);
    assert_eq!(watch.events("host_changed"), Vec::<Value>::new(), "nothing is said of hosts");
}

#[test]
fn a_disk_that_is_full_is_told_and_the_rest_goes_on() {
    let (reference, right) = (ahead(0), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    // There is a history already: what is limited is what may be added.
    let before = place.watch(&[]);
    before.wait_for_sweeps(1);
    assert!(before.end("TERM").0.success());
    let watch = place.watch(&[]);
    watch.wait_for_sweeps(1);
    let limit = |bytes: &str| {
        let process = watch.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}")]).status();
        assert!(set.expect("`prlimit`, of util-linux").success());
    };
    limit("1:unlimited");
    let failed = watch.event("history_failed");
    assert!(failed["problem"].as_str().unwrap().contains("history.redb failed: "), "{failed}");
    watch.wait_until("unwell", |watch| watch.get("/healthz").status == 503);
    assert_eq!(watch.json("/healthz")["reasons"][0]["code"], "history_not_written");
    watch.wait_for_sweeps(2);
    assert_eq!(states(&watch.json("/api/fleet.json")), ["in-sync"], "sweeps go on");
    assert!(watch.metric("skew_check_watch_history_errors_total") >= 2);
    // And it is used again once there is room.
    limit("unlimited:unlimited");
    watch.wait_until("well", |watch| watch.get("/healthz").status == 200);
    assert_eq!(watch.get("/api/history.json").status, 200);
}

#[test]
fn systemd_is_told_that_it_is_ready_lives_and_ends() {
    let (reference, right) = (ahead(0), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    let socket = place.0.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = systemd.recv(&mut bytes).expect("something in time");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let socket = socket.to_str().unwrap();
    let watch = place.watch_with(&[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "400000")]);
    let first = [told(), told(), told()].concat();
    assert!(first.contains("READY=1") && first.matches("WATCHDOG=1").count() == 2, "{first:?}");
    watch.signal("TERM");
    until(|| told().contains("STOPPING=1").then_some(()), || "never STOPPING=1".to_owned());
}

#[test]
fn clients_that_send_nothing_keep_nobody_out_for_long() {
    let (reference, right) = (ahead(0), ahead(0));
    let place = Place::new(reference.address(), &[right.address()]);
    let watch = place.watch(&[]);
    watch.wait_for_sweeps(1);
    let mut slow: Vec<TcpStream> =
        (0..300).filter_map(|_| TcpStream::connect(watch.address()).ok()).collect();
    for stream in &mut slow {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: local");
    }
    let begun = OsClock.raw();
    let answer = watch.get("/healthz");
    let waited = OsClock.raw() - begun;
    assert!(answer.status == 200 && waited < SignedDuration::from_secs(25), "{waited}");
    let mut first = slow.remove(0);
    first.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    // Closed or reset: it is gone.
    let _ = first.read_to_end(&mut rest);
    assert!(OsClock.raw() - begun < SignedDuration::from_secs(25), "it was cut off");
    // A head of a megabyte isn't read to its end either.
    let mut greedy = TcpStream::connect(watch.address()).unwrap();
    let _ = greedy.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ");
    let _ = greedy.write_all(&vec![b'x'; 1 << 20]);
    let mut answer = Vec::new();
    let _ = greedy.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn nothing_from_elsewhere_breaks_what_is_served() {
    let reference = ahead(0);
    let hostile = |bytes| {
        serve(Script { stratum: 1, reference_id: ReferenceId::from_bytes(bytes), ..Script::default() })
    };
    let (escape, tag) = (hostile(*b"\x1b[2J"), hostile(*b"<b>\""));
    let place = Place::new(reference.address(), &[]);
    place.write(&format!(
        "reference = ['{}']\nupstreams = ['clock:GPS']\n[group.'</script><script>alert(1)</script>\"\\|']\n\
         labels = {{ note = '\"}} 1\\n</text><script>' }}\nhosts = ['{}', '{}']\n[group.\"turned \\u202e round\"]\n\
         hosts = ['127.0.0.1:1']\n",
        reference.address(),
        escape.address(),
        tag.address(),
    ));
    let watch = place.watch(&["--confirm", "1"]);
    watch.wait_for_sweeps(2);
    let name = escape.address().to_string();
    let host = format!("/api/history.json?host={name}");
    for path in PATHS.iter().copied().chain([host.as_str()]) {
        let answer = watch.get(path);
        let shown = answer.text();
        assert_eq!(answer.status, 200, "{path}: {shown}");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{path}");
        match path {
            "/" => assert!(!shown.contains("alert(1)"), "the page is the same for everybody"),
            "/metrics" => {
                for line in shown.lines().filter(|line| !line.starts_with('#')) {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    assert!(value.parse::<f64>().is_ok() && series.starts_with("skew_check_"), "{line}");
                }
            }
            _ => {
                drop(serde_json::from_str::<Value>(&shown).unwrap_or_else(|error| panic!("{path}: {error}")))
            }
        }
    }
    assert!(watch.log().iter().all(Value::is_object), "each event is a line of its own: {:#?}", watch.log());
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn a_real_server_that_dies_is_missed() {
    let honest = [3, 3, 3].map(Chronyd::honest);
    let (good, other) = (Chronyd::honest(3), Chronyd::offset_from(&honest[0], 3.2));
    let place = Place::new(honest[0].address(), &[]);
    let switch = Switch::between(&[good.address(), ([127, 0, 0, 1], 1).into()]);
    place.write(&format!(
        "reference = ['{}', '{}', '{}']\nhosts = ['{}', '{}']\n",
        honest[0].address(),
        honest[1].address(),
        honest[2].address(),
        switch.address(),
        other.address(),
    ));
    let watch = place.watch(&[]);
    let told = watch.event("host_changed");
    assert_eq!(
        (&told["host"], &told["to"]),
        (&other.address().to_string().as_str().into(), &"skewed".into())
    );
    assert!((told["skew_ns"].as_i64().unwrap() - 3_200_000_000).abs() < 5_000_000, "{told}");
    assert_eq!(watch.get("/healthz").status, 200);
    drop(good);
    watch.wait_until("missed", |watch| watch.events("host_changed").len() == 2);
    let missed = &watch.events("host_changed")[1];
    assert_eq!(
        (&missed["host"], &missed["to"]),
        (&switch.address().to_string().as_str().into(), &"unreachable".into())
    );
    let map = watch.json("/api/history.json?from=-60&columns=60");
    let row = map["hosts"][0]["row"].as_str().unwrap();
    assert!(row.contains('7') && row.trim_end_matches('.').ends_with('0'), "{map}");
}
