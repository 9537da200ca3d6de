//! Many targets at once over a network that is made up, so that nothing hangs on this machine's: what is sent, when, and
//! how much of it at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use skewgate::clock::Leap;
use skewgate::ntp::{
    Answer, AskOptions, HEADER_LENGTH, Header, Incoming, Outgoing, Pace, ReferenceId, Sockets, SourceError,
    Stray, Transport, Verdict, WireTimestamp, ask_over,
};
use skewgate::time::{LocalClock, RawInstant, SignedDuration, sim::SimClock};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Lost,
    /// The operating system doesn't send it.
    Refused,
    /// It is neither sent nor refused.
    Ignored,
    /// Something comes back that is no reply to it.
    Garbage,
}

type Rule = fn(SocketAddr) -> Fate;

/// A network on which every reply takes equally long.
#[derive(Clone)]
struct Net {
    clock: Arc<SimClock>,
    rule: Rule,
    /// By the number of requests that were sent so far.
    room: fn(usize) -> usize,
    /// Whether the send buffer has no room for a packet, by what was sent before.
    full: fn(&Seen, RawInstant, &Outgoing) -> bool,
    /// How long a reply takes.
    travel: Duration,
    /// How much too late whoever waits is woken.
    oversleep: Duration,
    /// Whether there is always a batch of something to be received.
    flood: bool,
    /// After so many requests nobody wants the result any more.
    wanted: usize,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    sent: Vec<(RawInstant, SocketAddr)>,
    on_the_way: Vec<(RawInstant, Incoming)>,
    most_at_once: usize,
    calls: usize,
}

impl Net {
    fn new(rule: Rule) -> Self {
        let clock = SimClock::new("2026-11-22T12:00:00Z".parse().expect("a time"));
        Self {
            clock: Arc::new(clock),
            rule,
            room: |_| 1_000,
            full: |_, _, _| false,
            travel: Duration::from_millis(1),
            oversleep: Duration::ZERO,
            flood: false,
            wanted: usize::MAX,
            seen: Arc::default(),
        }
    }

    fn ask(&self, targets: impl IntoIterator<Item = SocketAddr>, pace: Pace) -> Vec<Answer> {
        self.ask_lists(targets.into_iter().map(|target| vec![target]), pace)
    }

    fn ask_lists(&self, targets: impl IntoIterator<Item = Vec<SocketAddr>>, pace: Pace) -> Vec<Answer> {
        ask_over(self, targets, &AskOptions { pace, ..AskOptions::default() }, &self.clock)
    }

    fn sent(&self) -> Vec<(RawInstant, SocketAddr)> {
        self.seen().sent.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test has panicked")
    }

    fn reply(&self, request: &Outgoing, fate: Fate) -> Incoming {
        let request_header = Header::from_bytes(&request.bytes);
        let now = WireTimestamp::from_timestamp(self.clock.truth());
        let mut header = Header {
            leap: Leap::None,
            version: 4,
            mode: 4,
            stratum: 1,
            precision: -20,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::ZERO,
            reference_id: ReferenceId::from_bytes(*b"SIM\0"),
            reference: now,
            origin: request_header.transmit,
            receive: now,
            transmit: now,
            poll: 0,
        };
        if fate == Fate::Garbage {
            header.origin.0 ^= 1;
        }
        Incoming { from: request.address, bytes: header.to_bytes(), length: HEADER_LENGTH, stamp: None }
    }
}

impl Transport for Net {
    fn open(&self) -> Box<dyn Sockets> {
        Box::new(self.clone())
    }

    fn cancelled(&self) -> bool {
        self.seen().sent.len() >= self.wanted
    }
}

