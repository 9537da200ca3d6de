//! `skew-check demo`: the main job on loopback, start to end, with the same code that does it in earnest.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use skewgate::block_on;
use skewgate::monitor::Monitor;
use skewgate::ntp::{Options, Pace, Responder, Script, Source};
use skewgate::otp::{Algorithm, Code, Secret, StepRange, TimeStep, Totp, scan};
use skewgate::store::{MemoryStore, StateStore};
use skewgate::time::os::OsClock;
use skewgate::time::sim::{Pretend, SimTime};
use skewgate::time::{LocalClock, SignedDuration, TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Odds, Token, TokenId};
use skewgate::validator::{Advice, Attempt, Validator, Verdict};
use skewgate::window::{Window, WindowPolicy};

use crate::error::CliError;
use crate::output::{BAD, Bounded, GOOD, STRONG, Status, harmless, length, styled, text};

/// How far ahead the lying time server is.
const LIE: SignedDuration = SignedDuration::from_secs(45);
/// How far ahead this host's clock pretends to be: it is slow.
const HOST_AHEAD: SignedDuration = SignedDuration::from_secs(-40);
/// How far ahead the clock of the user's token is.
const TOKEN_AHEAD: SignedDuration = SignedDuration::from_secs(20);
/// When the token was enrolled: a week ago, at another moment of its step.
const ENROLLED: SignedDuration = SignedDuration::from_secs(-7 * 86_400 - 13);

/// Runs it; an error where anything came out otherwise than it should.
pub(crate) fn run() -> Result<Status, CliError> {
    let mut out = anstream::stdout().lock();

    headline(&mut out, "1. Five time servers on loopback: three honest, one lies by 45 s, one is silent")?;
    let servers = serve(&mut out)?;

    headline(&mut out, "2. This host pretends that its clock is 40 s slow, and measures")?;
    let host = Arc::new(Pretend::new(OsClock, HOST_AHEAD));
    let monitor = watch(&servers, Arc::clone(&host) as Arc<dyn LocalClock>)?;
    let now =
        monitor.wait_ready(Duration::from_secs(8)).map_err(|error| failed("measure the time", &error))?;
    show_measurement(&mut out, &monitor)?;

    headline(&mut out, "3. The window that follows")?;
    let secret = Secret::generate(Algorithm::Sha1).map_err(|error| failed("make a secret", &error))?;
    let totp = Totp::builder(&secret).build().map_err(|error| failed("make a token", &error))?;
    let id = TokenId::new("ada").map_err(|error| failed("name a token", &error))?;
    let token = Token::new(id, totp);
    let store = Arc::new(MemoryStore::new());
    enrol(&store, &token, now)?;
    show_window(&mut out, &store, &token, now, host.system().realtime)?;

    headline(&mut out, "4. Ada logs in")?;
    let time: Arc<dyn TimeSource> = Arc::new(monitor);
    let gate = gate(store, Arc::clone(&time))?;
    log_in(&mut out, &gate, &token, &*time, host.system().realtime)?;
    out.flush()?;
    Ok(Status::Ok)
}

fn headline(out: &mut impl Write, text: &str) -> Result<(), CliError> {
    writeln!(out, "\n{}\n", styled(STRONG, text))?;
    Ok(out.flush()?)
}

fn failed(step: &'static str, error: &dyn std::fmt::Display) -> CliError {
    CliError::Demo { step, detail: error.to_string() }
}

fn serve(out: &mut impl Write) -> Result<Vec<Responder>, CliError> {
    let honest = || ("honest", Script::default());
    let scripts =
        [honest(), honest(), honest(), ("lies", Script::ahead_by(LIE)), ("silent", Script::silent())];
    let mut servers = Vec::new();
    for (what, script) in scripts {
        let server = Responder::spawn(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script, OsClock)
            .map_err(|error| failed("start its time servers", &error))?;
        writeln!(out, "  {:<16} {what}", server.address())?;
        servers.push(server);
    }
    Ok(servers)
}

