//! Clock skew with bounds that are true, and one-time passwords in a window computed from them.
//!
//! A server whose clock is off refuses right codes, or accepts old ones, and nobody knows which. skewgate measures
//! what time it is, with an interval that contains true time even if a minority of the time servers lie, and
//! validates TOTP codes (RFC 6238) in exactly the time steps that this interval and the token's own clock allow.
//!
//! ```
//! use skewgate::otp::{Secret, Totp};
//! use skewgate::store::MemoryStore;
//! use skewgate::time::os::SystemTime;
//! use skewgate::token::{Token, TokenId};
//! use skewgate::validator::{Attempt, Validator, Verdict};
//! use std::{sync::Arc, time::Duration};
//!
//! // Once: where tokens are remembered, and who says what time it is (better: a `monitor::Monitor`).
//! let clock = SystemTime::with_max_error(Duration::from_secs(1));
//! let gate = Validator::builder(Arc::new(MemoryStore::new()), Arc::new(clock)).build()?;
//!
//! // From the user table.
//! let secret = Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")?;
//! let token = Token::new(TokenId::new("ada")?, Totp::builder(&secret).build()?);
//!
//! // At every login. Nobody has enrolled this token yet, so it is refused.
//! let verdict = skewgate::block_on(gate.validate(Some(&token), &Attempt::parse("755 224")?));
//! match verdict {
//!     Verdict::Accepted(accepted) => println!("welcome, step {}", accepted.step),
//!     Verdict::Refused(refused) => println!("no: {:?}", refused.advice()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who moves what
//!
//! ```text
//!   time servers                                        a user's code
//!        │  ntp: the only module with sockets               │
//!        ▼                                                   ▼
//!   Sample ─▶ ClockEstimate ──▶ TimeInterval ──▶ Window ──▶ Match ──▶ Verdict
//!   └────── clock: pure ─────┘      ▲             pure     pure        │ not before
//!                                   │                                  ▼ its write
//!   monitor: a thread that keeps one estimate fresh             store: watermark,
//!                                                               drift, budget
//! ```
//!
//! A login never waits for the network to learn the time: the monitor publishes, the login path reads. Everything between the
//! samples and the effect on the store is pure and takes `now` as an argument.
//!
//! # Getting started
//!
//! - to log users in: [`validator`], and `examples/login.rs`, forty lines to paste into a service;
//! - to know the time and its error: [`monitor`], or one round by hand with [`ntp::measure`];
//! - to look at a host from the command line: the binary `skew-check`.
//!
//! # What it does not do
//!
//! It doesn't set any clock (chrony does that well), doesn't store secrets or users (`seal` encrypts secrets for the table that does), doesn't limit requests for each client address,
//! and sees through no majority of lying time servers. Plain NTP is not authenticated.
//!
//! # Features
//!
//! | feature | default | what it adds | turn it off |
//! | --- | --- | --- | --- |
//! | `ntp` | yes | [`ntp`], [`monitor`] and [`fleet`]: without features of stores and `watch`, the only code that opens sockets | where the time comes from elsewhere |
//! | `embedded` | no | [`store::EmbeddedStore`]: states in one file of this machine | where another store is used |
//! | `postgres` | no | `store::postgres`: states in PostgreSQL, for several nodes | where another store is used |
//! | `inventory` | no | `fleet::InventoryBuilder::toml`: inventories as files | where hosts are listed by code |
//! | `watch` | no | `fleet::history`: what sweeps found, in one file of this machine; what `skew-check watch` needs | where hosts are looked at by hand |
//! | `migration` | no | `otp::import::migration`: Google Authenticator's exports | where nobody's tokens are imported |
//! | `pskc` | no | `otp::import::pskc`: hardware tokens (RFC 6030) | where tokens are apps |
//! | `seal` | no | `seal`: secrets encrypted for the user table | where something else encrypts them |
//! | `qr` | no | `otp::qr`: QR codes as SVG, PNG and text | where a browser draws them |
//! | `serde` | no | `otp::secret_base32`, to write secrets down where a field says so | where no secret is stored as text |
//! | `backup` | no | `store::backup`: a store's tokens as lines of JSON, out and in | where a database's own backups are enough |
//! | `redis` | no | `store::RedisStore`: states in Redis or a Cluster, for several nodes; tokio | where states are kept elsewhere |
//! | `redis-tls` | no | `rediss://` addresses: rustls with ring, the system's certificates | inside of a trusted network |
//! | `cli` | no | what the binary `skew-check` needs | nothing of it is in the library |
//!
//! A feature adds items; it changes no signature, no field and no behaviour.
//!
//! # The public interface is:
//!
//! [`time`], [`clock`], [`ntp`], [`monitor`]: what time it is, and how sure that is. [`fleet`]: who else knows it. [`otp`], [`token`], [`window`], [`store`],
//! [`validator`], [`event`]: whether a code may in. [`block_on`] for callers that aren't async. [`design`], [`security`] and
//! [`changelog`] are documents.

#![cfg_attr(
    not(feature = "ntp"),
    doc = "\n\n[`ntp`]: #features\n[`ntp::measure`]: #features\n[`monitor`]: #features\n[`fleet`]: #features"
)]
#![cfg_attr(not(feature = "embedded"), doc = "\n\n[`store::EmbeddedStore`]: #features")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod block_on;
mod bytes;
pub mod clock;
#[cfg(any(feature = "embedded", feature = "watch"))]
mod database;
pub mod event;
#[cfg(feature = "ntp")]
pub mod fleet;
#[cfg(feature = "ntp")]
pub mod monitor;
#[cfg(feature = "ntp")]
pub mod ntp;
pub mod otp;
#[cfg(feature = "seal")]
#[cfg_attr(docsrs, doc(cfg(feature = "seal")))]
pub mod seal;
pub mod store;
mod sync;
mod text;
pub mod time;
pub mod token;
pub mod validator;
pub mod window;

pub use block_on::block_on;

#[doc = include_str!("../DESIGN.md")]
pub mod design {}

#[doc = include_str!("../SECURITY.md")]
pub mod security {}

#[doc = include_str!("../CHANGELOG.md")]
pub mod changelog {}

/// The README's examples are tests, where all that they use is there.
#[cfg(all(doctest, feature = "ntp", feature = "seal"))]
#[doc = include_str!("../README.md")]
mod readme {}
