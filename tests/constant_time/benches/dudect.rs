//! Does the time that matching takes tell where a code fits, or that it fits nowhere? Welch's t-test says
//! (Reparaz, Balasch, Verbauwhede 2017, "Dude, is my code constant time?"), on this processor, with its own instructions for SHA.
//!
//! `cargo bench --bench dudect` makes five runs and prints for each pair of classes the largest |t| of any of them. Its
//! status is 1 where |t| reaches 4.5, or where a search that returns at the first match doesn't reach 50 in each run.
//!
//! Both classes of a pair differ in the code's value alone: which class is next is drawn at random, the code is
//! copied to the same place, and only the search is timed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io;
use std::process::{Command, ExitCode, Stdio};

use dudect_bencher::ctbench::{BenchMetadata, BenchName, BenchOpts, run_benches_console};
use dudect_bencher::rand::Rng;
use dudect_bencher::{BenchRng, Class, CtRunner};
use skewgate::otp::{
    Algorithm, Code, Consecutive, Digits, Hotp, Secret, StepRange, TimeStep, Totp, scan, scan_ahead,
};
use skewgate_constant_time::controls;

const RUNS: usize = 5;
const SAMPLES: usize = 1_000_000;
/// Below it nothing is told apart.
const INDISTINCT: f64 = 4.5;
/// What the control must reach for the measurement to count.
const DISTINCT: f64 = 50.0;
const CONTROL: &str = "early exit: first, last";
/// In the process that measures.
const ONE_RUN: &str = "one-run";

fn main() -> io::Result<ExitCode> {
    if std::env::args().any(|argument| argument == ONE_RUN) {
        run_benches_console(BenchOpts::default(), benches())?;
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(target_arch = "x86_64")]
    println!("SHA instructions: {}", std::arch::is_x86_feature_detected!("sha"));

    // The bencher prints what it finds and returns nothing: each run is a process whose output is read.
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..RUNS {
        let output = Command::new(std::env::current_exe()?).arg(ONE_RUN).stderr(Stdio::inherit()).output()?;
        let output = String::from_utf8_lossy(&output.stdout);
        print!("{output}");
        for (name, t) in output.lines().filter_map(result) {
            found.entry(name.to_owned()).or_default().push(t);
        }
    }
    println!("\n{SAMPLES} samples a run; t of each run; the largest |t|");
    let mut holds = found.len() == benches().len() && found.values().all(|ts| ts.len() == RUNS);
    for (name, ts) in &found {
        let sizes = || ts.iter().map(|t| t.abs());
        let largest = sizes().fold(0.0, f64::max);
        let each: Vec<String> = ts.iter().map(|t| format!("{t:+.2}")).collect();
        println!("{name:28} {}   {largest:.2}", each.join(" "));
        holds &= if name == CONTROL { sizes().all(|t| t > DISTINCT) } else { largest < INDISTINCT };
    }
    println!("{}", if holds { "nothing is told apart but by the control" } else { "FAILED" });
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of "bench SHA1: first, last ... : n == +0.996M, max t = -1.98, max tau = …".
fn result(line: &str) -> Option<(&str, f64)> {
    let (name, rest) = line.strip_prefix("bench ")?.split_once(" ... : ")?;
    let (_, t) = rest.split_once("max t = ")?;
    Some((name.trim_end(), t.split_once(',')?.0.parse().ok()?))
}

fn benches() -> Vec<BenchMetadata> {
    let bench = |name, benchfn| BenchMetadata { name: BenchName(name), seed: None, benchfn };
    vec![
        bench("SHA1: first, last", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha1), [FIRST, LAST])
        }),
        bench("SHA1: first, none", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha1), [FIRST, NONE])
        }),
        bench("SHA1: last, none", |runner, rng| matching(runner, rng, &token(Algorithm::Sha1), [LAST, NONE])),
        bench("SHA256: first, last", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha256), [FIRST, LAST])
        }),
        bench("SHA256: first, none", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha256), [FIRST, NONE])
        }),
        bench("SHA256: last, none", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha256), [LAST, NONE])
        }),
        bench("SHA512: first, last", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha512), [FIRST, LAST])
        }),
        bench("SHA512: first, none", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha512), [FIRST, NONE])
        }),
        bench("SHA512: last, none", |runner, rng| {
            matching(runner, rng, &token(Algorithm::Sha512), [LAST, NONE])
        }),
        bench("Steam: first, none", |runner, rng| matching(runner, rng, &steam(), [FIRST, NONE])),
        bench("ahead: first, none", look_ahead),
        bench(CONTROL, |runner, rng| {
            let totp = token(Algorithm::Sha1);
            let codes = [FIRST, LAST].map(|place| code(&totp, place));
            compare(runner, rng, &codes, |code| controls::early_exit(&totp, window(), code));
        }),
    ]
}

const START: i64 = 59_000_000;
const FIRST: i64 = START;
const LAST: i64 = START + 2;
/// No step of the window.
const NONE: i64 = START + 100;

fn matching(runner: &mut CtRunner, rng: &mut BenchRng, totp: &Totp, places: [i64; 2]) {
    let codes = places.map(|place| code(totp, place));
    // They are what they are called.
    for (code, place) in codes.iter().zip(places) {
        let found = scan(totp, &[window()], None, Consecutive::from(code)).fresh;
        assert_eq!(found.map(TimeStep::get), (place != NONE).then_some(place));
    }
    let window = black_box([window()]);
    compare(runner, rng, &codes, |code| scan(black_box(totp), &window, None, Consecutive::from(code)));
}

/// Of a counter-based token: the next ten codes (RFC 4226 §7.4).
fn look_ahead(runner: &mut CtRunner, rng: &mut BenchRng) {
    const NEXT: u64 = 4711;
    const LOOK_AHEAD: u16 = 10;
    let hotp = Hotp::new(&secret(Algorithm::Sha1), Algorithm::Sha1, Digits::SIX);
    let search = |code: &Code| {
        scan_ahead(black_box(&hotp), black_box(NEXT), black_box(LOOK_AHEAD), Consecutive::from(code))
    };
    let codes = [NEXT, NEXT + 100].map(|counter| hotp.code_at(counter));
    let found = codes.each_ref().map(|code| search(code).next_counter);
    assert_eq!(found, [Some(NEXT + 1), None]);
    compare(runner, rng, &codes, search);
}

fn compare<T>(runner: &mut CtRunner, rng: &mut BenchRng, codes: &[Code; 2], search: impl Fn(&Code) -> T) {
    for _ in 0..SAMPLES {
        let right = rng.next_u32() & 1;
        let code = black_box(codes[right as usize].clone());
        runner.run_one(if right == 1 { Class::Right } else { Class::Left }, || search(black_box(&code)));
    }
}

fn token(algorithm: Algorithm) -> Totp {
    let secret = secret(algorithm);
    Totp::builder(&secret).algorithm(algorithm).digits(Digits::SIX).build().expect("the usual period")
}

fn steam() -> Totp {
    Totp::builder(&secret(Algorithm::Sha1)).steam().build().expect("the usual period")
}

fn secret(algorithm: Algorithm) -> Secret {
    let key: Vec<u8> = (1..=u8::MAX).cycle().take(algorithm.secret_bytes()).collect();
    Secret::from_bytes(&key).expect("the recommended length")
}

fn code(totp: &Totp, step: i64) -> Code {
    totp.code_at(TimeStep::new(step).expect("steps of this century"))
}

fn window() -> StepRange {
    TimeStep::new(FIRST)
        .zip(TimeStep::new(LAST))
        .and_then(|(first, last)| StepRange::new(first, last))
        .expect("in order")
}