fn watch(servers: &[Responder], host: Arc<dyn LocalClock>) -> Result<Monitor, CliError> {
    let pace =
        Pace { interval: Duration::from_millis(50), timeout: Duration::from_millis(700), ..Pace::default() };
    Monitor::builder()
        .sources(servers.iter().map(|server| Source::new(server.address().into())))
        .options(Options { pace, ..Options::default() })
        .clock(host)
        .spawn()
        .map_err(|error| failed("start its monitor", &error))
}

fn show_measurement(out: &mut impl Write, monitor: &Monitor) -> Result<(), CliError> {
    let (Some(measurement), Some(estimate)) = (monitor.last_measurement(), monitor.estimate()) else {
        return Err(failed("measure the time", &"there is no measurement"));
    };
    text::print_sources(out, &measurement.reports, false)?;
    let offset = estimate
        .system_offset(&measurement.reading, measurement.suspended)
        .map(Bounded::new)
        .map_err(|error| failed("measure the time", &error))?;
    writeln!(
        out,
        "\n{} of {} configured sources agree; the interval holds even if {} of those that answered lies.",
        estimate.agreeing(),
        estimate.configured(),
        estimate.tolerated_liars(),
    )?;
    writeln!(out, "This clock is {} behind, give or take {}.", offset.magnitude(), offset.half_width(),)?;
    Ok(())
}

/// A validator on a store; several can share one.
fn gate(store: Arc<MemoryStore>, time: Arc<dyn TimeSource>) -> Result<Validator, CliError> {
    Validator::builder(store, time).build().map_err(|error| failed("make its validator", &error))
}

/// Enrols the token with a code that it showed a week ago.
fn enrol(store: &Arc<MemoryStore>, token: &Token, now: TimeInterval) -> Result<(), CliError> {
    let a_week_ago = TimeInterval::around(now.midpoint() + ENROLLED, now.half_width());
    let code = code_shown(token, a_week_ago.midpoint())?;
    let past = gate(Arc::clone(store), Arc::new(SimTime::new(a_week_ago)))?;
    block_on(past.enrol(token, &Attempt::one(code))).map_err(|error| failed("enrol its token", &error))?;
    Ok(())
}

/// The code that the token shows at a true time: its own clock is ahead.
fn code_shown(token: &Token, truth: Timestamp) -> Result<Code, CliError> {
    let step =
        token.totp().step_at(truth + TOKEN_AHEAD).ok_or_else(|| failed("find a step", &"before T0"))?;
    Ok(token.totp().code_at(step))
}

fn show_window(
    out: &mut impl Write,
    store: &MemoryStore,
    token: &Token,
    now: TimeInterval,
    host_clock: Timestamp,
) -> Result<(), CliError> {
    let totp = token.totp();
    let loaded =
        block_on(store.load(token.key())).map_err(|error| failed("load the token's state", &error))?;
    let Some(state) = loaded.row.token else {
        return Err(failed("load the token's state", &"there is none"));
    };
    let policy = WindowPolicy::default();
    let window = Window::compute(&policy, totp.period(), totp.t0(), &now, &state.drift, 1)
        .map_err(|error| failed("compute the window", &error))?;
    let deviation = state.drift.deviation_at(policy.drift_model(), now.latest());
    writeln!(
        out,
        "Ada's token runs 20 s ahead; nobody told this gate. From the one code that enrolled it a week ago, the gate"
    )?;
    writeln!(
        out,
        "learned {} ± {}. A clock that was set right meanwhile would get in too.",
        state.drift.mean(),
        length(deviation.saturating_mul(policy.sigmas())),
    )?;
    // Shown to the millisecond, the later end rounded up: what is shown contains what is known.
    let latest = now.latest() + SignedDuration::from_nanos(999_999);
    writeln!(out, "\n  true time is in   {:.3} .. {latest:.3}", now.earliest())?;
    writeln!(out, "  this clock shows  {host_clock:.3}")?;
    let ranges: Vec<_> =
        window.ranges().iter().map(|range| format!("{} ..= {}", range.first(), range.last())).collect();
    writeln!(out, "  steps to try      {} ({} of them)", ranges.join(" and "), window.width())?;
    let fixed = fixed_window(totp, host_clock)?;
    writeln!(out, "  a fixed ±1        {} ..= {} by this clock", fixed.first(), fixed.last())?;
    Ok(())
}

