use super::*;
use crate::token::TokenId;

fn state(outlier: Option<i64>) -> TokenState {
    let outlier = outlier.map(SignedDuration::from_nanos);
    let drift =
        Drift::from_parts(SignedDuration::from_nanos(-5), u64::MAX, Timestamp::from_unix_nanos(-1), outlier);
    TokenState { epoch: u64::MAX, watermark: TimeStep::new(i64::MAX), nonce: *b"12345678", drift }
}

fn budget() -> Budget {
    Budget::from_parts(Timestamp::from_unix_nanos(i64::MIN), Timestamp::from_unix_nanos(i64::MAX), u32::MAX)
}

#[test]
fn what_is_written_can_be_read() {
    for name in ["", "phone", "}{", &"x".repeat(255)] {
        for token in [state(None), state(Some(i64::MIN)), TokenState { watermark: None, ..state(None) }] {
            let bytes = written(name, &token, &budget());
            let account = Account::read(&bytes).unwrap();
            assert_eq!((account.budget, &account.tokens[..]), (budget(), &[(name, token)][..]));
        }
    }
}

#[test]
fn what_is_larger_is_later() {
    let numbers = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    assert!(numbers.map(signed).is_sorted());
    let steps = [None, Some(0), Some(1), Some(i64::MAX)].map(|step| step.and_then(TimeStep::new));
    assert!(steps.map(watermark).is_sorted_by(|a, b| a < b));
}

#[test]
fn no_part_of_an_account_is_one() {
    let bytes =
        [written("", &state(Some(3)), &budget()), written("b", &state(None), &budget())[20..].to_vec()]
            .concat();
    let key = TokenKey::new(TokenId::new("b").unwrap(), TokenId::new("a").unwrap());
    assert_eq!(Account::read(&bytes).unwrap().row(&key).token, Some(state(None)));
    for length in 0..bytes.len() {
        // A budget alone, and one with its own token, are accounts.
        let whole = [20, 20 + 57].contains(&length);
        assert_eq!(Account::read(&bytes[..length]).is_ok(), whole, "{length}");
    }
    for head in (0..=u8::MAX).filter(|head| !(16..20).contains(head)) {
        let mut bytes = bytes.clone();
        bytes[20] = head;
        assert!(Account::read(&bytes).is_err(), "{head}");
    }
    let twice = [&bytes[..], &bytes[20..]].concat();
    assert!(Account::read(&twice).is_err());
}
