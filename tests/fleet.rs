//! `skew-check fleet` and the library behind it: scripted servers first, then a fleet of real chronyd, also through bad
//! networks. All of them share this machine's clock, so the truth is known.

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use skewgate::clock::Leap;
use skewgate::fleet::{Flag, Host, Inventory, Report, State, SweepOptions, Thresholds, sweep};
use skewgate::ntp::{Options, Pace, ReferenceId, Responder, Script};
use skewgate::time::{LocalClock, SignedDuration, Timestamp, os::OsClock};
use support::chronyd::Chronyd;
use support::relay::{Relay, Route};

const QUICK: [&str; 7] = ["--samples", "2", "--interval", "10ms", "--timeout", "150ms", "--allow-single"];

fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

fn ahead(millis: i64) -> Responder {
    serve(Script::ahead_by(SignedDuration::from_millis(millis)))
}

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skew-check"));
    command.arg("fleet").args(QUICK).args(options);
    command
}

fn run(options: &[&str]) -> Output {
    command(options).output().expect("the binary runs")
}

fn fleet(reference: &Responder, hosts: &[&Responder], options: &[&str]) -> Output {
    let named: Vec<String> = hosts.iter().map(|host| host.address().to_string()).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    run(&[&["--reference", &reference.address().to_string()], options, &named].concat())
}

fn json_of(output: &Output) -> (Value, i32) {
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (value, output.status.code().expect("a status"))
}

fn json(reference: &Responder, hosts: &[&Responder], options: &[&str]) -> (Value, i32) {
    json_of(&fleet(reference, hosts, &[&["--format", "json"], options].concat()))
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).expect("UTF-8")
}

fn states(value: &Value) -> Vec<&str> {
    let hosts = value["hosts"].as_array().expect("a list");
    hosts.iter().map(|host| host["state"].as_str().expect("a text")).collect()
}

