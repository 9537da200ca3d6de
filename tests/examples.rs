//! The examples that end by themselves, as somebody runs them. examples/login_service has a test of its own.

#[path = "support/example.rs"]
mod example;

use std::process::{Command, Stdio};

/// Its exit code and what it prints.
fn ended(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = Command::new(example::build(name));
    let output = program.args(arguments).stdin(Stdio::null()).output().expect("it runs");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8"))
}

/// What it prints, where it ends well.
fn run(name: &str, arguments: &[&str]) -> String {
    let (code, shown) = ended(name, arguments);
    assert_eq!(code, Some(0), "{name}: {shown}");
    shown
}

#[test]
fn synchronous_code_logs_users_in() {
    let shown = run("login", &[]);
    let expected = "a code: welcome\n\
         it again: that code was used, please wait for the next one\n\
         another: that code is wrong, please try again\n";
    assert_eq!(shown, expected);
}

/// A small one: tests/population.rs looks at the figures.
#[test]
fn the_population_study_takes_its_options() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("study.svg");
    let (file, study) =
        (file.to_str().expect("UTF-8"), ["--seed", "9", "--users", "40", "--years", "1", "--json"]);
    let shown = run("population", &[&study[..], &["--svg", file]].concat());
    let read: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(read["seed"], 9);
    assert_eq!(read["rows"].as_array().map(Vec::len), Some(18));
    assert!(std::fs::read_to_string(file).expect("a picture").starts_with("<svg"));
    assert_eq!(run("population", &study), shown, "a seed decides everything");

    assert!(run("population", &["--help"]).contains("--svg <FILE>"));
    for (wrong, said) in [
        ("--usres", "--users"),
        ("--seed", "a value is required"),
        ("--seed=x", "invalid digit"),
        ("--users=0", "0 is not in 1.."),
    ] {
        let (code, shown) = ended("population", &[wrong]);
        assert!(code == Some(2) && shown.contains(said) && shown.contains("--help"), "{shown}");
    }
}
