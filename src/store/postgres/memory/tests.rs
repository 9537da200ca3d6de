use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const A_CHECKPOINT: i64 = 120;

fn at(nanos: i64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_nanos(nanos))
}

/// A server, as much of it as is heard here.
#[derive(Clone, Debug)]
struct Log {
    timeline: i64,
    started: i64,
    redo: i64,
    flushed: i64,
    not_before: Option<Timestamp>,
}

impl Log {
    fn new() -> Self {
        Self { timeline: 1, started: 0, redo: 5_000, flushed: 5_000, not_before: None }
    }

    fn write(&mut self, bytes: i64) {
        self.flushed += bytes;
    }

    /// After a crash or a stop, with as much of the log as it has.
    fn restart(&mut self, when: i64) {
        (self.started, self.redo) = (when, self.flushed);
        self.write(A_CHECKPOINT);
    }

    fn put_back(&mut self, files: &Self, when: i64) {
        *self = Self { started: when, ..files.clone() };
        self.restart(when);
    }

    fn word(&self) -> Word {
        let Self { timeline, started, redo, .. } = self;
        let run = Run::parse(&format!("7711046875946803446/{timeline}/{started}/{redo}")).unwrap();
        Word { run, flushed: self.flushed, not_before: self.not_before }
    }

    /// A load that nothing comes between.
    fn is_noticed_by(&self, memory: &mut Memory) -> bool {
        let asked = *memory;
        memory.hear(&asked, self.word(), Replaced::Failover).is_some()
    }

    /// A login by a process: false where its load has noticed something.
    fn log_in(&mut self, memory: &mut Memory) -> bool {
        if self.is_noticed_by(memory) {
            return false;
        }
        let asked = *memory;
        self.write(200);
        memory.hear_of_write(&asked, self.word().run.lineage(), self.flushed - 34);
        true
    }
}

#[test]
fn files_that_were_put_back_are_noticed_until_that_is_settled() {
    let (mut log, mut memory) = (Log::new(), Memory::default());
    assert!(log.log_in(&mut memory));
    let files = log.clone();
    assert!(log.log_in(&mut memory));
    log.put_back(&files, 1);
    assert!(log.is_noticed_by(&mut memory));
    log.write(1_000_000);
    assert!(log.is_noticed_by(&mut memory), "whatever is written since");
    log.not_before = at(1);
    memory.settle(log.word());
    for _ in 0..3 {
        assert!(log.log_in(&mut memory));
    }
    let later = log.clone();
    assert!(log.log_in(&mut memory));
    log.put_back(&later, 2);
    assert!(log.is_noticed_by(&mut memory), "once more");
}

/// A load that waits for the server while that is put back, and a write whose answer came before.
#[test]
fn what_was_heard_meanwhile_is_known_too() {
    let (mut log, mut memory) = (Log::new(), Memory::default());
    assert!(log.log_in(&mut memory));
    let (files, asked) = (log.clone(), memory);
    assert!(log.log_in(&mut memory));
    log.put_back(&files, 1);
    assert_eq!(memory.hear(&asked, log.word(), Replaced::Failover), Some(Replaced::Restored));
    assert!(log.is_noticed_by(&mut memory), "until it is settled");
}

/// A load that is declared once, though what is declared was so already.
#[test]
fn an_alarm_ends_where_not_before_is_late_enough_already() {
    let (mut log, mut memory) = (Log::new(), Memory::default());
    log.not_before = at(i64::MAX);
    let files = log.clone();
    assert!(log.log_in(&mut memory));
    log.put_back(&files, 1);
    assert!(log.is_noticed_by(&mut memory));
    memory.settle(log.word());
    assert!(log.log_in(&mut memory));
}

#[test]
fn what_one_process_has_declared_is_no_alarm_to_another() {
    let mut log = Log::new();
    let [mut first, mut second] = [Memory::default(); 2];
    let files = log.clone();
    assert!(log.log_in(&mut first) && log.log_in(&mut second));
    log.put_back(&files, 1);
    assert!(log.is_noticed_by(&mut first));
    log.not_before = at(1);
    first.settle(log.word());
    assert!(log.log_in(&mut second) && log.log_in(&mut first));
    // And is what it remembers from then on.
    let later = log.clone();
    assert!(log.log_in(&mut second));
    log.put_back(&later, 2);
    assert!(log.is_noticed_by(&mut second));
}

/// Its clock and its memory are put back too: it was started when it was.
#[test]
fn a_machine_that_is_put_back_while_it_runs() {
    let (mut log, mut memory) = (Log::new(), Memory::default());
    let machine = log.clone();
    assert!(log.log_in(&mut memory));
    let asked = memory;
    log = machine;
    assert!(log.is_noticed_by(&mut memory));
    assert!(asked.flushed() > log.flushed, "no write has enough log");
    log.not_before = at(1);
    memory.settle(log.word());
    // What was answered before that, and arrives after it.
    memory.hear_of_write(&asked, log.word().run.lineage(), asked.flushed());
    assert!(!log.is_noticed_by(&mut memory));
}

