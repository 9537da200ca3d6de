//! The programs in examples/, as processes of their own. `cargo test --test NAME` builds none of them, so they are built here: in no
//! time where `cargo test` has just done that.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The features that this test was built with: with others everything would be built again.
const FEATURES: &[(&str, bool)] = &[
    ("backup", cfg!(feature = "backup")),
    ("cli", cfg!(feature = "cli")),
    ("default", cfg!(feature = "default")),
    ("embedded", cfg!(feature = "embedded")),
    ("inventory", cfg!(feature = "inventory")),
    ("migration", cfg!(feature = "migration")),
    ("ntp", cfg!(feature = "ntp")),
    ("postgres", cfg!(feature = "postgres")),
    ("pskc", cfg!(feature = "pskc")),
    ("qr", cfg!(feature = "qr")),
    ("redis", cfg!(feature = "redis")),
    ("redis-tls", cfg!(feature = "redis-tls")),
    ("seal", cfg!(feature = "seal")),
    ("serde", cfg!(feature = "serde")),
    ("watch", cfg!(feature = "watch")),
];

/// The names in Cargo.toml's section of features.
fn declared() -> impl Iterator<Item = &'static str> {
    let section = include_str!("../../Cargo.toml").split_once("[features]\n").expect("it has features").1;
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.split_once(" = ")?.0))
}

/// Where the example's program is.
pub(crate) fn build(name: &str) -> PathBuf {
    for feature in declared() {
        assert!(FEATURES.iter().any(|(known, _)| *known == feature), "FEATURES lacks {feature}");
    }
    let features: Vec<&str> = FEATURES.iter().filter(|(_, on)| *on).map(|(feature, _)| *feature).collect();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says of this test would have ring's build script run anew.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(&*name);
        }
    }
    let output = cargo
        .args([
            "build",
            "--quiet",
            "--message-format=json-render-diagnostics",
            "--no-default-features",
            "--example",
            name,
        ])
        .args(["--features", &features.join(",")])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{name} can't be built, see above");
    let messages = String::from_utf8(output.stdout).expect("UTF-8");
    let mut built = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let program = message["executable"].as_str()?;
        (message["target"]["name"] == name).then(|| program.into())
    });
    built.next_back().expect("cargo says where it is")
}
