//! Accounts as Redis keeps them: any bytes are an account or an error, an account has one encoding, and that is read back; each token in it is
//! found by its name, and by no other.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
// `account` is a private file of the library: it finds here what it takes from there.
use skewgate::{otp, store, time, token};

use account::Account;
use any_token::AnyToken;
use store::{Change, Reset, Row};
use time::Timestamp;
use token::{Budget, TokenId, TokenKey};

// rustfmt would look for its tests here.
#[rustfmt::skip]
#[path = "../../src/store/redis/account.rs"]
mod account;
#[path = "parts/any_token.rs"]
mod any_token;

/// What a script does is the server's.
mod script {
    #[derive(Default)]
    pub(crate) struct Script;

    #[derive(Default)]
    pub(crate) struct Scripts {
        pub(crate) enrol: Script,
        pub(crate) fail: Script,
        pub(crate) accept: Script,
        pub(crate) renew: Script,
        pub(crate) reset: Script,
        pub(crate) remove: Script,
    }
}

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Account { budget: (i64, i64, u32), tokens: BTreeMap<&'a str, AnyToken>, cut: u16 },
    Moment(&'a [u8]),
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(bytes) => {
        if let Ok(read) = Account::read(bytes) {
            assert_eq!(*written(&read).last().expect("a budget at least"), bytes);
            tokens_are_found_by_their_names(&read);
        }
    }
    Input::Account { budget: (blind, partial, failures), tokens, cut } => {
        let [blind, partial] = [blind, partial].map(Timestamp::from_unix_nanos);
        let tokens = tokens.iter().filter(|(name, _)| name.len() <= TokenId::MAX_BYTES);
        let tokens = tokens.map(|(name, token)| (*name, token.state())).collect();
        let account = Account { budget: Budget::from_parts(blind, partial, failures), tokens };
        let parts = written(&account);
        let bytes = parts.last().expect("a budget at least");
        let read = Account::read(bytes).expect("its own form");
        assert_eq!((read.budget, &read.tokens), (account.budget, &account.tokens));
        tokens_are_found_by_their_names(&read);
        let cut = &bytes[..usize::from(cut) % bytes.len()];
        assert_eq!(Account::read(cut).is_ok(), parts.iter().any(|part| part == cut));
    }
    Input::Moment(bytes) => {
        if let Ok(moment) = account::moment(bytes) {
            assert_eq!(account::signed(moment.as_unix_nanos()), bytes);
        }
    }
});

/// The account's bytes with its budget alone, with its first token, and so on: put together as `lua/account.lua` does.
fn written(account: &Account<'_>) -> Vec<Vec<u8>> {
    let budget = account.budget;
    let mut bytes = argument(Change::Reset(Reset { budget }));
    let mut parts = vec![bytes.clone()];
    for (name, state) in &account.tokens {
        let outlier = u8::from(state.drift.outlier().is_some());
        if name.is_empty() {
            bytes.push(16 + outlier);
        } else {
            bytes.extend([18 + outlier, u8::try_from(name.len()).expect("at most 255")]);
            bytes.extend(name.as_bytes());
        }
        bytes.extend(argument(Change::Enrol { state: *state, budget }));
        parts.push(bytes.clone());
    }
    parts
}

/// The first one after the name.
fn argument(change: Change) -> Vec<u8> {
    let scripts = script::Scripts::default();
    let (_, mut arguments) = account::call(&scripts, &key("ada", "ada"), change);
    arguments.swap_remove(1)
}

fn tokens_are_found_by_their_names(account: &Account<'_>) {
    let budget = Some(account.budget);
    let own = account.tokens.iter().find(|(name, _)| name.is_empty()).map(|(_, state)| *state);
    assert_eq!(account.row(&key("ada", "ada")), Row { token: own, budget });
    for (name, state) in account.tokens.iter().filter(|(name, _)| TokenId::new(name).is_ok()) {
        let another = if *name == "ada" { "eve" } else { "ada" };
        assert_eq!(account.row(&key(name, another)), Row { token: Some(*state), budget });
    }
}

fn key(token: &str, budget: &str) -> TokenKey {
    TokenKey::new(TokenId::new(token).expect("an id"), TokenId::new(budget).expect("an id"))
}
