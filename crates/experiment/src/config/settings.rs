//! `path = value`: one field of a RON text replaced in the text, so that errors keep their line and column.

use std::ops::Range;

/// A setting of the command line or of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Names of fields, or positions in lists, from the outside in.
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
    /// around it.
    ///
    /// Errors: a position that no list has, a field of what has none. A name that no struct has is told by whoever
    /// reads the text.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let mut within = body(text, 0..text.len()).ok_or("the file is not one parenthesised struct")?;
        for (depth, name) in self.path.iter().enumerate() {
            let fields = fields(text, within.clone());
            let found = match name.parse::<usize>() {
                Ok(i) => fields.get(i).map(|f| f.value.clone()),
                Err(_) => fields.iter().find(|f| f.name == Some(name.as_str())).map(|f| f.value.clone()),
            };
            let last = depth + 1 == self.path.len();
            match found {
                Some(span) if last => return Ok(splice(text, span, &self.value)),
                Some(span) => {
                    within = body(text, span)
                        .ok_or_else(|| format!("«{}» has no fields", self.path[..=depth].join(".")))?;
                }
                None if name.parse::<usize>().is_err() => {
                    let start = inner(text, within).start;
                    return Ok(splice(text, start..start, &format!("{}, ", self.written_in(depth))));
                }
                None => {
                    let at = self.path[..=depth].join(".");
                    return Err(format!(
                        "there is no «{at}» in the file; entries are 0 … {}",
                        fields.len() as i64 - 1
                    ));
                }
            }
        }
        Err("an empty path".into())
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

/// The next byte that is neither in a string nor in a comment, from `at` on: (position, byte).
fn significant(text: &str, mut at: usize, end: usize) -> Option<(usize, u8)> {
    let bytes = text.as_bytes();
    while at < end {
        match bytes[at] {
            b'r' if let Some(last) = raw_string(text, at, end) => return Some((last, b'"')),
            b'"' => {
                let start = at;
                at += 1;
                while at < end && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                return Some((at.min(end - 1).max(start), b'"'));
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..end].find('\n').map_or(end, |n| at + n);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text[at + 2..end].find("*/").map_or(end, |n| at + n + 4);
            }
            b => return Some((at, b)),
        }
    }
    None
}

/// What stands between the outermost brackets of a value.
fn body(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let mut at = span.start;
    let mut open = None;
    let mut depth = 0;
    while let Some((i, b)) = significant(text, at, span.end) {
        match b {
            b'(' | b'[' | b'{' => {
                open.get_or_insert(i + 1);
                depth += 1;
            }
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return open.map(|start| start..i);
                }
            }
            _ => {}
        }
        at = i + 1;
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

/// Fields or elements of a body, or of the one value in it.
fn fields(text: &str, within: Range<usize>) -> Vec<Field<'_>> {
    entries(text, inner(text, within))
}

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
    while let Some((i, b)) = significant(text, at, within.end) {
        match b {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 && colon.is_none() => colon = Some(i),
            b',' if depth == 0 => {
                push(start, colon, i);
                (start, colon) = (i + 1, None);
            }
            _ => {}
        }
        at = i + 1;
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
    let mut first = None;
    let mut last = span.start;
    let mut at = span.start;
    while let Some((i, b)) = significant(text, at, span.end) {
        if !b.is_ascii_whitespace() {
            if first.is_none() {
                // A string is reported by its end; its start is the first quote of the span.
                first = Some(if b == b'"' { at + text[at..=i].find('"').unwrap_or(0) } else { i });
            }
            last = i + 1;
        }
        at = i + 1;
    }
    first.map_or(span.start..span.start, |f| f..last)
}
