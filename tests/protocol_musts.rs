//! Every MUST of docs/PROTOCOL.md sections 3 to 6 is quoted by the test that shows it.
//!
//! A quote is a comment above the test: `PROTOCOL`, the section's number, a colon and the sentence, over as many lines
//! as it takes. What is checked here is that the words are there, so that neither a sentence without a test nor a test
//! of what the text no longer says goes unnoticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The sections whose sentences are rules of the wire.
const SECTIONS: std::ops::RangeInclusive<u32> = 3..=6;

/// Words with single spaces between them.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The sentences of prose in these sections: no code blocks, no tables.
fn sentences(specification: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let (mut is_wanted, mut is_code) = (false, false);
    for line in specification.lines() {
        if let Some(headline) = line.strip_prefix("## ") {
            let number = headline.split_whitespace().next().and_then(|number| number.parse().ok());
            is_wanted = number.is_some_and(|number| SECTIONS.contains(&number));
        }
        is_code ^= line.starts_with("```");
        let begins = line.trim_start().starts_with("- ")
            || line.starts_with(|first: char| first.is_ascii_digit()) && line.contains(". ");
        let is_prose = is_wanted && !is_code && !line.starts_with(['`', '|', '#']);
        if line.trim().is_empty() || begins || !is_prose {
            paragraphs.push(String::new());
        }
        if is_prose {
            let line = line.trim_start().trim_start_matches("- ");
            if let Some(paragraph) = paragraphs.last_mut() {
                *paragraph += &format!("{line} ");
            }
        }
    }
    paragraphs.iter().flat_map(|paragraph| split(&words(paragraph))).collect()
}

/// A sentence ends with a full stop, before a space and a capital letter or an emphasis.
fn split(paragraph: &str) -> Vec<String> {
    let mut all = vec![];
    let mut rest = paragraph;
    let mut from = 0;
    while let Some(at) = rest[from..].find(". ").map(|at| from + at + 2) {
        if rest[at..].starts_with(|next: char| next.is_uppercase() || next == '*' || next == '`') {
            all.push(rest[..at].trim().to_owned());
            (rest, from) = (&rest[at..], 0);
        } else {
            from = at;
        }
    }
    all.push(rest.trim().to_owned());
    all
}

/// What the sources below `directory` say, comments without their marks, in single spaces.
fn said(directory: &Path, all: &mut String) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !["node_modules", "target"].iter().any(|name| path.ends_with(name)) {
            said(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(&path).unwrap();
            let lines =
                lines.lines().map(|line| line.trim_start().trim_start_matches('/').trim_start_matches('!'));
            all.push_str(&words(&lines.collect::<Vec<_>>().join(" ")));
            all.push(' ');
        }
    }
}

#[test]
fn every_must_is_quoted_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specification = fs::read_to_string(root.join("docs/PROTOCOL.md")).unwrap();
    let musts: BTreeSet<_> =
        sentences(&specification).into_iter().filter(|sentence| sentence.contains("MUST")).collect();
    assert!(musts.len() >= 15, "where are they? {musts:#?}");
    let mut quotes = String::new();
    ["src", "tests", "native"].iter().for_each(|directory| said(&root.join(directory), &mut quotes));
    let missing: Vec<_> = musts.iter().filter(|must| !quotes.contains(must.as_str())).collect();
    assert!(missing.is_empty(), "no test quotes {missing:#?}");
}

#[test]
fn every_quote_is_still_in_the_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specification = words(&fs::read_to_string(root.join("docs/PROTOCOL.md")).unwrap());
    let mut quotes = String::new();
    ["src", "tests", "native"].iter().for_each(|directory| said(&root.join(directory), &mut quotes));
    let marker = concat!("PROTO", "COL ");
    let quoted = quotes.split(marker).skip(1).filter_map(|rest| {
        let (section, rest) = rest.split_once(": ")?;
        section.chars().all(|c| c.is_ascii_digit() || c == '.').then_some(rest)
    });
    for quote in quoted {
        // Up to its first full stop: what follows is the test.
        let sentence = split(quote).remove(0);
        let sentence = sentence.split(" #[").next().unwrap_or_default();
        let begins: String = sentence.chars().take(40).collect();
        assert!(specification.contains(begins.trim()), "no longer in the text: {sentence}");
    }
}

#[test]
fn sentences_are_told_apart() {
    let text = "## 3 A\nFirst MUST (section 5.4). *Second*, e.g. this,\nMUST NOT.\n\n- Third 2. third.\n```\nMUST\n```\n## 7 B\nMUST";
    let found: Vec<_> = sentences(text).into_iter().filter(|sentence| !sentence.is_empty()).collect();
    assert_eq!(found, ["First MUST (section 5.4).", "*Second*, e.g. this, MUST NOT.", "Third 2. third."]);
}
