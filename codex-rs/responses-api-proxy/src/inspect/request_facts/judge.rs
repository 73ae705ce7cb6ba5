//! Another reading of a request's body, by `serde_json`, to compare the inspector with: simple, and whole.

use std::fmt;

use codex_policy::Facts;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Malformed, RequestEncoding, RequestInspector};

/// A document with all members of its objects, in their order.
#[derive(Debug)]
enum Node {
    Null,
    Boolean(bool),
    Number,
    Whole(u64),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Whole(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

/// The only member of this name; nothing if there is none, or null.
fn only<'a>(members: &'a [(String, Node)], name: &str) -> Result<Option<&'a Node>, ()> {
    let mut found = members.iter().filter(|(known, _)| known == name);
    let first = found.next();
    if found.next().is_some() {
        return Err(());
    }
    Ok(first
        .map(|(_, value)| value)
        .filter(|value| !matches!(value, Node::Null)))
}

fn text(node: Option<&Node>, most: usize) -> Result<Option<String>, ()> {
    match node {
        None => Ok(None),
        Some(Node::Text(text)) if (1..=most).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(()),
    }
}

fn flag(node: Option<&Node>) -> Result<Option<bool>, ()> {
    match node {
        None => Ok(None),
        Some(Node::Boolean(value)) => Ok(Some(*value)),
        Some(_) => Err(()),
    }
}

fn tools(items: &[Node], found: &mut Vec<String>) -> Result<(), ()> {
    for item in items {
        let Node::Object(members) = item else {
            return Err(());
        };
        // A type that is null is not one.
        if members
            .iter()
            .any(|(name, value)| name == "type" && matches!(value, Node::Null))
        {
            return Err(());
        }
        let kind = text(only(members, "type")?, 64)?.ok_or(())?;
        if !found.contains(&kind) {
            found.push(kind);
        }
        if let Some(Node::Array(items)) = only(members, "tools")? {
            tools(items, found)?;
        }
    }
    Ok(())
}

fn facts(bytes: usize, node: &Node) -> Result<Facts, ()> {
    let Node::Object(members) = node else {
        return Err(());
    };
    let is_there = |name: &str| only(members, name).map(|value| value.is_some());
    let mut found = Vec::new();
    match only(members, "tools")? {
        None => {}
        Some(Node::Array(items)) => tools(items, &mut found)?,
        Some(_) => return Err(()),
    }
    if found.len() > 64 {
        return Err(());
    }
    // In the order of the document, which a tool inside a tool does not keep here.
    found.sort();
    flag(only(members, "stream")?)?;
    Ok(Facts {
        bytes: bytes as u64,
        model: text(only(members, "model")?, 256)?,
        max_output_tokens: match only(members, "max_output_tokens")? {
            None => None,
            Some(Node::Whole(number)) => Some(*number),
            Some(_) => return Err(()),
        },
        service_tier: text(only(members, "service_tier")?, 64)?,
        background: flag(only(members, "background")?)?.unwrap_or(false),
        store: flag(only(members, "store")?)?,
        previous_response_id: is_there("previous_response_id")?,
        conversation: is_there("conversation")?,
        prompt: is_there("prompt")?,
        tools: found,
    })
}

/// What the inspector makes of a body in these pieces.
pub(crate) fn inspected<'a>(
    encoding: RequestEncoding,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Facts, Malformed> {
    let mut inspector = RequestInspector::new(encoding, u64::MAX);
    for piece in pieces {
        inspector.push(piece)?;
    }
    inspector.finish()
}

/// Compares what the inspector found of a body with this reading of it. What it allows is what is there; what it refuses
/// is not JSON, or is refused for what it says.
pub(crate) fn compare(body: &[u8], inspected: Result<Facts, Malformed>) {
    let parsed: Result<Node, serde_json::Error> = serde_json::from_slice(body);
    match (parsed, inspected) {
        (Ok(node), inspected) => {
            let inspected = inspected.map(|mut facts| {
                facts.tools.sort();
                facts
            });
            // One level that the other reading has to spare, or not.
            if inspected == Err(Malformed::TooDeep) {
                return;
            }
            let judged = facts(body.len(), &node);
            match (&judged, &inspected) {
                (Ok(judged), Ok(inspected)) => assert_eq!(judged, inspected),
                (Err(()), Err(_)) => {}
                _ => panic!("{judged:?} is not {inspected:?}"),
            }
        }
        (Err(error), Ok(facts)) => {
            // What is read of them does not depend on these.
            let text = error.to_string();
            let is_harmless =
                text.contains("number out of range") || text.contains("recursion limit");
            assert!(is_harmless, "{text}: {facts:?}");
        }
        (Err(_), Err(_)) => {}
    }
}
