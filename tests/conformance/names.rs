//! What is the same name and what isn't.

use super::model::{Model, sorted};
use super::*;

/// Names that some store might take for one another: upper and lower case, composed and decomposed, with and without a space, longer by a
/// byte, and such as look like a separator, a pattern or a quote in some language.
fn awkward() -> Vec<String> {
    let printable: String = (' '..='~').collect();
    let mut names: Vec<String> = [
        "a",
        "A",
        "a ",
        " a",
        "é",
        "e\u{301}",
        "É",
        "ß",
        "ss",
        "ı",
        "i",
        "I",
        "ﬁ",
        "fi",
        "０",
        "0",
        "00",
        "0.0",
        "1e0",
        "null",
        "NULL",
        "true",
        "undefined",
        "{a}",
        "{a}b",
        "}{",
        "{}",
        "a:b",
        "a/b",
        "a|b",
        "a,b",
        "*",
        "?",
        "[a]",
        "%",
        "_",
        "\\",
        "\\0",
        "\\u0001",
        "'",
        "''",
        "\"",
        "`",
        "$1",
        "$$",
        "; --",
        "日本語",
        "\u{10ffff}",
        "\u{ffff}",
        "\u{fffd}",
        "\u{feff}a",
        "\u{200b}a",
        "\u{2027}",
        "\u{a0}",
        "\u{200b}",
        "🔑",
        "\u{1f3f4}\u{200d}",
    ]
    .map(Into::into)
    .into();
    let long = "x".repeat(TokenId::MAX_BYTES);
    names.extend([printable, long[1..].into(), long, "🔑".repeat(63), format!("{}ab", "é".repeat(126))]);
    names
}

pub(crate) async fn names_that_look_alike_are_others(place: Arc<dyn Place>) {
    let store = place.open().await;
    let mut model = Model::default();
    let names = awkward();
    // Own budgets, and those of the next name: no joining of two names may make them alike.
    let next = names.iter().cycle().skip(1);
    let pairs = names.iter().zip(next).map(|(token, budget)| shared(token, budget));
    let joined = [("a", "b:c"), ("a:b", "c"), ("a", "b/c"), ("a/b", "c"), ("ab", "c"), ("b", "ac")];
    let joined = joined.map(|(token, budget)| shared(token, budget));
    let keys: Vec<_> = names.iter().map(|name| key(name)).chain(pairs).chain(joined).collect();
    for (number, key) in (0_u64..).zip(&keys) {
        let enrol = Change::Enrol { state: state(number), budget: Budget::full(NOW) };
        assert_eq!(write(&store, key, enrol).await.unwrap(), Written::Done, "{key:?}");
        assert_eq!(
            write(&store, key, Change::Fail(failure(Bucket::Blind, number))).await.unwrap(),
            Written::Done
        );
        model.write(key, enrol);
        model.write(key, Change::Fail(failure(Bucket::Blind, number)));
    }
    for key in &keys {
        assert_eq!(load(&store, key).await.row, model.row(key), "{key:?}");
    }
    assert_eq!(sorted(scan(&store).await), model.records());
}

pub(crate) async fn a_token_on_another_budget_is_another_token(place: Arc<dyn Place>) {
    let store = place.open().await;
    let (own, elsewhere) = (key("token"), shared("token", "account"));
    assert_eq!(write(&store, &own, enrol()).await.unwrap(), Written::Done);
    assert_eq!(load(&store, &elsewhere).await.row, Default::default(), "neither a token nor a budget");
    for change in [Change::Fail(failure(Bucket::Blind, 0)), Change::Accept(acceptance(11, 0)), Change::Remove]
    {
        assert_eq!(write(&store, &elsewhere, change).await.unwrap(), Written::Missing);
    }
    assert_eq!(write(&store, &elsewhere, enrol()).await.unwrap(), Written::Done);
    assert_eq!(write(&store, &elsewhere, Change::Accept(acceptance(11, 0))).await.unwrap(), Written::Done);
    assert_eq!(load(&store, &own).await.row.token, Some(state(EPOCH)), "as it was");
    assert_eq!(write(&store, &elsewhere, Change::Remove).await.unwrap(), Written::Done);
    assert_eq!(load(&store, &own).await.row.token, Some(state(EPOCH)), "still there");
}

pub(crate) async fn tokens_of_one_budget_share_it(place: Arc<dyn Place>) {
    let store = place.open().await;
    // On an account's budget, and on the first token's.
    for (first, second) in [
        (shared("phone", "account"), shared("watch", "account")),
        (key("first"), shared("second", "first")),
        (shared("second's", "third"), key("third")),
    ] {
        let price = Change::Fail(failure(Bucket::Blind, 0));
        for (key, change) in [(&first, enrol()), (&first, price), (&second, enrol()), (&second, price)] {
            assert_eq!(write(&store, key, change).await.unwrap(), Written::Done, "{key:?} {change:?}");
        }
        let charge = failure(Bucket::Blind, 0).charge;
        let owed = Budget::full(NOW).charge(charge, NOW).charge(charge, NOW);
        let twice = owed.one_more_failure().one_more_failure();
        assert_eq!(load(&store, &first).await.row.budget, Some(twice), "no new budget for the second token");
        assert_eq!(load(&store, &second).await.row.budget, Some(twice));

        // Two failed, one on each: the limit of two holds for both.
        let limited = Acceptance { failure_limit: 2, ..acceptance(11, 0) };
        assert_eq!(write(&store, &second, Change::Accept(limited)).await.unwrap(), Written::Refused);
        assert_eq!(write(&store, &second, Change::Accept(acceptance(11, 0))).await.unwrap(), Written::Done);
        assert_eq!(
            load(&store, &first).await.row.budget,
            Some(owed),
            "one's success ends the row of failures"
        );
        assert_eq!(
            load(&store, &first).await.row.token,
            Some(state(EPOCH)),
            "and leaves the other token alone"
        );

        assert_eq!(write(&store, &first, Change::Remove).await.unwrap(), Written::Done);
        let left = load(&store, &first).await.row;
        assert_eq!((left.token, left.budget), (None, Some(owed)), "what was paid stays paid");
        assert_eq!(write(&store, &second, Change::Remove).await.unwrap(), Written::Done);
        assert_eq!(write(&store, &first, enrol()).await.unwrap(), Written::Done);
        assert_eq!(load(&store, &first).await.row.budget, Some(owed), "who comes back finds it");
    }
}
