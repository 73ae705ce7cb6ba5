//! What has to hold when the facts of a request are read; also called by a property test, which compiles this file alone.

use std::fmt;
use std::io::Write as _;

use codex_policy::Facts;
use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::inspect::request_facts::{Malformed, RequestEncoding, RequestInspector};

/// However a request is cut, and however it is encoded, it says what a parser of the whole finds, or is refused.
pub fn request_facts(data: &[u8]) {
    let (control, body) = split(data);
    let read = inspected(RequestEncoding::Identity, body, control);
    assert_eq!(read, inspected(RequestEncoding::Identity, body, &[]));
    match (&read, judged(body)) {
        (Ok(facts), Ok(Ok(expected))) => assert_eq!(*facts, expected),
        (Ok(_), Ok(Err(rule))) => panic!("accepted, although {rule}"),
        (Ok(_), Err(error)) => {
            let error = error.to_string();
            // One level less, and doubles alone.
            assert!(error.contains("recursion limit") || error.contains("number out of range"));
        }
        (Err(Malformed::NotJson | Malformed::CutShort | Malformed::Empty), Ok(_)) => {
            panic!("refused as not JSON");
        }
        (Err(refused), Ok(Ok(_))) => panic!("refused: {refused}"),
        (Err(_), Ok(Err(_)) | Err(_)) => {}
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(read, inspected(RequestEncoding::Gzip, &gzip, control));
    let zstd = compress_to_vec(body, CompressionLevel::Fastest);
    assert_eq!(read, inspected(RequestEncoding::Zstd, &zstd, control));
}

/// However what claims to be gzip or zstd is cut, the same is found, or it is refused: for its encoding or for what was
/// decoded before that, of which the decoder of gzip may tell either.
pub fn request_encodings(data: &[u8]) {
    let (control, body) = split(data);
    for encoding in [RequestEncoding::Gzip, RequestEncoding::Zstd] {
        assert_eq!(
            inspected(encoding, body, control).ok(),
            inspected(encoding, body, &[]).ok()
        );
    }
}

/// How to cut, and what.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let count = data.first().map_or(0, |first| usize::from(first % 8));
    let rest = data.get(1..).unwrap_or_default();
    rest.split_at(count.min(rest.len()))
}

fn inspected(
    encoding: RequestEncoding,
    mut body: &[u8],
    control: &[u8],
) -> Result<Facts, Malformed> {
    let mut inspector = RequestInspector::new(encoding, 1 << 20);
    let mut sizes = control.iter().cycle();
    while !body.is_empty() {
        let size = sizes.next().map_or(body.len(), |size| 1 + *size as usize);
        let (piece, rest) = body.split_at(size.min(body.len()));
        inspector.push(piece)?;
        body = rest;
    }
    inspector.finish()
}

/// What is true of a body; the rule that it breaks; or that it is not JSON.
fn judged(body: &[u8]) -> serde_json::Result<Result<Facts, &'static str>> {
    let tree = serde_json::from_slice(body)?;
    Ok(facts(&tree).map(|facts| Facts {
        bytes: body.len() as u64,
        ..facts
    }))
}

fn facts(body: &Tree) -> Result<Facts, &'static str> {
    let Tree::Object(members) = body else {
        return Err("it is not an object");
    };
    let matter = [
        "model",
        "max_output_tokens",
        "service_tier",
        "background",
        "store",
        "stream",
        "previous_response_id",
        "conversation",
        "prompt",
        "tools",
    ];
    for (name, _) in members {
        let folded = name.to_lowercase().to_uppercase().to_lowercase();
        if folded != *name && matter.contains(&folded.as_str()) {
            return Err("a name resembles one that matters");
        }
    }
    let mut facts = Facts::default();
    let is_there = |name| Ok::<_, &'static str>(once(members, name)?.is_some());
    facts.model = text(once(members, "model")?, 1, 256)?;
    facts.max_output_tokens = match once(members, "max_output_tokens")? {
        None => None,
        Some(Tree::Natural(tokens)) => Some(*tokens),
        Some(_) => return Err("max_output_tokens is not a number"),
    };
    facts.service_tier = text(once(members, "service_tier")?, 0, 64)?;
    facts.background = flag(once(members, "background")?)?.unwrap_or_default();
    facts.store = flag(once(members, "store")?)?;
    facts.stream = flag(once(members, "stream")?)?.unwrap_or_default();
    facts.previous_response_id = is_there("previous_response_id")?;
    facts.conversation = is_there("conversation")?;
    facts.prompt = is_there("prompt")?;
    match once(members, "tools")? {
        None => {}
        Some(Tree::Array(tools)) => list(tools, &mut facts.tools)?,
        Some(_) => return Err("tools is not an array"),
    }
    Ok(facts)
}

fn list(tools: &[Tree], types: &mut Vec<String>) -> Result<(), &'static str> {
    for tool in tools {
        let Tree::Object(members) = tool else {
            return Err("a tool is not an object");
        };
        // In their order, which is that of the types.
        let inner = once(members, "tools")?;
        let name = text(once(members, "type")?, 0, 64)?.ok_or("a tool has no type")?;
        for (member, _) in members {
            match (member.as_str(), inner) {
                ("type", _) if !types.contains(&name) => types.push(name.clone()),
                ("tools", Some(Tree::Array(inner))) => list(inner, types)?,
                _ => {}
            }
        }
        if types.len() > 64 {
            return Err("there are too many types");
        }
    }
    Ok(())
}

/// The member of that name, unless it is null.
fn once<'a>(
    members: &'a [(String, Tree)],
    name: &'static str,
) -> Result<Option<&'a Tree>, &'static str> {
    let mut found = members.iter().filter(|(member, _)| member == name);
    let first = found.next().map(|(_, value)| value);
    if found.next().is_some() {
        return Err("a member is there twice");
    }
    Ok(first.filter(|value| !matches!(value, Tree::Null)))
}

fn text(value: Option<&Tree>, min: usize, max: usize) -> Result<Option<String>, &'static str> {
    match value {
        None => Ok(None),
        Some(Tree::Text(text)) if (min..=max).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err("it is not such a string"),
    }
}

fn flag(value: Option<&Tree>) -> Result<Option<bool>, &'static str> {
    match value {
        None => Ok(None),
        Some(Tree::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err("it is neither true nor false"),
    }
}

/// Like [`serde_json::Value`], with all members, also those that have one name.
enum Tree {
    Null,
    Bool(bool),
    Natural(u64),
    Number,
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

struct AnyTree;

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Natural(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Tree::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Tree::Object(all))
    }
}
