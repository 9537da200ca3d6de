//! The examples that end by themselves, as somebody runs them. examples/login_service has a test of its own.

#[path = "support/example.rs"]
mod example;

use std::process::{Command, Stdio};

/// What it prints, where it ends well.
fn run(name: &str, directory: &std::path::Path) -> String {
    let mut program = Command::new(example::build(name));
    let output = program.env("TMPDIR", directory).stdin(Stdio::null()).output().expect("it runs");
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    assert!(output.status.success(), "{name}: {shown}");
    shown
}

#[test]
fn synchronous_code_logs_users_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let shown = run("login", directory.path());
    let expected = "a code: welcome\n\
         it again: that code was used, please wait for the next one\n\
         another: that code is wrong, please try again\n";
    assert_eq!(shown, expected);
}

#[test]
fn a_store_of_ones_own_remembers_from_one_process_to_the_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = run("custom_store", directory.path());
    let second = run("custom_store", directory.path());
    assert!(first.starts_with("Ok(Enrolment {"), "{first}");
    assert!(second.starts_with("Err(AlreadyEnrolled)"), "{second}");
    // The code of the enrolment, or at the second time that of the same step or the next.
    assert!(first.contains("reason: Replay"), "{first}");
    assert!(second.contains("reason: Replay") || second.contains("Accepted("), "{second}");
}