#[test]
fn every_state_is_told_and_the_worst_host_decides() {
    let reference = ahead(0);
    let unsynchronised = serve(Script { leap: Leap::Unsynchronised, stratum: 0, ..Script::default() });
    let kissing =
        serve(Script { stratum: 0, reference_id: ReferenceId::from_bytes(*b"DENY"), ..Script::default() });
    // What it believes of its own error doesn't count: it is read all the same.
    let unsure = serve(Script {
        root_delay: Duration::from_secs(20),
        root_dispersion: Duration::from_secs(20),
        ..Script::default()
    });
    let (silent, garbage) =
        (serve(Script::silent()), serve(Script::rewriting(|_, _| vec![b"\x1b[2Jx".to_vec()])));
    let (right, fast, slow) = (ahead(0), ahead(300), ahead(-5_000));
    let hosts = [&right, &fast, &slow, &unsynchronised, &kissing, &unsure, &silent, &garbage];
    let (value, status) = json(&reference, &hosts, &[]);
    assert_eq!(
        states(&value),
        ["in-sync", "skewed", "skewed", "unsynchronised", "rejected", "in-sync", "unreachable", "rejected"],
        "{value:#}"
    );
    assert_eq!((status, &value["status"]), (2, &Value::from("critical")));
    assert_eq!(value["schema"], "skew-check/fleet/1");
    assert!(value["measured_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
    assert_eq!(value["reference"]["agreeing"], 1);
    let hosts = value["hosts"].as_array().unwrap();
    for (index, skew) in [(0, 0), (1, 300_000_000), (2, -5_000_000_000), (3, 0), (5, 0)] {
        let off = hosts[index]["skew_ns"].as_i64().unwrap() - skew;
        let bound = hosts[index]["half_width_ns"].as_i64().unwrap();
        assert!(off.abs() <= bound && bound < 50_000_000, "{}", hosts[index]);
        assert_eq!(hosts[index]["samples"], 2);
    }
    assert_eq!(hosts[2]["flags"], serde_json::json!(["skewed", "critical"]));
    for (index, word) in
        [(1, "ahead"), (2, "behind"), (3, "nobody sets"), (4, "DENY"), (6, "no reply"), (7, "5 bytes")]
    {
        assert!(hosts[index]["reason"].as_str().unwrap().contains(word), "{}", hosts[index]);
    }
    assert_eq!(hosts[0]["reason"], Value::Null);
    for field in ["skew_ns", "half_width_ns", "delay_ns", "stratum", "reference_id", "group"] {
        assert_eq!(hosts[6][field], Value::Null, "{field}");
    }
    assert_eq!((&hosts[6]["measures"], &hosts[6]["samples"]), (&Value::from("unknown"), &Value::from(0)));
    let pair = &value["worst_pair"];
    let apart = pair["skew_ns"].as_i64().unwrap() - 5_300_000_000;
    assert!(apart.abs() <= pair["half_width_ns"].as_i64().unwrap(), "{pair}");
    assert_eq!((&pair["a"], &pair["b"]), (&hosts[1]["host"], &hosts[2]["host"]));
    let summary = &value["summary"];
    assert_eq!(
        (&summary["in-sync"], &summary["rejected"], &summary["inconclusive"]),
        (&2.into(), &2.into(), &0.into())
    );
}

#[test]
fn exit_status_is_that_of_probe() {
    let (reference, right, fast, silent) = (ahead(0), ahead(0), ahead(300), serve(Script::silent()));
    let status = |hosts: &[&Responder], options: &[&str]| json(&reference, hosts, options).1;
    assert_eq!(status(&[&right], &[]), 0);
    assert_eq!(status(&[&right, &fast], &[]), 1);
    assert_eq!(status(&[&right, &fast], &["--warning", "1ms", "--critical", "200ms"]), 2);
    // Unknown is worse than a warning, and less bad than what is critical.
    assert_eq!(status(&[&fast, &silent], &[]), 3);
    assert_eq!(status(&[&fast, &silent], &["--critical", "200ms"]), 2);
    // No list hides what is wrong.
    assert_eq!(status(&[&right, &fast], &["--only", "in-sync"]), 1);
}

#[test]
fn without_a_reference_nothing_is_called_right() {
    let (reference, right) = (serve(Script::silent()), ahead(0));
    let (value, status) = json(&reference, &[&right], &[]);
    assert_eq!((status, &value["reference"], states(&value)), (3, &Value::Null, vec!["inconclusive"]));
    assert!(value["reason"].as_str().unwrap().contains("true time is not known"), "{value}");
    assert_eq!(value["hosts"][0]["skew_ns"], Value::Null);
}

#[test]
fn the_clock_of_this_host_has_no_part_in_it() {
    // As if this host were 40 s behind: all it asks are ahead of it.
    let (reference, right, fast) = (ahead(40_000), ahead(40_000), ahead(40_250));
    let (value, _) = json(&reference, &[&right, &fast], &[]);
    assert_eq!(states(&value), ["in-sync", "skewed"]);
    let off = value["hosts"][1]["skew_ns"].as_i64().unwrap() - 250_000_000;
    assert!(off.abs() < 20_000_000, "{value}");
}

#[test]
fn a_host_whose_clock_stands_at_1970_is_behind() {
    let now = OsClock.system().realtime.as_unix_seconds();
    let (reference, dead) = (ahead(0), ahead(-now * 1_000));
    let (value, status) = json(&reference, &[&dead], &[]);
    let skew = value["hosts"][0]["skew_ns"].as_i64().unwrap();
    assert!((skew + now * 1_000_000_000).abs() < 1_000_000_000, "{value}");
    assert_eq!(status, 2);
}

#[test]
fn hosts_from_standard_input_lists_in_order_and_only_some() {
    let (reference, right, fast, slow) = (ahead(0), ahead(0), ahead(300), ahead(-5_000));
    let mut child = command(&[
        "--reference",
        &reference.address().to_string(),
        "--format",
        "json",
        "-",
        "--sort",
        "skew",
    ])
    .args(["--only", "skewed"])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "# all\n{}\n\n {} # fast\n{}", right.address(), fast.address(), slow.address()).unwrap();
    drop(stdin);
    let (value, status) = json_of(&child.wait_with_output().unwrap());
    let named: Vec<&str> =
        value["hosts"].as_array().unwrap().iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(named, [slow.address().to_string(), fast.address().to_string()]);
    assert_eq!((status, &value["summary"]["in-sync"]), (2, &1.into()));
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a directory for temporary files");
    file.write_all(text.as_bytes()).expect("room for a file");
    file
}

#[test]
fn an_inventory_has_groups_thresholds_sources_and_upstreams() {
    let upstream = ReferenceId::from_bytes([192, 0, 2, 7]);
    let following = |id| serve(Script { stratum: 3, reference_id: id, ..Script::default() });
    let (reference, fast) = (ahead(0), ahead(60));
    let (approved, foreign) = (following(upstream), following(ReferenceId::from_bytes([198, 51, 100, 1])));
    let hidden = following(ReferenceId::from_bytes([0; 4]));
    let inventory = file(&format!(
        "reference = ['{}']\nhosts = ['{}']\n[group.strict]\nwarning = '20ms'\nmeasures = 'system'\nhosts = ['{}']\n\
         [group.watched]\nupstreams = ['192.0.2.7']\nhosts = ['{}', '{}', '{}']\n",
        reference.address(),
        fast.address(),
        // The same server by another name: it is another host of this list.
        format_args!("localhost:{}", fast.address().port()),
        approved.address(),
        foreign.address(),
        hidden.address(),
    ));
    let path = inventory.path().to_str().unwrap();
    let (value, status) = json_of(&run(&["--inventory", path, "--format", "json", "-4"]));
    assert_eq!(
        states(&value),
        ["in-sync", "skewed", "in-sync", "foreign-reference", "reference-unknown"],
        "{value:#}"
    );
    assert_eq!(status, 3);
    let hosts = value["hosts"].as_array().unwrap();
    assert_eq!((&hosts[0]["group"], &hosts[1]["group"]), (&Value::Null, &Value::from("strict")));
    assert_eq!((&hosts[0]["measures"], &hosts[1]["measures"]), (&"unknown".into(), &"system".into()));
    assert!(hosts[3]["reason"].as_str().unwrap().contains("198.51.100.1"), "{value}");
    // What is said on the command line counts for all.
    let (value, _) = json_of(&run(&["--inventory", path, "--format", "json", "-4", "--warning", "10ms"]));
    assert_eq!(states(&value)[..2], ["skewed", "skewed"]);
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let (reference, fast) = (ahead(0), ahead(300));
    let config = file(&format!(
        "[fleet]\nformat = 'json'\nreference = ['{}']\nwarning = '1s'\nallow-single = true\nmax-rate = 1_000\n",
        reference.address()
    ));
    let state = |environment: &[(&str, &str)], options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_skew-check"))
            .args(["--config", config.path().to_str().unwrap(), "fleet"])
            .args(["--samples", "1", "--timeout", "150ms"])
            .args(options)
            .arg(fast.address().to_string())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        states(&json_of(&output).0)[0].to_owned()
    };
    assert_eq!(state(&[], &[]), "in-sync");
    assert_eq!(state(&[("SKEW_CHECK_WARNING", "100ms")], &[]), "skewed");
    assert_eq!(state(&[("SKEW_CHECK_WARNING", "100ms")], &["--warning", "900ms"]), "in-sync");
    // Also where the environment names the file.
    let output = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["fleet", "--samples", "1", &fast.address().to_string()])
        .env("SKEW_CHECK_CONFIG", config.path())
        .output()
        .unwrap();
    assert_eq!(states(&json_of(&output).0), ["in-sync"]);
}

