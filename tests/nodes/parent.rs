//! Who starts nodes, tells them what to do, kills them, and checks what they were answered.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use skewgate::store::StateStore;
use skewgate::time::sim::SimTime;
use skewgate::token::{Bucket, Budget, Charge, Odds};
use skewgate::validator::{Attempt, Validator};

use super::{NODE, TOKENS, URL, code, current, now, token};

/// How many nodes there are.
const NODES: usize = 4;

/// How many wrong codes a flood is.
const FLOOD: usize = 256;

/// No measurement: a node that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What befalls a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: every price is in the budget, and no other.
    None,
    /// Futures are dropped, and nodes killed.
    Deaths,
    /// The store's server or the network breaks: every price that was told is in the budget.
    Outside,
}

/// A process; it is killed when dropped.
struct Node {
    process: Child,
    orders: ChildStdin,
    words: Receiver<String>,
}

impl Node {
    fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([NODE, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, words) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(words) = line.strip_prefix('@') {
                    let _ = sender.send(words.to_owned());
                }
            }
        });
        let mut node = Self { process, orders, words };
        assert_eq!(node.next().as_deref(), Some("ready"), "a node that doesn't begin");
        node
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next line; `None` where it has ended.
    fn next(&mut self) -> Option<String> {
        match self.words.recv_timeout(PATIENCE) {
            Ok(words) => Some(words),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("a node hangs"),
        }
    }

    fn kill(&mut self) {
        // SIGKILL. Fails only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Everything that was answered.
#[derive(Debug, Default)]
struct Book {
    /// By token and step.
    accepted: HashMap<(usize, i64), u32>,
    words: HashMap<String, u32>,
    kills: u32,
}

/// Nodes show the same codes, old ones, wrong ones and half right ones at once, round by round. `befall` says what befalls a
/// round, and does what is outside of the nodes; it is called once in each, while they are busy, on a thread of its own.
///
/// No step of a token is accepted twice, whichever nodes were asked; and whatever was told of a wrong code, its price is in the
/// budget at the end of the round.
pub(crate) fn contend(
    runtime: &tokio::runtime::Runtime,
    url: &str,
    store: &Arc<dyn StateStore>,
    seed: u64,
    rounds: i64,
    befall: impl Fn(i64) -> Trouble + Sync,
    break_outside: impl Fn(i64) + Sync,
) {
    let mut random = Rng::with_seed(seed);
    enrol(runtime, store);
    let mut nodes: Vec<Node> = (0..NODES).map(|_| Node::start(url)).collect();
    let mut book = Book::default();
    for round in 1..=rounds {
        let trouble = befall(round);
        let before = budgets(runtime, store);
        let dropping = if trouble == Trouble::Deaths { "dropping" } else { "waiting" };
        for node in &mut nodes {
            node.order(&format!("contend {round} {} {dropping}", random.u64(..)));
        }
        let mut told = Vec::new();
        thread::scope(|scope| {
            if trouble == Trouble::Outside {
                scope.spawn(|| break_outside(round));
            }
            if trouble == Trouble::Deaths {
                for _ in 0..=random.u64(..2) {
                    thread::sleep(Duration::from_micros(random.u64(..30_000)));
                    let victim = usize::try_from(random.u64(..NODES as u64)).unwrap();
                    nodes[victim].kill();
                    book.kills += 1;
                }
            }
            for node in &mut nodes {
                let mut done = false;
                while let Some(words) = node.next() {
                    if words == "done" {
                        done = true;
                        break;
                    }
                    told.push(words);
                }
                if !done {
                    assert_eq!(trouble, Trouble::Deaths, "a node died by itself in round {round}");
                }
            }
        });
        for node in &mut nodes {
            if node.process.try_wait().unwrap().is_some() {
                *node = Node::start(url);
            }
        }
        let owed = book.take(&told, before, round);
        check_budgets(runtime, store, &owed, trouble, round, &told);
    }
    for ((token, step), count) in &book.accepted {
        assert_eq!(*count, 1, "step {step} of token {token} was accepted {count} times");
    }
    println!("seed={seed} kills={} accepted={} {:?}", book.kills, book.accepted.len(), book.words);
    for word in ["accepted", "wrong", "replay"] {
        assert!(book.words.get(word).is_some_and(|count| *count >= 10), "too few were {word}: {book:?}");
    }
}

impl Book {
    /// Enters what was told in a round; what the budgets must owe at its end.
    fn take(&mut self, told: &[String], mut budgets: Vec<Budget>, round: i64) -> Vec<Budget> {
        for words in told {
            let words: Vec<&str> = words.split(' ').collect();
            let ["verdict", token, shown, answer, step, price] = *words else { panic!("{words:?}") };
            let token: usize = token.parse().unwrap();
            *self.words.entry(answer.to_owned()).or_default() += 1;
            match answer {
                "accepted" => {
                    assert!(matches!(shown, "current" | "previous"), "{words:?}");
                    *self.accepted.entry((token, step.parse().unwrap())).or_default() += 1;
                }
                "wrong" => {
                    let bucket = if shown == "half" { Bucket::Partial } else { Bucket::Blind };
                    let cost = Odds::from_units(price.parse().unwrap());
                    assert!(cost > Odds::ZERO, "{words:?}");
                    let budget = &mut budgets[usize::from(token > 0)];
                    *budget = budget.charge(Charge { bucket, cost }, now(round).earliest());
                }
                _ => {}
            }
        }
        budgets
    }
}

fn enrol(runtime: &tokio::runtime::Runtime, store: &Arc<dyn StateStore>) {
    let time = Arc::new(SimTime::new(now(0)));
    let gate = Validator::builder(Arc::clone(store), time).build().unwrap();
    for number in 0..TOKENS {
        let attempt = Attempt::one(code(number, current(0)));
        runtime.block_on(gate.enrol(&token(number), &attempt)).unwrap();
    }
}

/// That of the first token, and that of the others.
fn budgets(runtime: &tokio::runtime::Runtime, store: &Arc<dyn StateStore>) -> Vec<Budget> {
    let budget = |number| {
        // After a server's restart a moment may be needed.
        for _ in 0..600 {
            if let Ok(loaded) = runtime.block_on(store.load(token(number).key())) {
                return loaded.row.budget.unwrap();
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("the store doesn't come back");
    };
    vec![budget(0), budget(1)]
}

fn check_budgets(
    runtime: &tokio::runtime::Runtime,
    store: &Arc<dyn StateStore>,
    owed: &[Budget],
    trouble: Trouble,
    round: i64,
    told: &[String],
) {
    let failed = told.iter().any(|words| words.contains(" failed "));
    for (kept, owed) in budgets(runtime, store).iter().zip(owed) {
        for bucket in [Bucket::Blind, Bucket::Partial] {
            let (kept, owed) = (kept.full_at(bucket), owed.full_at(bucket));
            assert!(kept >= owed, "round {round}, {bucket:?}: a price is lost: {kept} instead of {owed}");
            if trouble == Trouble::None && !failed {
                assert_eq!(kept, owed, "round {round}, {bucket:?}: paid more than was told");
            }
        }
    }
}

/// 256 wrong codes at one token, from all nodes at once, and its owner at one of them, who does what the advice is: let in within two tries.
pub(crate) fn flood(
    runtime: &tokio::runtime::Runtime,
    url: &str,
    store: &Arc<dyn StateStore>,
    seed: u64,
    rounds: i64,
) {
    let mut random = Rng::with_seed(seed);
    enrol(runtime, store);
    let mut nodes: Vec<Node> = (0..NODES).map(|_| Node::start(url)).collect();
    let mut tries = Vec::new();
    for round in 1..=rounds {
        let (mut through, mut wrong) = (None, 0);
        let mut hear = |words: &str| {
            if let Some(tried) = words.strip_prefix("owner ") {
                through = Some(tried.parse::<u32>().unwrap());
            }
            wrong += u32::from(words.contains(" wrong wrong "));
        };
        let (owner, others) = nodes.split_last_mut().unwrap();
        for node in &mut *others {
            node.order(&format!("flood {round} {} {} nobody", random.u64(..), FLOOD / NODES));
        }
        // The owner comes when it has begun.
        for _ in 0..random.u64(..6) {
            hear(&others[0].next().unwrap());
        }
        owner.order(&format!("flood {round} {} {} owner", random.u64(..), FLOOD / NODES));
        for node in others.iter_mut().chain([owner]) {
            while let Some(words) = node.next().filter(|words| words != "done") {
                hear(&words);
            }
        }
        assert!(wrong > 0, "no flood");
        tries.push(through);
    }
    println!("seed={seed} tries={tries:?}");
    assert!(tries.iter().all(|tried| tried.is_some_and(|tried| tried <= 2)), "{tries:?}");
}
