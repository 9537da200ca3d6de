use super::*;

fn steam() -> Totp {
    Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).steam().build().unwrap()
}

fn token() -> Token {
    Token::new(TokenId::new("steam").unwrap(), steam())
}

/// What the app shows so many seconds after noon, as its user types it.
fn typed(second: i64) -> Attempt {
    let step = TimeStep::new((NOON + second).div_euclid(30)).unwrap();
    Attempt::parse(&steam().code_at(step).expose().to_lowercase()).unwrap()
}

fn enrolled() -> Service<MemoryStore> {
    let service = Service::new(MemoryStore::new());
    service.set(-900);
    block_on(service.gate.enrol(&token(), &typed(-910))).unwrap();
    service.set(10);
    service
}

fn refusal(service: &Service<MemoryStore>, attempt: &Attempt) -> Refused {
    match block_on(service.gate.validate(Some(&token()), attempt)) {
        Verdict::Refused(refused) => refused,
        Verdict::Accepted(accepted) => panic!("{accepted:?}"),
    }
}

#[test]
fn a_steam_code_is_accepted_once_however_it_is_typed() {
    let service = enrolled();
    assert!(block_on(service.gate.validate(Some(&token()), &typed(0))).is_accepted());
    let shown = steam().code_at(TimeStep::new(NOON / 30).unwrap()).expose().to_string();
    for again in [shown.clone(), shown.to_lowercase(), format!(" {}-{} ", &shown[..2], &shown[2..])] {
        let refused = refusal(&service, &Attempt::parse(&again).unwrap());
        assert!(matches!(refused.reason(), Reason::Replay), "{again:?}");
    }
    service.set(40);
    assert!(block_on(service.gate.validate(Some(&token()), &typed(30))).is_accepted());
}

#[test]
fn a_wrong_steam_code_pays_for_five_characters_and_not_for_digits() {
    let service = enrolled();
    for wrong in ["22222", "23456", "000000", "00000000"] {
        let refused = refusal(&service, &Attempt::parse(wrong).unwrap());
        assert!(matches!(refused.reason(), Reason::Wrong), "{wrong}");
        let event = &refused.events[0];
        let width = event.window_width.unwrap();
        // ceil(2³¹ / 26⁵) / 2³¹ for each step, a twelfth of what six digits cost.
        assert_eq!(event.price, Odds::of_guess(width, 181, 1), "{wrong}");
        assert!(event.price.saturating_mul(11) < Odds::of_guess(width, 2_148, 1));
    }
}

#[test]
fn a_decimal_code_of_the_same_step_is_wrong_for_a_steam_token() {
    let service = enrolled();
    assert!(matches!(refusal(&service, &one(0)).reason(), Reason::Wrong));
}
