//! Keys that hold something else than the store puts there: which one it is, and what helps.

use ::redis::{FromRedisValue, ServerError, Value};

use crate::store::StoreError;

use super::{RedisStore, corrupt, read};

impl RedisStore {
    /// What a key holds, as what it should be.
    pub(super) fn held<T: FromRedisValue>(&self, key: &[u8], value: Value) -> Result<T, StoreError> {
        if let Value::ServerError(error) = &value
            && is_wrong_type(error)
        {
            return Err(self.unreadable(key, WRONG_TYPE));
        }
        read(value)
    }

    /// What a key holds can't be read. No enrolment writes over it, since nobody knows what it was.
    pub(super) fn unreadable(&self, key: &[u8], what: &str) -> StoreError {
        let name = quoted(key);
        if *key == *self.marker {
            return corrupt(format!(
                "the key {name}, for the whole store: {what}; if no newer skewgate wrote it, DEL it, and codes that could have been used by \
                 then are dead"
            ));
        }
        corrupt(format!(
            "the key {name}: {what}; before its tokens can be enrolled again, DEL it, and give them new secrets: with the old ones, used \
             codes that are newer than the one shown then are accepted again. Where it is put back instead, call Validator::restored"
        ))
    }

    /// A script that uses these keys has met one of another type.
    pub(super) fn of_wrong_type(&self, keys: &[&[u8]]) -> StoreError {
        match keys {
            [key] => self.unreadable(key, WRONG_TYPE),
            // It doesn't say which.
            keys => {
                let names: Vec<_> = keys.iter().map(|key| quoted(key)).collect();
                corrupt(format!("one of the keys {}: {WRONG_TYPE}", names.join(", ")))
            }
        }
    }
}

const WRONG_TYPE: &str = "what is there is of another type";

/// True also where a script says it, which servers before 7.0 put into words of their own.
pub(super) fn is_wrong_type(error: &ServerError) -> bool {
    let code = "WRONGTYPE";
    error.code() == code || error.details().is_some_and(|details| details.contains(code))
}

/// As redis-cli shows it and takes it.
pub(super) fn quoted(key: &[u8]) -> String {
    format!("\"{}\"", key.escape_ascii())
}
