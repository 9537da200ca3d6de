//! Matching is constant time, in what the compiler made of it. The program in `tests/constant_time` is built as embedders may
//! build, in three ways, and of each
//!
//! 1. memcheck must see no branch and no address that depends on a secret (the method of ctgrind, Langley 2010). Secrets
//!    are marked undefined: the key, hence the right codes, and the watermark;
//! 2. the disassembly of `scan` and `scan_ahead`, with all that they call, must have no division, which memcheck can't see.
//!
//! Code that leaks on purpose is in the same program and must be found, or finding nothing means nothing.
//! Valgrind has no SHA instructions, so it sees the portable compressions; `tests/constant_time/benches/dudect.rs` times the others.

#[path = "constant_time/disassembly.rs"]
mod disassembly;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use disassembly::{Disassembly, Reached};

/// The optimised program and what memcheck says of it.
struct Checked {
    program: PathBuf,
    cases: Vec<Case>,
    /// Memcheck's own words.
    log: String,
}

/// What was run, and how often memcheck reported something meanwhile.
#[derive(Debug)]
struct Case {
    kind: String,
    name: String,
    reports: usize,
}

impl Checked {
    fn of(profile: &str) -> Self {
        let program = build(profile);
        let output = Command::new("valgrind")
            .args(["--tool=memcheck", "--quiet", "--error-limit=no", "--num-callers=8"])
            .arg(&program)
            .output()
            .expect("valgrind");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        let cases = String::from_utf8_lossy(&output.stdout).lines().map(case).collect();
        Self { program, cases, log }
    }

    fn of_kind(&self, kind: &str) -> Vec<&Case> {
        let cases: Vec<&Case> = self.cases.iter().filter(|case| case.kind == kind).collect();
        assert!(!cases.is_empty(), "no case of the kind {kind}");
        cases
    }

    fn matching_makes_no_report(&self) {
        let cases = self.of_kind("silent");
        let tokens = ["SHA1, 6", "SHA1, 7", "SHA1, 8", "SHA1, Steam", "SHA256, 8", "SHA512, 8"];
        for needed in tokens.into_iter().chain([" 3 steps", " 241 steps", " look-ahead of 100"]) {
            assert!(cases.iter().any(|case| case.name.contains(needed)), "no case with {needed}");
        }
        let reported: Vec<_> = cases.iter().filter(|case| case.reports > 0).collect();
        let log: Vec<_> = self.log.lines().take(40).collect();
        assert!(reported.is_empty(), "{} cases: {:#?}\n{}", reported.len(), reported.first(), log.join("\n"));
        println!("{} cases, no report", cases.len());
    }

    /// Whether a text ends in padding and whether it is valid is told, in a branch each: is it base32, and could it be
    /// written otherwise? A branch for each character would make more reports of longer texts.
    fn reading_base32_reports_validity_alone(&self) {
        let cases = self.of_kind("validity");
        let reports: Vec<_> = cases.iter().map(|case| case.reports).collect();
        println!("{cases:#?}");
        assert!(reports.iter().all(|&reports| reports <= 3), "{cases:#?}\n{}", self.log);
        assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "{cases:#?}\n{}", self.log);
    }

    fn what_leaks_is_reported(&self) {
        let cases = self.of_kind("control");
        println!("{cases:#?}");
        for name in ["early exit", "truncation by index", "base32 by table", "totp-rs"] {
            let case = cases.iter().find(|case| case.name == name);
            assert!(case.is_some_and(|case| case.reports > 0), "{name} makes no report: {case:?}");
        }
    }

    fn matching_does_not_divide(&self) {
        let disassembly = Disassembly::of(&self.program);
        for name in ["skewgate::otp::matching::scan", "skewgate::otp::matching::scan_ahead"] {
            does_not_divide(&disassembly.reached_from(name));
        }

        // The same search finds a division two calls away, and totp-rs's.
        let control = disassembly.reached_from("skewgate_constant_time::controls::divides_in_a_callee");
        assert_eq!(dividing(&control), ["skewgate_constant_time::controls::last_digits"]);
    }
}

fn does_not_divide(matching: &Reached<'_>) {
    for function in &matching.functions {
        println!("{:5} instructions: {}", function.instructions.len(), function.name);
    }
    let Reached { imports, panics, .. } = matching;
    println!("from other libraries: {imports:?}; never returning: {panics:?}");

    // It was followed to where the work is done.
    for part in ["sha1::", "sha2::sha256::", "sha2::sha512::"] {
        let found = matching.functions.iter().any(|function| function.name.starts_with(part));
        assert!(found, "{part} isn't called by what was disassembled");
    }
    // Nothing is done elsewhere: these only move bytes of public number, or unwind.
    let known = ["memcpy", "memmove", "memset", "_Unwind_Resume"];
    let unknown: Vec<_> = imports.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} can't be looked into");
    assert_eq!(dividing(matching), [""; 0]);
}

fn dividing<'d>(reached: &Reached<'d>) -> Vec<&'d str> {
    let divide = reached.functions.iter().filter(|function| function.divides());
    divide.map(|function| function.name.as_str()).collect()
}

fn build(profile: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("constant_time");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--profile",
            profile,
            "--manifest-path",
            "tests/constant_time/Cargo.toml",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join(profile).join("skewgate-constant-time")
}

/// Of a kind, a number of reports and a name, with tabs between them.
fn case(line: &str) -> Case {
    let mut fields = line.splitn(3, '\t').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_else(|| panic!("three fields in {line:?}"));
    let (kind, reports) = (field(), field());
    Case { kind, reports: reports.parse().expect("a number"), name: field() }
}

macro_rules! built {
    ($($(#[doc = $how:literal])* $profile:ident)*) => {$(
        $(#[doc = $how])*
        mod $profile {
            use super::*;

            /// Built and run once for all tests.
            fn checked() -> &'static Checked {
                static CHECKED: OnceLock<Checked> = OnceLock::new();
                CHECKED.get_or_init(|| Checked::of(stringify!($profile)))
            }

            #[test]
            #[ignore = "needs valgrind: ./tests/run"]
            fn matching_makes_no_report() {
                checked().matching_makes_no_report();
            }

            #[test]
            #[ignore = "needs valgrind: ./tests/run"]
            fn reading_base32_reports_validity_alone() {
                checked().reading_base32_reports_validity_alone();
            }

            #[test]
            #[ignore = "needs valgrind: ./tests/run"]
            fn what_leaks_is_reported() {
                checked().what_leaks_is_reported();
            }

            #[test]
            #[ignore = "needs valgrind and objdump: ./tests/run"]
            fn matching_does_not_divide() {
                checked().matching_does_not_divide();
            }
        }
    )*};
}

built! {
    /// As cargo does where nobody says anything.
    release
    /// The whole program optimised at once.
    whole
    /// Optimised for size, where a division by a constant is one.
    size
}
