//! What each file of a crate imports of which other, and the circles that come of it.
//!
//! It reads tokens and not the compiler's mind: `use` declarations, and paths that begin with `crate`, `self`, `super`
//! or a module of the same file's. What stands in comments, in literals and under `#[cfg(test)]` is passed over; so
//! are `mod` declarations, which say where a module is and need nothing of it. Every other `cfg` counts as set, and the
//! contents of macro calls are read like the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of modules from the root of the crate down.
pub(crate) type ModulePath = Vec<String>;

/// One import: the line that it stands in, and what it names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) path: ModulePath,
}

struct Token {
    line: usize,
    text: String,
}

/// Words, `::`, and single characters; nothing of comments and literals.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut line, mut i) = (Vec::new(), 1, 0);
    while i < chars.len() {
        let begin = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                while i < chars.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            '"' => i = after_string(&chars, i),
            // A lifetime has no second quote; after a backslash the next character is the literal's in any case.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' => i += 1,
            ':' if at(i + 1) == ':' => {
                found.push(Token { line, text: "::".to_owned() });
                i += 2;
            }
            c if is_word(c) => {
                while is_word(at(i)) {
                    i += 1;
                }
                let word: String = chars[begin..i].iter().collect();
                let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"' {
                    i = after_raw_string(&chars, i + hashes + 1, hashes);
                } else {
                    found.push(Token { line, text: word });
                }
            }
            c => {
                if !c.is_whitespace() {
                    found.push(Token { line, text: c.to_string() });
                }
                i += 1;
            }
        }
        i = i.min(chars.len());
        line += chars[begin..i].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// Behind the string that begins at `i`.
