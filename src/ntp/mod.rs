//! Asking time servers: the only folder that opens a socket to one.
//!
//! ```text
//! source.rs    what to ask: an address, a group
//! packet.rs    48 bytes <-> a header
//! exchange.rs  one request and its reply: sntpc, the nonce, every reason to refuse
//! pace.rs      how often and how fast; engine.rs: many exchanges at once
//! timers.rs    deadlines and pauses; nonces.rs: what tells exchanges apart
//! target.rs    a source that is being asked
//! transport.rs where datagrams travel: a network, or a simulated one
//! sockets.rs   datagrams in batches; stamp.rs: when they arrived
//! ask.rs       many servers at once, each for itself
//! measure.rs   a round over all sources: reports, votes, an estimate
//! responder/   a server of this host's clock, or of what a script says
//! ```

mod ask;
mod engine;
mod error;
mod exchange;
mod kiss;
mod measure;
mod nonces;
mod pace;
mod packet;
mod report;
mod resolve;
mod responder;
mod sockets;
mod source;
mod stamp;
mod target;
mod timers;
mod transport;

pub(crate) use ask::ask_watched;
pub use ask::{Addresses, Answer, AskOptions, Samples, ask, ask_over};
pub use error::{Refusal, SourceError, Stray};
pub use exchange::{Purpose, Reply, ReplyLimits, Request, Travel};
pub(crate) use kiss::Backoff;
pub use kiss::KissCode;
pub(crate) use measure::measure_except;
pub use measure::{Measurement, Options, measure, measure_over};
pub use pace::Pace;
#[cfg(test)]
pub(crate) use packet::UNFOLD_FROM_UNIX_SECONDS;
pub use packet::{HEADER_LENGTH, Header, ReferenceId, WireTimestamp};
pub use report::{SourceReport, Verdict, Warning};
pub use resolve::Family;
pub(crate) use resolve::resolve_many;
pub use responder::{
    AllowList, Announcement, Network, NetworkError, RateLimit, Responder, Rewrite, Script, Service, Tally,
};
pub use source::{NTP_PORT, Source, SourceAddr, SourceAddrError};
pub use transport::{Incoming, Outgoing, Sockets, Transport, Udp};
