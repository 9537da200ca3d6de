//! Many servers at once, each for itself: what is asked, and what came of it.

use std::net::SocketAddr;
use std::ops::Deref;

use super::engine::converse;
use super::pace::Pace;
use super::transport::{Transport, Udp};
use super::{Header, Purpose, ReplyLimits, SourceError};
use crate::clock::{MaxDrift, Sample};
use crate::time::LocalClock;

/// Where one server may be: its addresses, in the order in which they are tried.
///
/// ```
/// use skewgate::ntp::Addresses;
/// use std::net::SocketAddr;
///
/// let v6: SocketAddr = "[2001:db8::1]:123".parse()?;
/// let v4: SocketAddr = "192.0.2.1:123".parse()?;
/// assert_eq!(Addresses::from(v6).as_slice(), [v6]);
/// assert_eq!(Addresses::from(vec![v6, v4]).as_slice(), [v6, v4]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(List);

/// Most have one: that must not cost an allocation each in a sweep of a hundred thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum List {
    One(SocketAddr),
    Several(Box<[SocketAddr]>),
}

impl Addresses {
    /// In order.
    #[must_use]
    pub fn as_slice(&self) -> &[SocketAddr] {
        match &self.0 {
            List::One(address) => std::slice::from_ref(address),
            List::Several(addresses) => addresses,
        }
    }
}

impl From<SocketAddr> for Addresses {
    fn from(address: SocketAddr) -> Self {
        Self(List::One(address))
    }
}

impl From<Vec<SocketAddr>> for Addresses {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        match *addresses {
            [address] => address.into(),
            _ => Self(List::Several(addresses.into())),
        }
    }
}

/// Everything that can be set about asking many servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskOptions {
    /// Whether they are asked what time it is, or what their clocks show. Default: what time it is.
    pub purpose: Purpose,
    /// How each is asked.
    pub pace: Pace,
    /// What is refused in a reply.
    pub reply_limits: ReplyLimits,
    /// How wrong the rate of the raw timeline may be; where clocks are read, how far theirs may differ from it.
    pub max_drift: MaxDrift,
}

/// What came of asking one server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The address that answered, or the last one that was asked; `None` where there was none to ask.
    pub address: Option<SocketAddr>,
    /// What the replies that were accepted prove.
    pub samples: Samples,
    /// The header of the last reply that was accepted; where none was, of the last one that was refused.
    pub header: Option<Header>,
    /// Why there are no samples, or no more. Boxed: few have one, and there may be very many answers.
    pub error: Option<Box<SourceError>>,
}

/// The samples of one server, in the order in which they came: a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples(Kept);

/// A sweep wants one of each host: it has its place in the answer itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    None,
    One(Sample),
    Several(Vec<Sample>),
}

impl Samples {
    /// One more of the `wanted`; there is room for all of them from the second on.
    pub(super) fn push(&mut self, sample: Sample, wanted: usize) {
        match &mut self.0 {
            Kept::None => self.0 = Kept::One(sample),
            Kept::One(first) => {
                let mut several = Vec::with_capacity(wanted.clamp(2, 64));
                several.extend([*first, sample]);
                self.0 = Kept::Several(several);
            }
            Kept::Several(several) => several.push(sample),
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = Kept::None;
    }
}

impl Deref for Samples {
    type Target = [Sample];

    fn deref(&self) -> &[Sample] {
        match &self.0 {
            Kept::None => &[],
            Kept::One(sample) => std::slice::from_ref(sample),
            Kept::Several(samples) => samples,
        }
    }
}

/// Asks every server at once, and keeps what each says apart: nothing is selected, and nothing resolved. The answers are
/// in the order of the targets. [`measure`](super::measure) is what makes an estimate of them.
///
/// Blocks the calling thread, and needs no other: one socket for each family, however many targets there are. With the
/// default [`Pace`] a sweep takes as long as [`Pace::max_rate`] says; silent targets take
/// (1 + [`Pace::retries`]) × [`Pace::timeout`] for each address.
///
/// ```
/// use skewgate::ntp::{AskOptions, Pace, Responder, Service, ask};
/// use skewgate::time::os::OsClock;
///
/// let server = Responder::serve("127.0.0.1:0".parse()?, Service::default(), OsClock)?;
/// let options = AskOptions { pace: Pace { samples: 1, ..Pace::default() }, ..AskOptions::default() };
/// for answer in ask([server.address()], &options, &OsClock) {
///     match answer.error {
///         None => println!("{:?}: round trip of {}", answer.address, answer.samples[0].delay),
///         Some(error) => println!("{:?}: {error}", answer.address),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// From async code, run it where blocking is allowed; here with tokio:
///
/// ```no_run
/// use skewgate::ntp::{Answer, AskOptions, ask};
/// use skewgate::time::os::OsClock;
/// use std::net::SocketAddr;
///
/// async fn sweep(hosts: Vec<SocketAddr>) -> Result<Vec<Answer>, tokio::task::JoinError> {
///     tokio::task::spawn_blocking(move || ask(hosts, &AskOptions::default(), &OsClock)).await
/// }
/// ```
///
/// # Errors
///
/// None of its own: whatever goes wrong with a target is its [`Answer::error`], and the others are asked all the same.
pub fn ask(
    targets: impl IntoIterator<Item: Into<Addresses>>,
    options: &AskOptions,
    clock: &dyn LocalClock,
) -> Vec<Answer> {
    ask_over(&Udp, targets, options, clock)
}

/// As [`ask`], over a network of the caller's: special sockets, or a simulation.
///
/// # Errors
///
/// As [`ask`].
pub fn ask_over(
    transport: &dyn Transport,
    targets: impl IntoIterator<Item: Into<Addresses>>,
    options: &AskOptions,
    clock: &dyn LocalClock,
) -> Vec<Answer> {
    ask_watched(transport, targets, options, clock, &mut || {})
}

/// Likewise, telling how far it has come: `done` is called once for each server that there is an answer of.
pub(crate) fn ask_watched(
    transport: &dyn Transport,
    targets: impl IntoIterator<Item: Into<Addresses>>,
    options: &AskOptions,
    clock: &dyn LocalClock,
    done: &mut dyn FnMut(),
) -> Vec<Answer> {
    let targets = targets.into_iter().map(Into::into).collect();
    converse(targets, options, clock, transport, done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{OffsetInterval, Reception};
    use crate::time::{RawInstant, SignedDuration};

    fn sample(anchor: i64) -> Sample {
        Sample {
            anchor: RawInstant::from_nanos(anchor),
            bound: OffsetInterval::new(SignedDuration::ZERO, SignedDuration::ZERO).unwrap(),
            delay: SignedDuration::ZERO,
            reception: Reception::Process,
        }
    }

    #[test]
    fn samples_are_kept_in_order_however_many_there_are() {
        let mut samples = Samples::default();
        assert!(samples.is_empty());
        for count in 1..=100 {
            samples.push(sample(count), 3);
            let anchors: Vec<_> = samples.iter().map(|sample| sample.anchor.as_nanos()).collect();
            assert_eq!(anchors, (1..=count).collect::<Vec<_>>());
        }
        samples.clear();
        assert!(samples.is_empty());
    }

    #[test]
    fn an_answer_is_small() {
        // A hundred thousand of them, and of the addresses, are to be held beside what is in flight.
        assert!(size_of::<Answer>() <= 192, "{}", size_of::<Answer>());
        assert!(size_of::<Addresses>() <= 40, "{}", size_of::<Addresses>());
        assert!(size_of::<Samples>() <= 40, "{}", size_of::<Samples>());
    }
}