fn after_string(chars: &[char], mut i: usize) -> usize {
    i += 1;
    while let Some(c) = chars.get(i) {
        match c {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    i
}

/// Behind the raw string whose first character is at `i`.
fn after_raw_string(chars: &[char], i: usize, hashes: usize) -> usize {
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let length = chars[i..].windows(end.len()).position(|window| window == end);
    length.map_or(chars.len(), |length| i + length + end.len())
}

/// Reads the imports of one file.
struct Reader<'a> {
    tokens: Vec<Token>,
    i: usize,
    /// The module that is being read: the file's, or one that is written out in it.
    module: ModulePath,
    /// At which depth of braces each written-out module ends.
    inline_ends: Vec<usize>,
    depth: usize,
    is_module: &'a dyn Fn(&[String]) -> bool,
    found: Vec<Import>,
}

/// What the text of `module` imports of its own crate. `is_module` knows the modules that have files.
pub(crate) fn read(text: &str, module: &[String], is_module: &dyn Fn(&[String]) -> bool) -> Vec<Import> {
    let mut reader = Reader {
        tokens: tokens(text),
        i: 0,
        module: module.to_vec(),
        inline_ends: Vec::new(),
        depth: 0,
        is_module,
        found: Vec::new(),
    };
    reader.run();
    reader.found
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn is(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(offset, text)| self.text(at + offset) == *text)
    }

    fn before(&self, steps: usize) -> &str {
        self.i.checked_sub(steps).map_or("", |at| self.text(at))
    }

    fn run(&mut self) {
        while self.i < self.tokens.len() {
            if self.is(self.i, &["#", "[", "cfg", "(", "test", ")", "]"]) {
                self.i += 7;
                self.skip_item();
                continue;
            }
            match self.text(self.i) {
                "mod" if self.text(self.i + 2) == "{" => {
                    self.module.push(self.text(self.i + 1).to_owned());
                    self.inline_ends.push(self.depth);
                    self.depth += 1;
                    self.i += 3;
                }
                "mod" if self.text(self.i + 2) == ";" => self.i += 3,
                "{" => {
                    self.depth += 1;
                    self.i += 1;
                }
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.inline_ends.last() == Some(&self.depth) {
                        self.inline_ends.pop();
                        self.module.pop();
                    }
                    self.i += 1;
                }
                // Not `use<'a>`, which says what a type captures.
                "use" if self.text(self.i + 1) != "<" => {
                    self.i += 1;
                    self.read_tree(&[]);
                }
                _ => self.read_expression_path(),
            }
        }
    }

    /// Passes over what an attribute belongs to: it ends with a semicolon or with a pair of braces.
    fn skip_item(&mut self) {
        let mut depth = 0;
        while self.i < self.tokens.len() {
            let text = self.text(self.i);
            match text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            let is_end = depth == 0 && (text == ";" || text == "}");
            self.i += 1;
            if is_end {
                return;
            }
        }
    }

    /// One tree of a `use` declaration, behind what is common to it and its siblings.
    fn read_tree(&mut self, common: &[String]) {
        let line = self.tokens.get(self.i).map_or(0, |token| token.line);
        let mut path = common.to_vec();
        loop {
            match self.text(self.i).to_owned().as_str() {
                "{" => {
                    self.i += 1;
                    while !matches!(self.text(self.i), "}" | "") {
                        self.read_tree(&path);
                        if self.text(self.i) == "," {
                            self.i += 1;
                        }
                    }
                    self.i += 1;
                    return;
                }
                "::" => self.i += 1,
                "*" => {
                    self.i += 1;
                    break;
                }
                "as" => self.i += 2,
                "," | "}" | ";" | "" => break,
                // The module itself, as the last of a path.
                "self" if !path.is_empty() => self.i += 1,
                word => {
                    path.push(word.to_owned());
                    self.i += 1;
                }
            }
        }
        self.add(line, &path);
    }

    /// A path in the midst of code, if one begins here.
    fn read_expression_path(&mut self) {
        let is_begin = self.text(self.i + 1) == "::"
            && !matches!(self.before(1), "::" | ".")
            // `pub(in crate::a)` says who may, and needs nothing.
            && !(self.before(1) == "in" && self.before(2) == "(" && self.before(3) == "pub");
        let Some(Token { line, text }) = self.tokens.get(self.i) else { return };
        let mut path = vec![text.clone()];
        let line = *line;
        self.i += 1;
        if !is_begin {
            return;
        }
        while self.text(self.i) == "::"
            && self.text(self.i + 1).starts_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            path.push(self.text(self.i + 1).to_owned());
            self.i += 2;
        }
        self.add(line, &path);
    }

    /// Takes down a path, if it is one of this crate.
    fn add(&mut self, line: usize, path: &[String]) {
        let Some((first, mut rest)) = path.split_first() else { return };
        let mut absolute = self.module.clone();
        match first.as_str() {
            "crate" => absolute.clear(),
            "self" => {}
            "super" => {
                absolute.pop();
                while let Some(("super", further)) =
                    rest.split_first().map(|(word, rest)| (word.as_str(), rest))
                {
                    absolute.pop();
                    rest = further;
                }
            }
            child => {
                absolute.push(child.to_owned());
                if !(self.is_module)(&absolute) {
                    return;
                }
            }
        }
        absolute.extend_from_slice(rest);
        self.found.push(Import { line, path: absolute });
    }
}

/// A file, or what one file needs of another.
type FileName = String;

/// Which file of a crate imports something of which.
pub(crate) struct Graph {
    /// For each file and each that it imports, the first import.
    edges: BTreeMap<FileName, BTreeMap<FileName, Import>>,
    modules: BTreeMap<FileName, ModulePath>,
}

impl Graph {
    /// Of the crate whose sources are below `dir`, without tests.
    pub(crate) fn of_crate(dir: &Path) -> Self {
        Self::of_texts(&texts_of(dir))
    }

    /// Of these files.
    pub(crate) fn of_texts(texts: &BTreeMap<FileName, String>) -> Self {
        let modules: BTreeMap<_, _> = texts.keys().map(|name| (name.clone(), module_of(name))).collect();
        let files: BTreeMap<_, _> =
            modules.iter().map(|(name, module)| (module.clone(), name.clone())).collect();
        let mut edges = BTreeMap::new();
        for (name, text) in texts {
            let is_module = |path: &[String]| files.contains_key(path);
            let imports: &mut BTreeMap<_, _> = edges.entry(name.clone()).or_default();
            for import in read(text, &modules[name], &is_module) {
                // The longest part of the path that is a file: the rest are items, or modules written out in it.
                let file = (0..=import.path.len()).rev().find_map(|length| files.get(&import.path[..length]));
                if let Some(file) = file.filter(|file| *file != name) {
                    imports.entry(file.clone()).or_insert(import);
                }
            }
        }
        Self { edges, modules }
    }

