//! A node: it does what it is told on its standard input, and says what it was answered on its standard output.

use std::future::{Future, poll_fn};
use std::io::{BufRead, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use fastrand::Rng;
use skewgate::store::StateStore;
use skewgate::time::sim::SimTime;
use skewgate::validator::{Advice, Attempt, Validator, Verdict};
use tokio::runtime::Builder;

use super::{Shown, TOKENS, URL, code, current, now, token, word};

/// How many attempts on each token a node has at a time.
const ATTEMPTS: u64 = 6;

/// A store that is being opened.
type Opening = Pin<Box<dyn Future<Output = Arc<dyn StateStore>>>>;

/// Is a node, if that is what this process was started for; otherwise there is nothing to do. `open` makes the store that a URL
/// names.
pub(crate) fn work(open: impl FnOnce(String) -> Opening) {
    let Ok(url) = std::env::var(URL) else { return };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let time = Arc::new(SimTime::new(now(0)));
        let gate = Validator::builder(open(url).await, time.clone()).build().unwrap();
        say("ready");
        for line in std::io::stdin().lock().lines() {
            let line = line.unwrap();
            let order: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| order[at].parse::<u64>().unwrap();
            let round = i64::try_from(number(1)).unwrap();
            time.set(Ok(now(round)));
            match order[0] {
                "contend" => contend(&gate, round, Rng::with_seed(number(2)), order[3] == "dropping").await,
                "flood" => {
                    flood(&gate, round, Rng::with_seed(number(2)), number(3), order[4] == "owner").await
                }
                order => panic!("what is {order}?"),
            }
            say("done");
        }
    });
}

/// In one write, which a pipe takes whole: a killed process leaves no half of a line. The test harness has written to this
/// line already, so every line of ours begins with a mark.
fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{words}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn contend(gate: &Validator, round: i64, mut random: Rng, dropping: bool) {
    let mut tasks = Vec::new();
    for at in 0..ATTEMPTS * TOKENS as u64 {
        let token = usize::try_from(at).unwrap() % TOKENS;
        let shown = match random.u64(..16) {
            0..6 => Shown::Current,
            6..10 => Shown::Previous,
            10..15 => Shown::Wrong,
            _ => Shown::Half,
        };
        let attempt = shown.attempt(token, round, random.u64(..)).from_client(&format!("client {}", at % 5));
        let patience = if dropping && random.u64(..4) == 0 { random.u64(..24) } else { u64::MAX };
        let gate = gate.clone();
        tasks.push(tokio::spawn(async move {
            let token_row = super::token(token);
            // Given up after so many polls, whatever it was doing.
            let verdict = polled(gate.validate(Some(&token_row), &attempt), patience).await;
            if let Some(verdict) = verdict {
                tell(token, shown, &verdict);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

fn tell(token: usize, shown: Shown, verdict: &Verdict) {
    let price = verdict.events().first().unwrap().price.units();
    let (answer, step) = match verdict {
        Verdict::Accepted(accepted) => ("accepted", accepted.step.get()),
        Verdict::Refused(refused) => (word(refused.reason()), 0),
    };
    say(&format!("verdict {token} {} {answer} {step} {price}", shown.name()));
    if let Verdict::Refused(refused) = verdict
        && word(refused.reason()) == "other"
    {
        eprintln!("{}", refused.reason());
    }
}

/// What `future` gives if it is ready within so many polls; otherwise it is dropped.
async fn polled<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Wrong codes at the first token, as many at a time as there are; and the owner of that token, who does what the advice is.
async fn flood(gate: &Validator, round: i64, mut random: Rng, wrong: u64, owner: bool) {
    let mut tasks = Vec::new();
    for _ in 0..wrong {
        let attempt = Shown::Wrong.attempt(0, round, random.u64(..)).from_client("flood");
        let gate = gate.clone();
        tasks.push(tokio::spawn(async move {
            let verdict = gate.validate(Some(&token(0)), &attempt).await;
            assert!(!verdict.is_accepted());
            tell(0, Shown::Wrong, &verdict);
        }));
    }
    if owner {
        let codes = [code(0, current(round) - 1), code(0, current(round))];
        let mut attempt = Attempt::one(codes[1].clone());
        for tried in 1..=4 {
            match gate.validate(Some(&token(0)), &attempt.clone().from_client("owner")).await {
                Verdict::Accepted(_) => {
                    say(&format!("owner {tried}"));
                    break;
                }
                Verdict::Refused(refused) => {
                    eprintln!("the owner's try {tried}: {} {:?}", refused.reason(), refused.advice());
                    if refused.advice() == Advice::ShowConsecutive(2) {
                        attempt = Attempt::consecutive(codes.clone()).unwrap();
                    }
                }
            }
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}
