use super::*;
use crate::output::is_unseen;
use proptest::prelude::*;

fn document(data: &str) -> String {
    let mut out = Vec::new();
    print(&mut out, |out| out.write_all(data.as_bytes())).unwrap();
    String::from_utf8(out).unwrap()
}

/// What is between two marks, and where they stand.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

const DATA: (&str, &str) = (r#"<script type="application/json" id="data">"#, "</script>");

#[test]
fn the_policy_knows_the_script_and_the_style_that_are_in_the_page_and_no_other() {
    for page in [document("{}"), served()] {
        let policy = between(&page, r#"http-equiv="Content-Security-Policy" content=""#, "\"");
        let script = between(&page, "<script>", "</script>");
        let style = between(&page, "<style>", "</style>");
        assert!(policy.contains(&format!("script-src '{}'", hash(script))), "{policy}");
        assert!(policy.contains(&format!("style-src '{}'", hash(style))), "{policy}");
        assert_eq!(page.matches("<script").count(), 2, "the data and the script");
        assert!(!page.contains("{{"), "nothing is left to be filled in");
        for word in ["unsafe", "http:", "https:", "*"] {
            assert!(!policy.contains(word), "{policy}");
        }
        // The policy comes before anything that it is about.
        assert!(page.find("Content-Security-Policy") < page.find("<style>"));
    }
    assert!(!document("{}").contains("connect-src"), "a file asks nobody");
    assert!(served().contains("; connect-src 'self'\""), "a server is asked, and only the own one");
    assert!(content_security_policy().ends_with("; connect-src 'self'; frame-ancestors 'none'"));
}

#[test]
fn the_page_loads_nothing_and_has_no_handler_and_no_style_that_the_policy_would_stop() {
    let page = served();
    for word in ["src=", "style=", "@import", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("]
    {
        assert!(!page.contains(word), "{word}");
    }
    for tag in DOCUMENT.split('<') {
        let tag = tag.split('>').next().unwrap();
        assert!(!tag.contains(" on"), "{tag}");
    }
    // Names of XML's vocabularies are no addresses; the icon is in the page.
    let places: Vec<&str> = page.match_indices("//").map(|(at, _)| &page[at.saturating_sub(6)..at]).collect();
    assert!(
        places.iter().all(|before| !before.ends_with("https:")),
        "no address of anything elsewhere: {places:?}"
    );
    for (at, _) in page.match_indices("http://") {
        assert!(page[at..].starts_with("http://www.w3.org/2000/svg"), "{}", &page[at..at + 40]);
    }
}

#[test]
fn no_text_ends_the_script_that_it_is_in() {
    let hostile =
        "</script><script>alert(1)</script><!--<script>\u{2028}\u{2029}\u{202e}\u{85}\u{feff}&\u{e0001}ü";
    let page = document(&serde_json::to_string(hostile).unwrap());
    let data = between(&page, DATA.0, DATA.1);
    assert_eq!(serde_json::from_str::<String>(data).unwrap(), hostile);
    assert!(data.ends_with("\\udb40\\udc01ü\""), "{data}");
}

proptest! {
    #[test]
    fn any_text_is_the_same_again_and_nothing_in_it_is_unseen(text in any::<String>()) {
        let page = document(&serde_json::to_string(&text).unwrap());
        let data = between(&page, DATA.0, DATA.1);
        prop_assert!(!data.contains('<') && !data.chars().any(is_unseen));
        prop_assert_eq!(serde_json::from_str::<String>(data).unwrap(), text);
    }
}