    /// All files, by their names below the directory.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.edges.keys().map(String::as_str)
    }

    /// What a file imports, and by which import.
    pub(crate) fn imports(&self, file: &str) -> impl Iterator<Item = (&str, &Import)> {
        self.edges.get(file).into_iter().flatten().map(|(file, import)| (file.as_str(), import))
    }

    /// Whether it is a module that hands on what is below it, and so needs nothing: unless what is below needs it.
    fn is_re_export(&self, from: &str, to: &str) -> bool {
        let is_root = ["mod.rs", "lib.rs", "main.rs"].contains(&from.rsplit('/').next().unwrap_or(from));
        is_root && self.modules[to].starts_with(&self.modules[from]) && !self.edges[to].contains_key(from)
    }

    fn needs(&self, file: &str) -> impl Iterator<Item = &str> {
        let from = file.to_owned();
        self.imports(file).map(|(to, _)| to).filter(move |to| !self.is_re_export(&from, to))
    }

    /// Each file that can be reached, and over which one.
    fn reachable<'a>(&'a self, file: &'a str) -> BTreeMap<&'a str, &'a str> {
        let mut over = BTreeMap::new();
        let mut queue = VecDeque::from([file]);
        while let Some(next) = queue.pop_front() {
            for to in self.needs(next) {
                if !over.contains_key(to) {
                    over.insert(to, next);
                    queue.push_back(to);
                }
            }
        }
        over
    }

    /// Sets of files of which each needs each other.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reachable: BTreeMap<_, _> = self.files().map(|file| (file, self.reachable(file))).collect();
        let mut circles: Vec<BTreeSet<&str>> = Vec::new();
        for (file, reached) in &reachable {
            if circles.iter().any(|circle| circle.contains(file)) || !reached.contains_key(file) {
                continue;
            }
            circles
                .push(reached.keys().copied().filter(|other| reachable[other].contains_key(file)).collect());
        }
        circles
    }

    /// The shortest way round through the first of a circle's files, one import a line.
    pub(crate) fn describe(&self, circle: &BTreeSet<&str>) -> String {
        let Some(start) = circle.first() else { return String::new() };
        let over = self.reachable(start);
        let (mut lines, mut to) = (Vec::new(), *start);
        while let Some(from) = over.get(to) {
            let Import { line, path } = &self.edges[*from][to];
            lines.push(format!("  {from}:{line} needs {to}, by crate::{}", path.join("::")));
            to = from;
            if to == *start {
                break;
            }
        }
        lines.reverse();
        format!("{} files need each other:\n{}", circle.len(), lines.join("\n"))
    }
}

/// All sources below `dir`.
pub(crate) fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source tree is readable") {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The texts of all files below `dir` that are not tests, by their names there.
fn texts_of(dir: &Path) -> BTreeMap<FileName, String> {
    let mut paths = Vec::new();
    rust_files(dir, &mut paths);
    let texts = paths.iter().filter_map(|path| {
        let name = path.strip_prefix(dir).expect("it is below").to_str().expect("names are UTF-8");
        let is_test = name.split('/').any(|part| part == "tests" || part == "tests.rs");
        let text = || fs::read_to_string(path).expect("sources are UTF-8");
        (!is_test).then(|| (name.to_owned(), text()))
    });
    texts.collect()
}

