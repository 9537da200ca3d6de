//! Who a browser is, from one request to the next.
//!
//! A browser has a random id in a cookie. What is known about it is kept here, in memory: a restart signs everybody out.
//! Forms carry a MAC of that id, so that no other site can send one (which SameSite prevents, too).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base16ct::HexDisplay;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use skewgate::otp::Secret;
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, RawInstant, SignedDuration};

use crate::users::{User, UserName};

/// What isn't used for so long is over: an enrolment or a login that was begun, and a user who is signed in.
const BEGUN: SignedDuration = SignedDuration::from_secs(600);
const SIGNED_IN: SignedDuration = SignedDuration::from_secs(8 * 3600);

/// More than these are not kept: whoever begins a login without end only makes others begin again.
const MOST: usize = 20_000;

/// 256 bits that nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId([u8; 32]);

impl SessionId {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let read = base16ct::lower::decode(text, &mut bytes).ok()?;
        (read.len() == bytes.len()).then_some(Self(bytes))
    }

    pub(crate) fn text(&self) -> String {
        format!("{:x}", HexDisplay(&self.0))
    }
}

/// How far a browser has come.
#[derive(Clone)]
pub(crate) enum Stage {
    /// Has chosen name and password, and is shown a secret. `codes` are asked for.
    Enrolling {
        user: Box<NewUser>,
        codes: u8,
    },
    /// Has just created an account. A form that is sent twice is answered twice alike.
    Enrolled,
    /// Has shown the right password, and was asked for several consecutive codes.
    ShowingCodes {
        user: Box<User>,
        codes: u8,
    },
    SignedIn(SignedIn),
}

/// Who isn't in the user table yet.
#[derive(Clone)]
pub(crate) struct NewUser {
    pub(crate) name: UserName,
    pub(crate) password_hash: String,
    pub(crate) token_id: String,
    pub(crate) secret: Secret,
}

#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) name: UserName,
    /// How far ahead of true time the token's clock surely is; zero where it may be right.
    pub(crate) drift: SignedDuration,
}

struct Session {
    stage: Stage,
    until: RawInstant,
}

pub(crate) struct Sessions {
    /// As long as a block of SHA-256.
    key: [u8; 64],
    table: Mutex<HashMap<SessionId, Session>>,
}

impl Sessions {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 64];
        getrandom::fill(&mut key)?;
        Ok(Self { key, table: Mutex::default() })
    }

    pub(crate) fn stage(&self, id: SessionId) -> Option<Stage> {
        let mut table = self.table();
        let now = OsClock.raw();
        let session = table.get_mut(&id).filter(|session| now < session.until)?;
        session.until = now + length(&session.stage);
        Some(session.stage.clone())
    }

    pub(crate) fn set(&self, id: SessionId, stage: Stage) {
        let now = OsClock.raw();
        let mut table = self.table();
        if table.len() >= MOST {
            table.retain(|_, session| now < session.until);
        }
        if table.len() >= MOST {
            // Those who are signed in stay.
            table.retain(|_, session| matches!(session.stage, Stage::SignedIn(_)));
        }
        let until = now + length(&stage);
        table.insert(id, Session { stage, until });
    }

    pub(crate) fn end(&self, id: SessionId) {
        self.table().remove(&id);
    }

    /// What this browser's forms must carry.
    pub(crate) fn form_token(&self, id: SessionId) -> String {
        format!("{:x}", HexDisplay(&self.mac(id).finalize().into_bytes()))
    }

    pub(crate) fn is_own_form(&self, id: SessionId, token: &str) -> bool {
        let mut bytes = [0; 32];
        // Compared in constant time.
        base16ct::lower::decode(token, &mut bytes).is_ok_and(|read| self.mac(id).verify_slice(read).is_ok())
    }

    fn mac(&self, id: SessionId) -> Hmac<Sha256> {
        Hmac::<Sha256>::new(&self.key.into()).chain_update(id.0)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn length(stage: &Stage) -> SignedDuration {
    match stage {
        Stage::SignedIn(_) => SIGNED_IN,
        Stage::Enrolling { .. } | Stage::Enrolled | Stage::ShowingCodes { .. } => BEGUN,
    }
}