#[test]
fn a_file_is_written_when_it_is_complete() {
    let (reference, right) = (ahead(0), ahead(0));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.prom");
    let to = path.to_str().unwrap();
    let output = fleet(&reference, &[&right], &["--format", "prometheus", "--output", to]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.ends_with("# EOF\n"), "{written}");
    assert!(
        written
            .contains(&format!("skew_check_host_state{{host=\"{}\",state=\"in-sync\"}} 1", right.address()))
    );
    // One that can't be made leaves it as it was.
    let failed = run(&["--reference", "a..b", "--output", to, "127.0.0.1:1"]);
    assert_eq!((failed.status.code(), std::fs::read_to_string(&path).unwrap()), (Some(3), written));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let nowhere = fleet(&reference, &[&right], &["--output", "/nonexistent/fleet.prom"]);
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(text(&nowhere).contains("can't write /nonexistent/fleet.prom"), "{}", text(&nowhere));
}

#[test]
fn nothing_from_elsewhere_drives_a_terminal_or_a_browser() {
    let reference = ahead(0);
    let hostile = |bytes| {
        serve(Script { stratum: 1, reference_id: ReferenceId::from_bytes(bytes), ..Script::default() })
    };
    let (escape, tag) = (hostile(*b"\x1b[2J"), hostile(*b"<b>\""));
    let inventory = file(&format!(
        "reference = ['{}']\nupstreams = ['clock:GPS']\n[group.'<script>alert(1)</script>\"\\|']\n\
         labels = {{ note = '\"}} 1\\n</text><script>' }}\nhosts = ['{}', '{}']\n[group.\"turned \\u202e round\"]\n\
         hosts = ['127.0.0.1:1']\n",
        reference.address(),
        escape.address(),
        tag.address(),
    ));
    let path = inventory.path().to_str().unwrap();
    for format in ["text", "json", "nagios", "html", "svg", "prometheus"] {
        // With colours forced, as on a terminal: otherwise every escape would be dropped on the way out.
        let output = run(&["--inventory", path, "--format", format, "-v", "--color", "always"]);
        let shown = text(&output);
        assert!(!shown.contains("[2J"), "{format}: {shown}");
        assert!(format == "json" || !shown.contains('\u{202e}') || format == "prometheus", "{format}");
        match format {
            "svg" => {
                assert!(!shown.contains("<script"), "{shown}");
                let svg = String::from_utf8(output.stdout).unwrap();
                // Well-formed: everything that is opened is closed.
                let document = roxmltree_of(&svg);
                assert!(document.contains("27.91.50.74") || document.contains("foreign-reference"), "{svg}");
            }
            "html" => {
                assert_eq!(shown.matches("<script").count(), 2, "the data, and the script of the page");
                assert!(
                    shown.contains(r"\u003cscript\u003ealert(1)") && shown.contains(r"\u202e"),
                    "{shown}"
                );
            }
            "nagios" => assert_eq!(
                (output.stdout.iter().filter(|b| **b == b'|').count(), shown.lines().count()),
                (1, 1)
            ),
            "prometheus" => {
                // One series a line, and the quotes within a value are escaped.
                for line in
                    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.starts_with('#'))
                {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                    assert!(series.starts_with("skew_check_"), "{line}");
                }
                assert!(shown.contains(r#"note="\"} 1\\n</text><script>""#), "{shown}");
            }
            "json" => drop(json_of(&output)),
            _ => assert!(shown.contains("27.91.50.74") && shown.contains("60.98.62.34"), "{shown}"),
        }
    }
}

/// All text of an XML document.
fn roxmltree_of(svg: &str) -> String {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
    document.descendants().filter_map(|node| node.text()).collect()
}

#[test]
fn the_table_has_a_plot_and_the_last_line_sums_up() {
    let (reference, right, fast) = (ahead(0), ahead(0), ahead(3_000));
    let output = fleet(&reference, &[&right, &fast], &[]);
    let shown = text(&output);
    let row = |host: &Responder| {
        let name = host.address().to_string();
        shown.lines().find(|line| line.trim_start().starts_with(&name)).unwrap().to_owned()
    };
    assert!(row(&right).contains("in-sync") && row(&right).contains('◆'), "{shown}");
    assert!(row(&fast).contains("skewed") && row(&fast).contains('▶'), "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.starts_with("CRITICAL: 2 hosts: 1 in-sync, 1 skewed; worst is "), "{last}");
    assert!(last.contains(" ahead, give or take ") && last.contains(" apart, give or take "), "{last}");
    let quiet = fleet(&reference, &[&right], &["-q"]);
    assert_eq!((text(&quiet).lines().count(), quiet.status.code()), (1, Some(0)), "{}", text(&quiet));
}

#[test]
fn a_long_sweep_shows_on_a_terminal_how_far_it_has_come() {
    let (reference, right) = (ahead(0), ahead(0));
    let line = format!(
        "{} fleet --allow-single --samples 4 --interval 800ms --reference {} {}",
        env!("CARGO_BIN_EXE_skew-check"),
        reference.address(),
        right.address()
    );
    // A terminal of its own, from util-linux, which every Linux has.
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::null())
        .env("COLUMNS", "100")
        .output()
        .expect("`script`, of util-linux (Debian: bsdutils)");
    let shown = text(&output);
    assert!(shown.contains("asking hosts") && shown.contains("/1"), "{shown:?}");
    assert_eq!(output.status.code(), Some(0), "{shown:?}");
    // In a pipe there is none.
    let piped = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(!text(&piped).contains("asking"), "{}", text(&piped));
}

// --- Real servers ---------------------------------------------------------------------------------------------

/// How exact a host that is wrong by a known amount is measured.
const EXACT: Duration = Duration::from_millis(5);

/// How exactly chronyd itself serves a time that it was told to be wrong by.
const SERVED: Duration = Duration::from_micros(500);

fn options() -> SweepOptions {
    let pace = Pace {
        samples: 4,
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(400),
        ..Pace::default()
    };
    SweepOptions { pace, reference: Options { pace, ..Options::default() }, ..SweepOptions::default() }
}

fn swept(
    references: &[&Chronyd],
    hosts: &[SocketAddr],
    upstreams: &[SocketAddr],
    warning: Duration,
) -> Report {
    let mut inventory = Inventory::builder();
    for reference in references {
        inventory.reference(reference.source());
    }
    for host in hosts {
        inventory.host(host.to_string().parse::<Host>().expect("an address is a host"));
    }
    let all = inventory.ungrouped();
    let upstream =
        |address: &SocketAddr| address.ip().to_string().parse().expect("an address is an upstream");
    all.upstreams = upstreams.iter().map(upstream).collect();
    all.thresholds = Thresholds::new(warning, Duration::from_secs(1)).expect("the warning comes first");
    let inventory = Arc::new(inventory.build().expect("hosts and sources"));
    sweep(&inventory, &options(), &OsClock, &mut |_| {}).expect("rules that make sense")
}

/// What a host is to be found as, how far off it is in milliseconds, and how to start it.
type Planned<'a> = (State, Option<i64>, Box<dyn Fn() -> Chronyd + Sync + Send + 'a>);

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn twenty_real_servers_are_each_in_their_state_and_as_far_off_as_they_are() {
    let honest = [3, 3, 3].map(Chronyd::honest);
    let [good, other, _] = &honest;
    // All at once: each takes seconds to settle.
    let start: Vec<Planned<'_>> = {
        let mut all: Vec<Planned<'_>> = Vec::new();
        for _ in 0..7 {
            all.push((State::InSync, Some(0), Box::new(|| Chronyd::following(good.address()))));
        }
        for millis in [3_200, -90_000, 250, -20, 7] {
            let seconds = Duration::from_millis(i64::unsigned_abs(millis)).as_secs_f64();
            let seconds = if millis < 0 { -seconds } else { seconds };
            let state = if millis.abs() > 100 { State::Skewed } else { State::InSync };
            all.push((state, Some(millis), Box::new(move || Chronyd::offset_from(good, seconds))));
        }
        for _ in 0..3 {
            all.push((State::Unsynchronised, Some(0), Box::new(Chronyd::unsynchronised)));
        }
        for _ in 0..3 {
            all.push((State::ForeignReference, Some(0), Box::new(|| Chronyd::following(other.address()))));
        }
        for _ in 0..2 {
            all.push((State::Unreachable, None, Box::new(|| Chronyd::honest(3))));
        }
        all
    };
    assert_eq!(start.len(), 20);
    let mut running: Vec<Chronyd> = std::thread::scope(|scope| {
        let threads: Vec<_> = start.iter().map(|(_, _, start)| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().expect("chronyd starts")).collect()
    });
    let addresses: Vec<SocketAddr> = running.iter().map(Chronyd::address).collect();
    // The dead ones were alive, so that their ports are nobody's.
    running.truncate(18);

    let references: Vec<&Chronyd> = honest.iter().collect();
    let report = swept(&references, &addresses, &[good.address()], Duration::from_millis(100));
    for ((host, found), (state, known, _)) in report.rows().zip(&start) {
        assert_eq!(found.state(), *state, "{}: {found:?}", host.as_given());
        let Some(known) = known.map(SignedDuration::from_millis) else { continue };
        let skew = found.skew.unwrap();
        let off = (skew.midpoint() - known).unsigned_abs();
        println!("{state:18} {known:>12} off by {off:>10.1?} bound {:>10.1?}", skew.half_width());
        assert!(off <= skew.half_width() + SERVED && off < EXACT, "{known}: {found:?}");
        assert!(skew.half_width() < EXACT, "{found:?}");
    }
    let pair = report.worst_pair.unwrap();
    assert_eq!((addresses[pair.a], addresses[pair.b]), (addresses[7], addresses[8]));
    let apart = (pair.skew.midpoint() - SignedDuration::from_millis(93_200)).unsigned_abs();
    assert!(apart < EXACT, "{pair:?}");
    assert_eq!(report.margin().whole(), None, "nothing is known of the dead");
    assert!(report.margin().of_measured > Duration::from_secs(89));
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn on_bad_networks_the_truth_stays_inside_and_delay_is_no_skew() {
    let honest = [3, 3, 3].map(Chronyd::honest);
    let fast = Chronyd::offset_from(&honest[0], 3.2);
    let references: Vec<&Chronyd> = honest.iter().collect();
    let slow_way = Route::delays(Duration::from_millis(30), Duration::from_millis(10));
    let mut relays =
        vec![(Relay::to(honest[0].address(), &slow_way), 0), (Relay::to(fast.address(), &slow_way), 3_200)];
    for seed in 0..8 {
        let (server, known) = if seed % 2 == 0 { (&honest[1], 0) } else { (&fast, 3_200) };
        relays.push((Relay::to(server.address(), &Route::random(seed)), known));
    }
    let addresses: Vec<SocketAddr> = relays.iter().map(|(relay, _)| relay.address()).collect();
    let report = swept(&references, &addresses, &[], Duration::from_millis(15));

    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for ((host, found), (_, known)) in report.rows().zip(&relays) {
        *seen.entry(found.state().name()).or_default() += 1;
        let Some(skew) = found.skew else {
            // Every request may be lost: that is said, and nothing else.
            assert_eq!(found.state(), State::Unreachable, "{}: {found:?}", host.as_given());
            continue;
        };
        let known = SignedDuration::from_millis(*known);
        let off = (skew.midpoint() - known).unsigned_abs();
        assert!(off <= skew.half_width() + SERVED, "{known}: {found:?}");
        let wrong = known != SignedDuration::ZERO;
        assert_eq!(found.flags.contains(Flag::Skewed), wrong, "{found:?}");
    }
    println!("{seen:?}");
    // 30 ms out and 10 ms back: the middle is 10 ms off, and the bound 20 ms wide. Whether that is beyond 15 ms can't be
    // told, and more samples were taken before that was said.
    let (still, sure) = (&report.hosts[0], &report.hosts[1]);
    assert_eq!(still.state(), State::Inconclusive, "{still:?}");
    assert_eq!(still.reading.unwrap().samples, 12);
    assert_eq!((sure.state(), sure.reading.unwrap().samples), (State::Skewed, 4));
    let middle = still.skew.unwrap().midpoint().unsigned_abs();
    assert!(middle.abs_diff(Duration::from_millis(10)) < EXACT, "{still:?}");
    assert!(still.reading.unwrap().delay >= SignedDuration::from_millis(40));
}
