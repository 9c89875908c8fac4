//! `path = value`: one field of a RON text replaced in the text, so that errors keep their line and column.

use std::ops::Range;

/// A setting of the command line or of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Names of fields, keys of maps, or positions in lists, from the outside in.
    pub path: Vec<String>,
    /// RON.
    pub value: String,
}

impl Setting {
    /// Reads `training.epochs=10`.
    ///
    /// Errors: no `=`, or an empty path or value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("set «{text}»: write it as path.of.field=value");
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let path: Vec<String> = path.trim().split('.').map(|p| p.trim().to_owned()).collect();
        let value = value.trim().to_owned();
        if value.is_empty() || path.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self { path, value })
    }

    /// The text with the field's value replaced; a field that is left to its default is written in, with the structs
    /// around it. Entries of structs and maps are told by name, those of lists and tuples by position.
    ///
    /// Errors: a position that no list has, a name that no map has, a field of what has none, a position in what is left
    /// to its default. A name that no struct has is told by whoever reads the text.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let mut within = body(text, 0..text.len()).ok_or("the file is not one parenthesised struct")?;
        for (depth, name) in self.path.iter().enumerate() {
            within = inner(text, within);
            let entries = entries(text, within.clone());
            let Some(span) = find(&entries, name) else {
                self.check_absent(depth, text[..within.start].ends_with('{'), &entries)?;
                let start = within.start;
                return Ok(splice(text, start..start, &format!("{}, ", self.written_in(depth))));
            };
            if depth + 1 == self.path.len() {
                return Ok(splice(text, span, &self.value));
            }
            within = body(text, span).ok_or_else(|| format!("«{}» has no fields", self.at(depth)))?;
        }
        Err("an empty path".into())
    }

    /// The path up to and with a depth.
    fn at(&self, depth: usize) -> String {
        self.path[..=depth].join(".")
    }

    /// Errors: what is not among the entries can't be written in.
    fn check_absent(&self, depth: usize, in_map: bool, entries: &[Field<'_>]) -> Result<(), String> {
        if in_map || position(&self.path[depth]).is_some() {
            let others = match depth {
                0 => String::new(),
                _ => format!("; for others set all of «{}»", self.at(depth - 1)),
            };
            return Err(format!("there is no «{}» in the file; {}{others}", self.at(depth), told(entries)));
        }
        // Nothing in the text tells how long a list or a tuple is by default, nor what else is in it.
        match self.path[depth + 1..].iter().position(|name| position(name).is_some()) {
            None => Ok(()),
            Some(inside) => {
                let whole = self.at(depth + inside);
                Err(format!("there is no «{whole}» in the file; set all of it: {whole}=…"))
            }
        }
    }

    /// The path from `depth` on as RON: `optimiser: (weight_decay: 0.5)`.
    fn written_in(&self, depth: usize) -> String {
        let [outer @ .., last] = &self.path[depth..] else { return String::new() };
        let value = format!("{last}: {}", self.value);
        outer.iter().rev().fold(value, |value, name| format!("{name}: ({value})"))
    }
}

struct Field<'a> {
    name: Option<&'a str>,
    value: Range<usize>,
}

fn position(name: &str) -> Option<usize> {
    name.parse().ok()
}

/// The value of the entry of this name, or at this position where entries have no names.
fn find(entries: &[Field<'_>], name: &str) -> Option<Range<usize>> {
    let is_it =
        |(i, entry): &(usize, &Field<'_>)| entry.name.map_or(position(name) == Some(*i), |own| own == name);
    entries.iter().enumerate().find(is_it).map(|(_, entry)| entry.value.clone())
}

/// What is there instead.
fn told(entries: &[Field<'_>]) -> String {
    let names: Vec<&str> = entries.iter().filter_map(|entry| entry.name).collect();
    match (&names[..], entries.len()) {
        (_, 0) => "there are no entries".into(),
        ([], n) => format!("entries are 0 … {}", n - 1),
        (names, _) => format!("entries are {}", names.join(", ")),
    }
}

fn splice(text: &str, at: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..at.start], &text[at.end..])
}

/// The last byte of the raw string r"…" or r#"…"# that begins here, if one does.
fn raw_string(text: &str, at: usize, end: usize) -> Option<usize> {
    let rest = text.get(at + 1..end)?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inside = rest[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", &rest[..hashes]);
    let length = inside.find(&closing)?;
    Some(at + hashes + 1 + length + closing.len())
}

/// The next byte that is neither in a string nor in a comment, from `at` on, and where it is; a string counts as one
/// quote.
fn significant(text: &str, mut at: usize, end: usize) -> Option<(Range<usize>, u8)> {
    let bytes = text.as_bytes();
    while at < end {
        match bytes[at] {
            b'r' if let Some(last) = raw_string(text, at, end) => return Some((at..last + 1, b'"')),
            b'"' => {
                let start = at;
                at += 1;
                while at < end && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                return Some((start..at.min(end - 1).max(start) + 1, b'"'));
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..end].find('\n').map_or(end, |n| at + n);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text[at + 2..end].find("*/").map_or(end, |n| at + n + 4);
            }
            b => return Some((at..at + 1, b)),
        }
    }
    None
}

/// What stands between the outermost brackets of a value.
fn body(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let mut at = span.start;
    let mut open = None;
    let mut depth = 0;
    while let Some((token, b)) = significant(text, at, span.end) {
        match b {
            b'(' | b'[' | b'{' => {
                open.get_or_insert(token.end);
                depth += 1;
            }
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return open.map(|start| start..token.start);
                }
            }
            _ => {}
        }
        at = token.end;
    }
    None
}

/// A body, or that of the one value in it: a newtype, `ResMlp((…))` or `Components([…])`, counts as what it holds.
fn inner(text: &str, within: Range<usize>) -> Range<usize> {
    if let [Field { name: None, value }] = &entries(text, within.clone())[..]
        && text[..within.start].ends_with('(')
        && let Some(body) = body(text, value.clone())
    {
        return inner(text, body);
    }
    within
}

/// Fields or elements of a body.
fn entries(text: &str, within: Range<usize>) -> Vec<Field<'_>> {
    let mut out = Vec::new();
    let (mut at, mut depth) = (within.start, 0);
    let (mut start, mut colon) = (within.start, None);
    let mut push = |start: usize, colon: Option<usize>, end: usize| {
        let name = colon.map(|c: usize| clean(&text[start..c]));
        let from = colon.map_or(start, |c| c + 1);
        let value = trim(text, from..end);
        if !value.is_empty() {
            out.push(Field { name, value });
        }
    };
    while let Some((token, b)) = significant(text, at, within.end) {
        match b {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 && colon.is_none() => colon = Some(token.start),
            b',' if depth == 0 => {
                push(start, colon, token.start);
                (start, colon) = (token.end, None);
            }
            _ => {}
        }
        at = token.end;
    }
    push(start, colon, within.end);
    out
}

/// A name without the comments, blanks and quotes around it.
fn clean(text: &str) -> &str {
    let line =
        text.lines().rfind(|l| !l.trim().is_empty() && !l.trim_start().starts_with("//")).unwrap_or("");
    line.rsplit("*/").next().unwrap_or(line).trim().trim_matches('"')
}

/// The span without blanks and comments at its ends.
fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let mut found: Option<Range<usize>> = None;
    let mut at = span.start;
    while let Some((token, b)) = significant(text, at, span.end) {
        at = token.end;
        if !b.is_ascii_whitespace() {
            found = Some(found.map_or(token.start, |found| found.start)..token.end);
        }
    }
    found.unwrap_or(span.start..span.start)
}
