//! `skew-check probe` against scripted servers: its output in every format, and its exit status.

use std::io::Read;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use skewgate::clock::Leap;
use skewgate::ntp::{ReferenceId, Responder, Script};
use skewgate::time::{LocalClock, SignedDuration, Timestamp, os::OsClock};

const QUICK: [&str; 6] = ["--samples", "2", "--interval", "10ms", "--timeout", "150ms"];

fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

fn ahead(seconds: i64) -> Responder {
    serve(Script::ahead_by(SignedDuration::from_secs(seconds)))
}

fn probe(servers: &[&Responder], options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .arg("probe")
        .args(QUICK)
        .args(options)
        .args(servers.iter().map(|server| server.address().to_string()))
        .output()
        .expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn json(servers: &[&Responder], options: &[&str]) -> (Value, i32) {
    let output = probe(servers, &[&["--format", "json"], options].concat());
    let value = serde_json::from_slice(&output.stdout).expect("JSON");
    (value, output.status.code().expect("a status"))
}

#[test]
fn a_right_clock_is_ok() {
    let servers = [ahead(0), ahead(0), ahead(0)];
    let output = probe(&[&servers[0], &servers[1], &servers[2]], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("OK: this clock is right, give or take"), "{}", stdout(&output));
}

#[test]
fn a_slow_clock_is_critical_and_the_sentence_says_how_slow() {
    let servers = [ahead(40), ahead(40), ahead(40)];
    let output = probe(&[&servers[0], &servers[1], &servers[2]], &["-q"]);
    assert_eq!(output.status.code(), Some(2));
    let sentence = stdout(&output);
    assert!(sentence.starts_with("CRITICAL: this clock is "), "{sentence}");
    assert!(sentence.contains(" s behind, give or take "), "{sentence}");
    assert_eq!(sentence.lines().count(), 1);
}

#[test]
fn a_fast_clock_is_ahead_and_a_little_off_is_a_warning() {
    let script = || serve(Script::ahead_by(SignedDuration::from_millis(-500)));
    let servers = [script(), script()];
    let (value, status) = json(&[&servers[0], &servers[1]], &[]);
    assert_eq!((status, value["status"].as_str()), (1, Some("warning")));
    assert!(value["reason"].as_str().unwrap().contains("ahead"), "{value}");
    let offset = value["clock"]["offset_ns"].as_i64().unwrap();
    assert!((-505_000_000..-495_000_000).contains(&offset), "{offset}");
}

#[test]
fn json_has_every_field_and_null_for_what_was_not_measured() {
    let (honest, liar, silent) = ([ahead(0), ahead(0), ahead(0)], ahead(45), serve(Script::silent()));
    let (value, status) = json(&[&honest[0], &honest[1], &honest[2], &liar, &silent], &[]);
    assert_eq!(status, 0);
    assert_eq!(value["schema"], "skew-check/probe/1");
    assert_eq!(value["status"], "ok");
    let clock = &value["clock"];
    assert_eq!(clock["agreeing"], 3);
    assert_eq!(clock["configured"], 5);
    assert_eq!(clock["tolerated_liars"], 1);
    assert_eq!(clock["corroborated"], true);
    assert_eq!(clock["contested"], false);
    for field in ["offset_ns", "half_width_ns", "best_offset_ns"] {
        assert!(clock[field].is_i64(), "{field}");
    }
    for field in [&value["measured_at"], &clock["earliest"], &clock["latest"]] {
        assert!(field.as_str().unwrap().parse::<skewgate::time::Timestamp>().is_ok(), "{field}");
    }
    let sources = value["sources"].as_array().unwrap();
    let verdicts: Vec<_> = sources.iter().map(|source| source["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["truechimer", "truechimer", "truechimer", "falseticker", "unreachable"]);
    let off = sources[3]["offset_ns"].as_i64().unwrap() - 45_000_000_000;
    assert!(off.abs() < 5_000_000, "{off}");
    let silent = &sources[4];
    for field in ["offset_ns", "delay_ns", "root_distance_ns", "stratum", "reference_id", "leap"] {
        assert_eq!(silent[field], Value::Null, "{field}");
    }
    assert!(silent["reason"].as_str().unwrap().contains("no reply"));
    assert_eq!((&silent["samples"], &silent["authenticated"]), (&Value::from(0), &Value::from(false)));
    assert_eq!(sources[0]["samples"], 2);
    assert_eq!(sources[0]["reason"], Value::Null);
}

#[test]
fn nothing_reachable_is_unknown_and_never_ok() {
    let servers = [serve(Script::silent()), serve(Script::silent())];
    let (value, status) = json(&[&servers[0], &servers[1]], &[]);
    assert_eq!((status, value["status"].as_str()), (3, Some("unknown")));
    assert_eq!(value["clock"], Value::Null);
    assert!(value["reason"].as_str().unwrap().contains("none of the 2 configured sources"), "{value}");
    let output = probe(&[&servers[0], &servers[1]], &["--format", "nagios"]);
    let line = stdout(&output);
    assert!(line.starts_with("SKEW UNKNOWN - ") && line.contains("| offset=U;"), "{line}");
}

#[test]
fn without_a_quorum_usable_sources_are_undecided() {
    let (honest, silent) = (ahead(0), [serve(Script::silent()), serve(Script::silent())]);
    let (value, status) = json(&[&honest, &silent[0], &silent[1]], &[]);
    assert_eq!((status, &value["clock"]), (3, &Value::Null));
    assert!(value["reason"].as_str().unwrap().contains("no quorum"), "{value}");
    assert_eq!(value["sources"][0]["verdict"], Value::Null);
}

#[test]
fn nagios_gets_one_line_with_performance_data() {
    let servers = [ahead(0), ahead(0)];
    let output =
        probe(&[&servers[0], &servers[1]], &["--format", "nagios", "--warning", "250ms", "--critical", "2s"]);
    let line = stdout(&output);
    assert_eq!((output.status.code(), line.lines().count()), (Some(0), 1));
    let (text, data) = line.split_once(" | ").unwrap();
    assert!(text.starts_with("SKEW OK - this clock is right"), "{text}");
    assert!(data.contains(";-0.250000000:0.250000000;-2.000000000:2.000000000 half_width=0.0"), "{data}");
    assert!(data.trim_end().ends_with("agreeing=2;;;0;2"), "{data}");
}

#[test]
fn an_uncertainty_wider_than_the_threshold_is_inconclusive_and_no_clock_error() {
    let wide = || serve(Script { root_dispersion: Duration::from_millis(400), ..Script::default() });
    let servers = [wide(), wide()];
    let (value, status) = json(&[&servers[0], &servers[1]], &[]);
    assert_eq!(status, 3);
    assert!(value["reason"].as_str().unwrap().contains("inconclusive"), "{value}");
    assert!(value["clock"].is_object(), "what is known is still said");
}

#[test]
fn two_parties_of_sources_are_a_warning() {
    let servers = [ahead(0), ahead(0), ahead(0), ahead(7), ahead(7)];
    let (value, status) = json(&[&servers[0], &servers[1], &servers[2], &servers[3], &servers[4]], &[]);
    assert_eq!((status, &value["clock"]["contested"]), (1, &Value::from(true)), "{value}");
}

#[test]
fn a_single_source_must_be_allowed_and_is_called_uncorroborated() {
    let server = ahead(0);
    let output = probe(&[&server], &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-single"));
    // Programs that read the result are told there, too.
    let (value, status) = json(&[&server], &[]);
    assert_eq!((status, &value["status"], &value["clock"]), (3, &Value::from("unknown"), &Value::Null));
    let line = stdout(&probe(&[&server], &["--format", "nagios"]));
    assert!(line.starts_with("SKEW UNKNOWN - a single source"), "{line}");
    let (value, status) = json(&[&server], &["--allow-single"]);
    assert_eq!((status, &value["clock"]["corroborated"]), (0, &Value::from(false)));
}

#[test]
fn tolerance_can_be_demanded() {
    let servers = [ahead(0), ahead(0), ahead(0), serve(Script::silent()), serve(Script::silent())];
    let servers: Vec<_> = servers.iter().collect();
    let (value, status) = json(&servers, &["--tolerate", "2"]);
    assert_eq!((status, &value["clock"]), (3, &Value::Null));
    assert!(value["reason"].as_str().unwrap().contains("2 must be tolerated"), "{value}");
    // More than can be had from so many is wrong usage, whoever answers.
    let output = probe(&servers[..3], &["--tolerate", "2"]);
    assert_eq!(output.status.code(), Some(3));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("3 sources can't tolerate 2 liars, 1 at the most"), "{complaint}");
}

#[test]
fn each_refusal_is_told_in_words() {
    let unsynchronised = serve(Script { leap: Leap::Unsynchronised, stratum: 0, ..Script::default() });
    let kissing =
        serve(Script { stratum: 0, reference_id: ReferenceId::from_bytes(*b"DENY"), ..Script::default() });
    let garbage = serve(Script::rewriting(|_, _| vec![b"\x1b[2Jgarbage".to_vec()]));
    let far = serve(Script { root_delay: Duration::from_secs(20), ..Script::default() });
    let (value, status) = json(&[&unsynchronised, &kissing, &garbage, &far], &[]);
    assert_eq!(status, 3);
    for (index, verdict, word) in [
        (0, "unsynchronised", "stratum 0"),
        (1, "kiss", "DENY"),
        (2, "rejected", "11 bytes"),
        (3, "rejected", "20s"),
    ] {
        let source = &value["sources"][index];
        assert_eq!(source["verdict"], verdict);
        assert!(source["reason"].as_str().unwrap().contains(word), "{source}");
    }
    assert_eq!(value["sources"][0]["leap"], "unsynchronised");
    assert_eq!(value["sources"][1]["reference_id"], "DENY");
}

#[test]
fn nothing_from_the_network_reaches_a_terminal_unescaped() {
    let hostile = || {
        serve(Script { stratum: 1, reference_id: ReferenceId::from_bytes(*b"\x1b[2J"), ..Script::default() })
    };
    let servers = [hostile(), hostile()];
    for format in ["text", "json", "nagios"] {
        // With colours forced, as on a terminal: otherwise every escape would be dropped on the way out.
        let output = probe(&[&servers[0], &servers[1]], &["--format", format, "-v", "--color", "always"]);
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!shown.contains("[2J"), "{format}");
        assert!(format == "nagios" || shown.contains("27.91.50.74"), "{format}: {shown}");
    }
}

#[test]
fn smeared_sources_are_asked_like_the_others_and_a_second_wider_at_the_end_of_a_month() {
    let now = OsClock.system().realtime;
    let noon = "2026-12-31T12:00:00Z".parse::<Timestamp>().unwrap() - now;
    let (right, smearing) =
        (serve(Script::ahead_by(noon)), serve(Script::ahead_by(noon - SignedDuration::from_millis(400))));
    let declared = smearing.address().to_string();
    let alone = ["--allow-single", "--smeared", &declared];
    let (value, _) = json(&[], &alone);
    assert_eq!(value["sources"][0]["verdict"], "truechimer", "no other is needed beside it: {value}");
    assert!(value["clock"]["half_width_ns"].as_u64().unwrap() >= 1_000_000_000, "{value}");
    // With another that doesn't smear: they agree, and the interval is that of the other.
    let output = probe(&[&right], &["--smeared", &declared, "--format", "json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let asked: Vec<_> = value["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["source"].as_str().unwrap())
        .collect();
    assert_eq!(asked, [&right.address().to_string(), &declared]);
    assert_eq!(
        (&value["clock"]["agreeing"], &value["clock"]["contested"]),
        (&Value::from(2), &Value::from(false)),
        "{value}"
    );
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(warnings.contains("use sources that all smear, or none that does"), "{warnings}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let servers = [ahead(0), ahead(0)];
    let coloured = |options: &[&str]| probe(&[&servers[0], &servers[1]], options).stdout.contains(&0x1b);
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&["--color", "always"]));
    assert!(!coloured(&["--color", "never"]));
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let servers = [ahead(0), ahead(0)];
    let mut child = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .arg("probe")
        .args(QUICK)
        .args(servers.iter().map(|server| server.address().to_string()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    child.wait().unwrap();
    assert!(!complaint.contains("panicked"), "{complaint}");
}
