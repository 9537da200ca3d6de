//! `skew-check explain` against time servers, scripted and real: the helpdesk's answer, its exit status, and what it never
//! prints.

mod support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use skewgate::ntp::{Responder, Script};
use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::time::{LocalClock, SignedDuration, Timestamp, os::OsClock};
use support::chronyd::Chronyd;

const KEY: &[u8] = b"12345678901234567890";
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const QUICK: [&str; 6] = ["--samples", "2", "--interval", "10ms", "--timeout", "150ms"];

fn totp() -> Totp {
    Totp::builder(&Secret::from_bytes(KEY).expect("20 bytes")).build().expect("the defaults")
}

fn code_at(time: Timestamp) -> String {
    let totp = totp();
    totp.code_at(totp.step_at(time).unwrap_or(TimeStep::ZERO)).expose().to_string()
}

/// What a token shows whose clock is so many seconds ahead of this machine's.
fn shown(ahead: i64) -> String {
    code_at(OsClock.system().realtime + SignedDuration::from_secs(ahead))
}

/// With the secret on standard input.
fn explain(options: &[&str]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_skew-check"))
        .args(["explain", "--secret-file", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // Who refuses the command line may have ended before it read anything.
    let _ = process.stdin.take().expect("a pipe").write_all(BASE32.as_bytes());
    let output = process.wait_with_output().expect("the binary ends");
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(
            !text.contains("GEZDG") && !text.contains("1234567890123") && !text.contains("3132333435"),
            "{text}"
        );
    }
    output
}

fn json(options: &[&str]) -> (Value, i32) {
    let output = explain(&[&["--format", "json"], options].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (value, output.status.code().expect("a status"))
}

fn asking(servers: &[String]) -> Vec<&str> {
    let sources = servers.iter().flat_map(|address| ["--source", address]);
    QUICK.into_iter().chain(sources).collect()
}

fn serve(ahead: i64) -> Responder {
    let script = Script::ahead_by(SignedDuration::from_secs(ahead));
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

/// Bounds that a test can hold although a step may end while it runs: the clock of a token whose code was just shown.
fn assert_ahead(value: &Value, of_true_time: i64) {
    let nanos = |field: &str| value["fit"][field].as_i64().unwrap_or_else(|| panic!("{value}"));
    let ahead = of_true_time * 1_000_000_000;
    assert!(nanos("token_ahead_from_ns") <= ahead, "{value}");
    assert!(ahead <= nanos("token_ahead_to_ns"), "{value}");
}

fn a_slow_host_is_not_the_tokens_fault(servers: &[String]) {
    // True time is 40 s ahead of this machine's clock, and so is a right token.
    let code = shown(40);
    let (value, status) = json(&[&asking(servers)[..], &[&code]].concat());
    assert_eq!((status, &value["verdict"], &value["cause"]), (0, &"accepted".into(), &"accepted".into()));
    assert_eq!(value["clock"]["measured"], true);
    let offset = value["clock"]["offset_ns"].as_i64().expect("a number") - 40_000_000_000;
    assert!(offset.abs() < 50_000_000, "{value}");
    assert_ahead(&value, 0);

    // One that is as wrong as the host is 40 s behind, which an hour is not.
    let (value, status) = json(&[&asking(servers)[..], &[&shown(40 - 3_600)]].concat());
    assert_eq!((status, &value["cause"]), (1, &"too_old".into()));
    assert_ahead(&value, -3_600);
    assert!(value["advice"].as_str().expect("text").contains("time zone"), "{value}");
    assert!(value["fit"]["steps_off"].as_i64().expect("a number") < -110, "{value}");
}

#[test]
fn a_host_that_is_measured_to_be_slow_is_not_the_tokens_fault() {
    let servers = [serve(40), serve(40), serve(40)];
    a_slow_host_is_not_the_tokens_fault(&servers.each_ref().map(|server| server.address().to_string()));
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn chronyds_that_are_ahead_say_so_of_this_host_and_not_of_the_token() {
    let honest = Chronyd::honest(3);
    let ahead = [Chronyd::offset_from(&honest, 40.0), Chronyd::offset_from(&honest, 40.0)];
    a_slow_host_is_not_the_tokens_fault(&ahead.each_ref().map(|server| server.address().to_string()));
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn a_lying_minority_of_chronyds_changes_no_answer() {
    let honest = [Chronyd::honest(3), Chronyd::honest(3), Chronyd::honest(3)];
    let liar = Chronyd::offset_from(&honest[0], 3_600.0);
    let servers: Vec<String> =
        honest.iter().chain([&liar]).map(|server| server.address().to_string()).collect();
    let (value, status) = json(&[&asking(&servers)[..], &[&shown(0)]].concat());
    assert_eq!((status, &value["cause"]), (0, &"accepted".into()), "{value}");
    let (value, status) = json(&[&asking(&servers)[..], &[&shown(3_600)]].concat());
    assert_eq!((status, &value["cause"]), (1, &"too_new".into()), "{value}");
}

#[test]
fn where_nobody_knows_the_time_the_answer_is_unknown_and_the_fit_is_shown_all_the_same() {
    let servers = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
    let (value, status) = json(&[&asking(&servers)[..], &[&shown(0)]].concat());
    assert_eq!((status, &value["verdict"], &value["cause"]), (3, &"unknown".into(), &"time_unknown".into()));
    assert_eq!(value["clock"], Value::Null);
    assert_eq!(value["fit"]["steps_off"], 0);
}

#[test]
fn what_is_not_said_is_null_and_every_field_is_there() {
    let (value, _) = json(&["--clock-error", "1s", &shown(0)]);
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(value["schema"], "skew-check/explain/1");
    let fields = [
        "advice",
        "alternative",
        "apart",
        "cause",
        "clock",
        "fit",
        "reason",
        "schema",
        "token",
        "tried_at",
        "verdict",
        "window",
    ];
    assert_eq!(names(&value), fields);
    let (nothing, status) = json(&["--clock-error", "1s", "1234"]);
    assert_eq!((status, names(&nothing)), (3, fields.map(String::from).to_vec()));
    assert_eq!(nothing["cause"], Value::Null);
    for (object, fields) in [
        ("clock", &["earliest", "half_width_ns", "latest", "measured", "offset_ns"][..]),
        (
            "token",
            &[
                "algorithm",
                "drift_deviation_ns",
                "drift_ns",
                "format",
                "length",
                "not_before",
                "period_s",
                "state_known",
                "t0",
                "watermark",
            ],
        ),
        ("window", &["learned_left_out", "ranges", "width"]),
        (
            "fit",
            &[
                "luck_e18",
                "other_steps",
                "shown_from",
                "step",
                "steps_off",
                "token_ahead_best_ns",
                "token_ahead_from_ns",
                "token_ahead_to_ns",
                "used",
            ],
        ),
    ] {
        assert_eq!(names(&value[object]), fields, "{object}");
    }
}

/// The steps next to the one that fits have codes of their own: nobody learns them here.
#[test]
fn no_code_is_printed() {
    let at: Timestamp = "2026-06-01T12:00:05Z".parse().expect("a time");
    for (ahead, options) in [(0, &[][..]), (-300, &[]), (0, &["--digits", "8"]), (0, &["--format", "json"])] {
        let code = code_at(at + SignedDuration::from_secs(ahead));
        let output =
            explain(&[&["--clock-error", "1s", "--at", "2026-06-01T12:00:05Z", &code], options].concat());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!text.is_empty());
        for seconds in (-900..900).step_by(30) {
            let code = code_at(at + SignedDuration::from_secs(seconds));
            assert!(!text.contains(&code), "{code}: {text}");
        }
    }
}