/// The rows of such files are of the same timeline.
#[test]
fn files_of_another_timeline_or_server() {
    let (mut log, mut memory) = (Log::new(), Memory::default());
    log.write(1_000);
    assert!(log.log_in(&mut memory));
    let mut promoted = Log { timeline: 2, started: 1, not_before: at(1), ..Log::new() };
    assert!(promoted.log_in(&mut memory), "it was declared");
    let asked = memory;
    let further = Log { timeline: 3, started: 2, ..promoted.clone() };
    assert_eq!(memory.hear(&asked, further.word(), Replaced::Failover), Some(Replaced::Failover));
    log.restart(2);
    log.write(1_000_000);
    assert_eq!(memory.hear(&asked, log.word(), Replaced::Failover), Some(Replaced::Restored));
    log.not_before = at(2);
    memory.settle(log.word());
    assert!(log.log_in(&mut memory));
}

/// What happens next: to the server, or to a question that is under way.
#[derive(Clone, Debug)]
enum Next {
    Write(i64),
    Checkpoint,
    Restart,
    Promote,
    Declare,
    Ask,
    Answer(prop::sample::Index),
    Arrive(prop::sample::Index),
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        4 => (1..10_000_i64).prop_map(Next::Write),
        1 => Just(Next::Checkpoint),
        2 => Just(Next::Restart),
        1 => Just(Next::Promote),
        1 => Just(Next::Declare),
        6 => Just(Next::Ask),
        6 => any::<prop::sample::Index>().prop_map(Next::Answer),
        6 => any::<prop::sample::Index>().prop_map(Next::Arrive),
    ]
}

proptest! {
    /// Whatever a server goes through with its files, and in whichever order answers come that were given at any time since they
    /// were asked for.
    #[test]
    fn nothing_ordinary_is_an_alarm(steps in vec(next(), 1..200)) {
        let (mut log, mut memory) = (Log::new(), Memory::default());
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for (when, step) in (1..).zip(steps) {
            match step {
                Next::Write(bytes) => log.write(bytes),
                Next::Checkpoint => {
                    log.redo = log.flushed;
                    log.write(A_CHECKPOINT);
                }
                Next::Restart => log.restart(when),
                Next::Promote => {
                    log.timeline += 1;
                    log.started = when;
                    // By that its rows come to know it.
                    log.not_before = at(when);
                }
                Next::Declare => log.not_before = at(when),
                Next::Ask => asked.push(memory),
                Next::Answer(_) if asked.is_empty() => {}
                Next::Answer(which) => {
                    let asked = asked.swap_remove(which.index(asked.len()));
                    prop_assert!(asked.furthest.is_none_or(|word| word.run.server != log.word().run.server) || asked.flushed() <= log.flushed);
                    answered.push((asked, log.word()));
                }
                Next::Arrive(_) if answered.is_empty() => {}
                Next::Arrive(which) => {
                    let (asked, word) = answered.swap_remove(which.index(answered.len()));
                    prop_assert_eq!(memory.hear(&asked, word, Replaced::Failover), None);
                    memory.hear_of_write(&asked, word.run.lineage(), word.flushed);
                }
            }
        }
    }

    /// Several processes: whoever was told of something that isn't there any more says so, unless another one has said it before; and it is said once.
    #[test]
    fn a_restore_is_noticed_once(
        before in vec((0..3_usize, 1..10_000_i64), 0..10),
        after in vec((0..3_usize, 1..10_000_i64), 0..10),
        late in vec((0..3_usize, 1..10_000_i64), 1..20),
    ) {
        let mut log = Log::new();
        let mut processes = [Memory::default(); 3];
        for (who, bytes) in before {
            log.write(bytes);
            prop_assert!(log.log_in(&mut processes[who]));
        }
        let files = log.clone();
        let mut knows = [false; 3];
        for (who, bytes) in after {
            log.write(bytes);
            prop_assert!(log.log_in(&mut processes[who]));
            knows[who] = true;
        }
        log.put_back(&files, 1);
        let mut said = false;
        for (who, bytes) in late {
            log.write(bytes);
            let noticed = log.is_noticed_by(&mut processes[who]);
            prop_assert_eq!(noticed, knows[who] && !said, "{}: {:?}", who, processes);
            if noticed {
                said = true;
                log.not_before = at(1);
                processes[who].settle(log.word());
            }
            prop_assert!(log.log_in(&mut processes[who]));
        }
    }
}