/// What a validator with a fixed window of ±1 step tries when it believes its host's clock.
fn fixed_window(totp: &Totp, host_clock: Timestamp) -> Result<StepRange, CliError> {
    let present = totp.step_at(host_clock);
    present
        .and_then(|step| StepRange::new(step.checked_sub(1)?, step.saturating_add(1)))
        .ok_or_else(|| failed("find a step", &"before T0"))
}

fn log_in(
    out: &mut impl Write,
    gate: &Validator,
    token: &Token,
    time: &dyn TimeSource,
    host_clock: Timestamp,
) -> Result<(), CliError> {
    let now = time.now().map_err(|error| failed("tell the time", &error))?.midpoint();
    let right = code_shown(token, now)?;
    let fixed = scan(token.totp(), &[fixed_window(token.totp(), host_clock)?], None, (&right).into());
    let verdict = if fixed.fresh.is_some() { styled(BAD, "lets it in") } else { styled(BAD, "refuses it") };
    writeln!(out, "  {:<26} a fixed ±1 on this clock {verdict}", "the code that she sees")?;

    let old = code_shown(token, now - SignedDuration::from_secs(600))?;
    let wrong = wrong_code(token, now)?;
    let mut expect = |what: &str, code: Code, accepted: bool| -> Result<(), CliError> {
        let verdict = block_on(gate.validate(Some(token), &Attempt::one(code)));
        show_verdict(out, what, &verdict)?;
        if verdict.is_accepted() == accepted {
            Ok(())
        } else {
            Err(failed("get the verdict that it expected", &what))
        }
    };
    expect("the same, at this gate", right.clone(), true)?;
    expect("the same once more", right, false)?;
    expect("a wrong code", wrong, false)?;
    expect("a code of ten minutes ago", old, false)?;
    writeln!(
        out,
        "\nEvery wrong code pays its odds out of a small budget; when it is spent, two consecutive codes are"
    )?;
    writeln!(
        out,
        "asked for, a million times harder to guess. No clock was touched, nothing left this machine."
    )?;
    Ok(())
}

/// A code that fits no step near now.
fn wrong_code(token: &Token, now: Timestamp) -> Result<Code, CliError> {
    let nowhere = || failed("find a wrong code", &"every one is right");
    let middle = token.totp().step_at(now).ok_or_else(nowhere)?;
    let near = StepRange::new(middle.checked_sub(40).unwrap_or(TimeStep::ZERO), middle.saturating_add(40));
    let near = [near.ok_or_else(nowhere)?];
    (0..100)
        .filter_map(|number| Code::parse(&format!("{number:06}")).ok())
        .find(|code| scan(token.totp(), &near, None, code.into()).right_at_best == 0)
        .ok_or_else(nowhere)
}

fn show_verdict(out: &mut impl Write, what: &str, verdict: &Verdict) -> Result<(), CliError> {
    let outcomes: Vec<&str> = verdict.events().iter().map(|event| event.outcome.name()).collect();
    let paid: Vec<String> = verdict
        .events()
        .iter()
        .filter(|event| event.price != Odds::ZERO)
        .map(|event| format!(", which pays {}", event.price))
        .collect();
    match verdict {
        Verdict::Accepted(accepted) => writeln!(
            out,
            "  {what:<26} {}: step {}, and never again; the token is now taken to be {} off",
            styled(GOOD, "accepted"),
            accepted.step,
            accepted.drift.mean(),
        )?,
        Verdict::Refused(refused) => writeln!(
            out,
            "  {what:<26} {}: {}{}; the user is told to {}",
            styled(BAD, "refused"),
            outcomes.join(", "),
            paid.concat(),
            harmless(&in_words(refused.advice())),
        )?,
    }
    Ok(())
}

fn in_words(advice: Advice) -> String {
    match advice {
        Advice::TryAgain => "try again".into(),
        Advice::ShowConsecutive(count) => format!("type {count} codes, one after the other"),
        Advice::WaitForNextCode => "wait for the next code".into(),
        Advice::RetryAfter(wait) => format!("come back in {}", length(wait)),
        _ => "call the operator".into(),
    }
}