impl Sockets for Net {
    fn room(&mut self, address: SocketAddr) -> io::Result<usize> {
        if address.is_ipv6() && (self.rule)(address) == Fate::Refused {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok((self.room)(self.seen().sent.len()))
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>) {
        assert!(batch.iter().all(|packet| packet.address.is_ipv4() == batch[0].address.is_ipv4()));
        let mut seen = self.seen();
        seen.calls += 1;
        for (count, packet) in batch.iter().enumerate() {
            if (self.full)(&seen, self.clock.raw(), packet) {
                return (count, Some(io::ErrorKind::WouldBlock.into()));
            }
            let fate = (self.rule)(packet.address);
            match fate {
                Fate::Refused => return (count, Some(io::ErrorKind::PermissionDenied.into())),
                Fate::Ignored => return (count, None),
                Fate::Answered | Fate::Garbage => {
                    let due = self.clock.raw() + SignedDuration::from(self.travel);
                    seen.on_the_way.push((due, self.reply(packet, fate)));
                }
                Fate::Lost => {}
            }
            seen.sent.push((self.clock.raw(), packet.address));
        }
        seen.most_at_once = seen.most_at_once.max(seen.on_the_way.len());
        (batch.len(), None)
    }

    fn receive(&mut self, take: &mut dyn FnMut(&Incoming)) {
        // All take equally long: the first to leave is the first to arrive. No more than a batch at once.
        let now = self.clock.raw();
        let mut seen = self.seen();
        let count = seen.on_the_way.iter().take(32).take_while(|&&(due, _)| due <= now).count();
        let arrived: Vec<_> = seen.on_the_way.drain(..count).collect();
        drop(seen);
        arrived.iter().for_each(|(_, datagram)| take(datagram));
        if self.flood {
            assert!(now < RawInstant::from_nanos(60_000_000_000), "a flood keeps it from ending");
            self.clock.advance(Duration::from_micros(32));
            let garbage = Incoming { from: host(9), bytes: [0xff; 48], length: 48, stamp: None };
            (0..32).for_each(|_| take(&garbage));
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let now = self.clock.raw();
        let arrival = self.seen().on_the_way.iter().map(|&(due, _)| due - now).min();
        let wait = arrival.map_or(timeout, |arrival| arrival.unsigned_abs().min(timeout));
        self.clock.advance(wait + self.oversleep);
    }

    fn local_address(&self, _: SocketAddr) -> Option<IpAddr> {
        None
    }
}

fn host(index: u16) -> SocketAddr {
    let [high, low] = index.to_be_bytes();
    ([192, 0, high, low], 123).into()
}

fn once() -> Pace {
    Pace { samples: 1, max_rate: None, ..Pace::default() }
}

fn samples(answers: &[Answer]) -> Vec<usize> {
    answers.iter().map(|answer| answer.samples.len()).collect()
}

#[test]
fn answers_come_in_the_order_of_the_targets() {
    let net = Net::new(|_| Fate::Answered);
    let answers = net.ask((0..1_000).map(host), once());
    for (index, answer) in (0..).zip(&answers) {
        assert_eq!((answer.address, answer.samples.len()), (Some(host(index)), 1));
        assert!(answer.error.is_none() && answer.header.is_some());
        let truth =
            net.clock.truth() - skewgate::time::Timestamp::from_unix_nanos(net.clock.raw().as_nanos());
        assert!(answer.samples[0].bound.contains(truth));
    }
    assert_eq!(answers.len(), 1_000);
}

#[test]
fn no_more_replies_are_on_the_way_than_there_is_room_for() {
    for (max_in_flight, most) in [(4_096, 10), (7, 7)] {
        let net = Net { room: |_| 10, ..Net::new(|_| Fate::Answered) };
        let answers = net.ask((0..200).map(host), Pace { max_in_flight, ..once() });
        assert_eq!(samples(&answers), [1; 200]);
        assert_eq!(net.seen().most_at_once, most);
    }
}

#[test]
fn where_room_is_lost_meanwhile_fewer_are_waited_for() {
    let net = Net { room: |sent| if sent < 100 { 100 } else { 5 }, ..Net::new(|_| Fate::Answered) };
    let answers = net.ask((0..300).map(host), once());
    assert_eq!(samples(&answers), [1; 300]);
    let sent = net.sent();
    // A millisecond each: the first hundred at once, the others five at a time.
    assert_eq!((sent[299].0 - sent[100].0).unsigned_abs(), Duration::from_millis(39));
}

#[test]
fn targets_that_can_not_be_sent_to_stop_no_others() {
    for fate in [Fate::Refused, Fate::Ignored] {
        let rule: Rule = match fate {
            Fate::Refused => |to| if to.port() == 9 { Fate::Refused } else { Fate::Answered },
            _ => |to| if to.port() == 9 { Fate::Ignored } else { Fate::Answered },
        };
        let net = Net::new(rule);
        let unsendable = |index: u16| index.is_multiple_of(3);
        let targets = (0..200)
            .map(|index| if unsendable(index) { SocketAddr::new(host(index).ip(), 9) } else { host(index) });
        let answers = net.ask(targets, once());
        for (index, answer) in (0..).zip(&answers) {
            match answer.error.as_deref() {
                Some(SourceError::Send { address, .. }) => {
                    assert!(unsendable(index) && Some(*address) == answer.address);
                }
                error => {
                    assert!(!unsendable(index) && error.is_none() && answer.samples.len() == 1, "{error:?}")
                }
            }
        }
    }
}

#[test]
fn a_full_send_buffer_is_waited_for_and_loses_no_target() {
    // The wire takes five packets in ten milliseconds.
    let full = |seen: &Seen, now: RawInstant, _: &Outgoing| {
        let recent = |&&(at, _): &&(RawInstant, SocketAddr)| (now - at) < SignedDuration::from_millis(10);
        seen.sent.iter().rev().take_while(recent).count() >= 5
    };
    for max_rate in [None, std::num::NonZeroU32::new(100_000)] {
        let net = Net { full, ..Net::new(|_| Fate::Answered) };
        let pace = Pace { retries: 0, timeout: Duration::from_millis(100), max_rate, ..once() };
        let answers = net.ask((0..300).map(host), pace);
        assert_eq!(samples(&answers), [1; 300]);
        let to: Vec<_> = net.sent().iter().map(|&(_, to)| to).collect();
        assert_eq!(to, (0..300).map(host).collect::<Vec<_>>(), "once each, in order");
        // T1 is read when a packet goes out at last: what it waited is no delay on the way.
        let delays = answers.iter().map(|answer| answer.samples[0].delay);
        assert!(delays.into_iter().all(|delay| delay <= SignedDuration::from_micros(1_001)));
        // It isn't tried without a pause: 0.6 s of waiting for half a millisecond each, or for a reply.
        assert!(net.seen().calls < 2_000, "{}", net.seen().calls);
    }
}

#[test]
fn a_send_buffer_that_stays_full_is_an_error_in_the_end_and_stops_no_other_family() {
    let net = Net { full: |_, _, packet| packet.address.is_ipv4(), ..Net::new(|_| Fate::Answered) };
    let v6: SocketAddr = "[2001:db8::1]:123".parse().unwrap();
    let pace = Pace { timeout: Duration::from_millis(300), ..once() };
    let start = net.clock.raw();
    let answers = net.ask((0..200).map(|index| if index % 2 == 0 { host(index) } else { v6 }), pace);
    for (index, answer) in (0..).zip(&answers) {
        match answer.error.as_deref() {
            Some(SourceError::Send { address, detail }) => {
                assert!(index % 2 == 0 && *address == host(index));
                assert_eq!(detail, "no room in the send buffer for 300ms");
            }
            error => assert!(index % 2 == 1 && error.is_none() && answer.samples.len() == 1, "{error:?}"),
        }
    }
    let took = (net.clock.raw() - start).unsigned_abs();
    assert!((Duration::from_millis(300)..Duration::from_millis(320)).contains(&took), "{took:?}");
    // And where the target has another address, that one is asked.
    assert_eq!(samples(&net.ask_lists([vec![host(1), v6]], pace)), [1]);
}

#[test]
fn without_a_socket_of_one_family_the_other_is_asked() {
    let net = Net::new(|to| if to.is_ipv6() { Fate::Refused } else { Fate::Answered });
    let v6: SocketAddr = "[2001:db8::1]:123".parse().unwrap();
    let answers = net.ask([v6, host(1), v6, host(2)], once());
    assert_eq!(samples(&answers), [0, 1, 0, 1]);
    assert!(matches!(answers[2].error.as_deref(), Some(SourceError::Send { .. })));
    // And the next address of a target is of another family.
    assert_eq!(samples(&net.ask_lists([vec![v6, host(3)]], once())), [1]);
}

#[test]
fn families_that_take_turns_are_all_asked() {
    let net = Net::new(|_| Fate::Answered);
    let v6: SocketAddr = "[2001:db8::1]:123".parse().unwrap();
    let targets = (0..300).map(|index| if index % 2 == 0 { v6 } else { host(index) });
    assert_eq!(samples(&net.ask(targets, Pace { samples: 2, ..once() })), [2; 300]);
}

#[test]
fn silence_is_waited_for_asked_again_and_then_the_next_address_is_tried() {
    let net = Net::new(|to| if to.port() == 9 { Fate::Lost } else { Fate::Answered });
    let silent = SocketAddr::new(host(1).ip(), 9);
    let pace = Pace { retries: 2, timeout: Duration::from_millis(300), ..once() };
    let answers = net.ask_lists([vec![silent, host(1)], vec![silent]], pace);
    assert_eq!((answers[0].address, answers[0].samples.len()), (Some(host(1)), 1));
    let timeout = pace.timeout;
    assert_eq!(answers[1].error.as_deref(), Some(&SourceError::Timeout { requests: 3, timeout }));
    let start = net.sent()[0].0;
    let sent: Vec<_> =
        net.sent().iter().map(|&(at, to)| ((at - start).unsigned_abs().as_millis(), to.port())).collect();
    assert_eq!(sent, [(0, 9), (0, 9), (300, 9), (300, 9), (600, 9), (600, 9), (900, 123)]);
}

#[test]
fn replies_that_came_in_time_count_however_late_they_are_looked_at() {
    // More than a batch of them; not so late that they would be refused for their distance.
    let net = Net { oversleep: Duration::from_millis(1_500), ..Net::new(|_| Fate::Answered) };
    let answers = net.ask((0..500).map(host), once());
    assert_eq!(samples(&answers), [1; 500]);
    assert_eq!(net.sent().len(), 500, "none is asked again");
}

#[test]
fn a_flood_keeps_neither_replies_nor_deadlines_off() {
    let net = Net { flood: true, ..Net::new(|to| if to.port() == 9 { Fate::Lost } else { Fate::Answered }) };
    let answers = net.ask([host(1), SocketAddr::new(host(2).ip(), 9)], once());
    assert_eq!(samples(&answers), [1, 0]);
    assert!(matches!(answers[1].error.as_deref(), Some(SourceError::Timeout { requests: 2, .. })));
}

#[test]
fn replies_that_come_too_late_are_told_from_silence_and_from_strays() {
    for (travel, retries) in [(1_100, 1), (1_900, 1), (1_500, 5), (2_500, 3), (3_900, 3)] {
        let net = Net { travel: Duration::from_millis(travel), ..Net::new(|_| Fate::Answered) };
        let pace = Pace { retries, ..once() };
        let answers = net.ask([host(1), host(2)], pace);
        let late = SourceError::LateReplies { timeout: pace.timeout };
        assert_eq!(Verdict::from(&late), Verdict::Unreachable);
        for answer in &answers {
            assert_eq!(answer.error.as_deref(), Some(&late), "{travel} {retries}");
        }
    }
    // One that is too late even for the last of them isn't there to be seen.
    let net = Net { travel: Duration::from_millis(2_100), ..Net::new(|_| Fate::Answered) };
    let answers = net.ask([host(1)], once());
    assert!(matches!(answers[0].error.as_deref(), Some(SourceError::Timeout { requests: 2, .. })));
}

#[test]
fn pauses_are_kept_between_the_requests_to_one_target() {
    let net = Net::new(|_| Fate::Answered);
    let pace = Pace { samples: 3, interval: Duration::from_millis(50), ..once() };
    assert_eq!(samples(&net.ask([host(1), host(2)], pace)), [3, 3]);
    let start = net.sent()[0].0;
    let sent: Vec<_> = net.sent().iter().map(|&(at, _)| (at - start).unsigned_abs().as_millis()).collect();
    assert_eq!(sent, [0, 0, 51, 51, 102, 102]);
}

#[test]
fn a_rate_is_kept_over_all_targets() {
    let net = Net::new(|_| Fate::Answered);
    let pace = Pace { max_rate: std::num::NonZeroU32::new(1_000), ..once() };
    assert_eq!(samples(&net.ask((0..532).map(host), pace)), [1; 532]);
    let sent = net.sent();
    let apart: Vec<_> = sent.windows(2).map(|two| (two[1].0 - two[0].0).as_nanos()).collect();
    assert_eq!(apart, [1_000_000; 531]);
}

#[test]
fn after_a_pause_little_is_made_up_for_at_once() {
    // The rate, and how many go out together at the most.
    for (rate, most) in [(1, 1), (20, 2), (100, 10), (319, 31), (5_000, 32)] {
        let net = Net { oversleep: Duration::from_millis(1_400), ..Net::new(|_| Fate::Answered) };
        let pace = Pace { max_rate: std::num::NonZeroU32::new(rate), ..once() };
        assert_eq!(samples(&net.ask((0..200).map(host), pace)), [1; 200]);
        let sent = net.sent();
        let together = sent.chunk_by(|one, other| one.0 == other.0).map(<[_]>::len).max();
        assert_eq!(together, Some(most), "{rate}");
    }
}

#[test]
fn strays_are_told_of_the_target_that_was_asked_there() {
    let net = Net::new(|to| match to.port() {
        9 => Fate::Garbage,
        10 => Fate::Lost,
        _ => Fate::Answered,
    });
    let at = |port| SocketAddr::new(host(1).ip(), port);
    let answers =
        net.ask_lists([vec![at(10)], vec![at(9)], vec![at(9), at(10)], vec![at(9), at(123)]], once());
    assert!(matches!(answers[0].error.as_deref(), Some(SourceError::Timeout { requests: 2, .. })));
    let Some(SourceError::OnlyStrays { datagrams, stray: Stray::WrongNonce }) = answers[1].error.as_deref()
    else {
        panic!("{:?}", answers[1].error);
    };
    // Three targets have one address: what comes from there is told of the first.
    assert_eq!(*datagrams, 6);
    assert!(matches!(answers[2].error.as_deref(), Some(SourceError::Timeout { .. })));
    assert_eq!((answers[3].address, answers[3].error.as_deref()), (Some(at(123)), None));
}

#[test]
fn those_that_were_not_done_when_it_was_called_off_say_so() {
    let rule: Rule = |to| if to.port() == 9 { Fate::Refused } else { Fate::Answered };
    let net = Net { room: |_| 10, wanted: 49, ..Net::new(rule) };
    let refused = SocketAddr::new(host(0).ip(), 9);
    let answers = net.ask((0..100).map(|index| if index == 0 { refused } else { host(index) }), once());
    assert_eq!(net.sent().len(), 49, "nothing is sent afterwards");
    assert!(matches!(answers[0].error.as_deref(), Some(SourceError::Send { .. })));
    for (index, answer) in answers.iter().enumerate().skip(1) {
        // The last ten were on their way.
        let error = (index > 39).then_some(SourceError::Cancelled);
        assert_eq!(
            (answer.samples.len(), answer.error.as_deref()),
            (usize::from(index <= 39), error.as_ref())
        );
    }
    // What it had said by then counts.
    let net = Net { wanted: 2, ..Net::new(rule) };
    let answers = net.ask([host(1), host(2)], Pace { samples: 2, ..once() });
    assert_eq!(samples(&answers), [1, 1]);
    assert!(answers.iter().all(|answer| answer.error.as_deref() == Some(&SourceError::Cancelled)));
}

#[test]
fn a_target_without_addresses_is_not_asked_and_keeps_its_place() {
    let net = Net::new(|_| Fate::Answered);
    let answers = net.ask_lists([vec![], vec![host(1)], vec![]], once());
    assert_eq!(samples(&answers), [0, 1, 0]);
    assert_eq!((answers[0].address, answers[0].error.as_deref()), (None, None));
    assert!(net.ask_lists([], once()).is_empty());
}
