use proptest::prelude::*;

use super::*;

fn wide() -> usize {
    80
}

fn narrow() -> usize {
    24
}

/// All of it at once.
fn whole(source: &str, width: fn() -> usize) -> String {
    let mut markdown = Markdown::new(width);
    let mut shown = markdown.push(source);
    shown.push_str(&markdown.finish());
    shown
}

/// Without the escape sequences.
fn plain(shown: &str) -> String {
    let mut parts = shown.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn an_answer_as_it_is_read() {
    let source = "# Title\n\nSome **bold** text.\n\n- one\n  - two\n1. three\n> quoted\n\n```rust\nlet x = 1;\n```\n\n---\n\
                  |a|b|\n|-|-|\n|1|2|\nend";
    let shown = whole(source, wide);
    let rule = "─".repeat(80);
    assert_eq!(
        plain(&shown),
        format!(
            "Title\n\nSome bold text.\n\n• one\n  • two\n1. three\n│ quoted\n\n```rust\nlet x = 1;\n```\n\n{rule}\n\
             a │ b\n──┼──\n1 │ 2\nend"
        )
    );
    assert!(
        shown.starts_with("\u{1b}[1;4mTitle\u{1b}[0m\n"),
        "{shown:?}"
    );
    assert!(shown.contains("\u{1b}[1mbold\u{1b}[0m text"), "{shown:?}");
    assert!(shown.contains("\u{1b}[35mlet\u{1b}[0m x"), "{shown:?}");
}

#[test]
fn lines_are_broken_between_words_and_under_their_text() {
    assert_eq!(
        plain(&whole("- one two three four five six\nend", narrow)),
        "• one two three four \n  five six\nend"
    );
    // Code is never broken, so that it can be copied; nor is an address.
    let long = "x".repeat(60);
    assert_eq!(
        plain(&whole(&format!("```\n{long}\n```"), narrow)),
        format!("```\n{long}\n```")
    );
    assert_eq!(
        plain(&whole(&format!("see {long} x"), narrow)),
        format!("see \n{long} x")
    );
}

#[test]
fn words_are_shown_as_they_come_and_marks_when_they_are_certain() {
    let mut markdown = Markdown::new(wide);
    assert_eq!(markdown.push("The answer "), "The answer ");
    assert_eq!(markdown.push("is **for"), "is ");
    assert_eq!(markdown.push("ty-two** i"), "\u{1b}[1mforty-two\u{1b}[0m ");
    assert!(markdown.is_in_line());
    assert_eq!(markdown.push("ndeed\n"), "indeed\n");
    assert!(!markdown.is_in_line());
    assert_eq!(markdown.push("```sh\necho"), "\u{1b}[2m```sh\u{1b}[0m\n");
    assert_eq!(markdown.push(" a\n"), "echo a\n");
    assert_eq!(markdown.finish(), "");
}

#[test]
fn nothing_steers_the_terminal() {
    let shown = whole(
        "a\u{1b}]0;x\u{7} &#27;]0;y&#7; &#x202e;z&#10;w `\u{9b}2J`\r- b",
        wide,
    );
    assert_eq!(plain(&shown), "a␛]0;x␇ ␛]0;y␇ \u{fffd}z w \u{fffd}2J␍- b");
    // A link shows where it leads.
    assert_eq!(
        plain(&whole("[http://good](http://evil/&#27;[2J)", wide)),
        "http://good (http://evil/␛[2J)"
    );
}

#[test]
fn what_never_ends_is_shown_all_the_same() {
    let mut markdown = Markdown::new(wide);
    let mut shown = 0;
    for _ in 0..20_000 {
        shown += markdown.push("`x [").len();
    }
    assert!(shown > 79_000, "{shown}");
    assert!(markdown.line.len() <= MAX_LINE);
    let mut markdown = Markdown::new(wide);
    for _ in 0..20_000 {
        shown = markdown.push("|-").len();
        assert!(markdown.line.len() <= MAX_LINE + 2);
    }
    assert_eq!(shown, 2);
    let mut markdown = Markdown::new(wide);
    let rows = "|a|b|\n".repeat(20_000);
    assert!(markdown.push(&rows).len() > MAX_TABLE);
}

#[test]
fn quotations_nest_no_deeper_than_anybody_reads() {
    for (mark, count) in [(">", 1 << 20), (">  ", 1 << 18)] {
        for end in ["", "\n"] {
            let shown = plain(&whole(&format!("{}{end}", mark.repeat(count)), wide));
            // All but the outer ones are text.
            assert_eq!(shown.matches('>').count(), count - 8, "{mark:?}{end:?}");
            let begin = shown.chars().take_while(|c| *c != '>');
            assert_eq!(begin.filter(|c| *c == '│').count(), 8);
        }
    }
}

#[test]
fn what_is_too_long_to_be_looked_at_for_marks_is_so_in_a_table_too() {
    let long = "*a* ".repeat(inline::MAX_PARSED / 4 + 1);
    let row = format!("|{long}\n");
    assert_eq!(whole(&row, wide), row);
    let shown = whole(&format!("|b|\n|-|\n|{long}|\n|*c*|\n"), wide);
    assert_eq!(plain(&shown).matches("*a*").count(), long.len() / 4);
}

fn source() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("**".to_owned()),
        Just("*".to_owned()),
        Just("`".to_owned()),
        Just("```".to_owned()),
        Just("[a](b)".to_owned()),
        Just("\n".to_owned()),
        Just("- ".to_owned()),
        Just("# ".to_owned()),
        Just("|".to_owned()),
        Just("|-|-|\n".to_owned()),
        Just("> ".to_owned()),
        Just("1. ".to_owned()),
        Just("~~".to_owned()),
        Just("_".to_owned()),
        Just("\\".to_owned()),
        Just("<b>".to_owned()),
        Just("&#27;".to_owned()),
        "[a-z ]{1,8}",
        "\\PC{0,3}",
        "[\u{0}-\u{9f}]{0,2}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_come_to_the_same_as_the_whole(source in source(), cuts in prop::collection::vec(1usize..6, 1..40)) {
        let mut markdown = Markdown::new(narrow);
        let mut shown = String::new();
        let mut characters = source.chars().peekable();
        let mut cuts = cuts.iter().cycle();
        while characters.peek().is_some() {
            let length = cuts.next().copied().unwrap_or(1);
            let piece: String = characters.by_ref().take(length).collect();
            shown.push_str(&markdown.push(&piece));
        }
        shown.push_str(&markdown.finish());
        prop_assert_eq!(plain(&shown), plain(&whole(&source, narrow)));
        prop_assert_eq!(shown, whole(&source, narrow));
    }

    #[test]
    fn only_our_own_sequences_are_shown(source in source()) {
        let shown = plain(&whole(&source, narrow));
        prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{:?}", shown);
    }
}