fn module_of(name: &str) -> ModulePath {
    let mut parts: ModulePath = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

mod reader_tests {
    use super::*;

    /// The paths that a file of the module `room::desk` imports, with `drawer` as a module below it.
    fn read_sample(text: &str) -> Vec<String> {
        let module = ["room".to_owned(), "desk".to_owned()];
        let is_module = |path: &[String]| path.join("::") == "room::desk::drawer";
        read(text, &module, &is_module).iter().map(|import| import.path.join("::")).collect()
    }

    #[test]
    fn every_form_of_a_use_declaration_is_read() {
        let found = read_sample(
            "use crate::a::One;\n\
             pub(crate) use super::b::{self, Two, c::{Three as Four, *}};\n\
             use self::drawer::Five;\n\
             pub use drawer::Six;\n\
             use super::super::d;\n\
             use std::io;\n\
             fn f() { use Shape::Round; use super::e::Seven; }\n",
        );
        assert_eq!(
            found,
            [
                "a::One",
                "room::b",
                "room::b::Two",
                "room::b::c::Three",
                "room::b::c",
                "room::desk::drawer::Five",
                "room::desk::drawer::Six",
                "d",
                "room::e::Seven"
            ]
        );
    }

    #[test]
    fn paths_in_the_midst_of_code_are_read() {
        let found = read_sample(
            "pub(in crate::room) fn f<'a>(x: &'a crate::a::One) -> impl Two + use<'a> {\n\
             let y = super::b::three(crate::c::Four::<u8>::FIVE, std::mem::take(x));\n\
             drawer::six(y.self_::<u8>(), 'x', '\\'')\n}",
        );
        assert_eq!(found, ["a::One", "room::b::three", "c::Four", "room::desk::drawer::six"]);
    }

    #[test]
    fn comments_literals_tests_and_declarations_are_not_read() {
        let found = read_sample(
            "//! See [`crate::a`].\n\
             /* use crate::b; /* crate::c::d */ use crate::e; */\n\
             mod drawer;\n\
             #[cfg(test)]\nuse crate::f::One;\n\
             const TEXT: &str = \"use crate::g; \\\" crate::h::i\";\n\
             const RAW: &str = r#\"use crate::j; \" crate::k::l\"#;\n\
             #[cfg(test)]\n#[rustfmt::skip]\nmod tests { use crate::m; fn f() { crate::n::o() } }\n\
             use crate::last::Two;\n",
        );
        assert_eq!(found, ["last::Two"]);
    }

    #[test]
    fn a_module_that_is_written_out_has_its_own_parent() {
        let found =
            read_sample("mod inner { use super::a::One; mod most { use super::super::b; } }\nuse super::c;");
        assert_eq!(found, ["room::desk::a::One", "room::desk::b", "room::c"]);
    }

    #[test]
    fn an_import_is_found_in_its_line() {
        let lines = read("/* a\nb */\n\nuse crate::{\n    a,\n    b::C,\n};\n", &[], &|_| false);
        assert_eq!(lines.iter().map(|import| import.line).collect::<Vec<_>>(), [5, 6]);
    }

    fn graph(files: &[(&str, &str)]) -> Graph {
        Graph::of_texts(&files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn circles_are_found_and_told_by_their_imports() {
        let graph = graph(&[
            ("lib.rs", "mod a; mod b; mod c; mod d; pub use a::A;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use super::c::C;"),
            ("c.rs", "\nfn f() { crate::a::g() }"),
            ("d.rs", "use crate::a::A;"),
        ]);
        let circles = graph.circles();
        assert_eq!(circles, [BTreeSet::from(["a.rs", "b.rs", "c.rs"])]);
        let told = graph.describe(&circles[0]);
        assert!(told.contains("a.rs:1 needs b.rs, by crate::b::B"), "{told}");
        assert!(told.contains("c.rs:2 needs a.rs, by crate::a::g"), "{told}");
    }

    #[test]
    fn a_parent_may_hand_on_what_is_below_it_unless_that_needs_the_parent() {
        let files = |child| {
            [("lib.rs", "mod room;"), ("room/mod.rs", "pub use self::desk::Desk;"), ("room/desk.rs", child)]
        };
        assert!(graph(&files("use crate::other;")).circles().is_empty());
        let needy = graph(&files("use super::Room;"));
        assert_eq!(needy.circles(), [BTreeSet::from(["room/desk.rs", "room/mod.rs"])]);
    }
}
