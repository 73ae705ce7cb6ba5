//! Which members of a body matter, what they have to be, and what they say.

use codex_policy::Facts;

use super::malformed::Malformed;

/// The longest name of a model, in bytes.
const MAX_MODEL: usize = 256;
/// The longest type of a tool, and the longest service tier, in bytes.
const MAX_TYPE: usize = 64;
/// How many types of tools there may be.
pub(super) const MAX_TOOL_TYPES: usize = 64;
/// The longest name of a member that matters, in bytes: `previous_response_id`.
const MAX_NAME: usize = 20;

const MODEL: &str = "a string of 1 to 256 bytes";
const TYPE: &str = "a string of at most 64 bytes";
const _: () = assert!(MAX_MODEL == 256 && MAX_TYPE == 64);

/// A value, or the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// `Some` if it is written in digits alone, and is small enough.
    Number(Option<u64>),
    /// `None` if it is longer than [`Members::text_limit`] said.
    Text(Option<&'a str>),
    Array,
    Object,
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Document,
    Member(Member),
    /// An item of a list of tools.
    Tool,
    ToolType,
    ToolTools,
    /// Where nothing matters.
    Elsewhere,
}

/// What an array or an object is that is not at its end.
enum Level {
    Body,
    ToolList,
    Tool {
        type_named: bool,
        type_found: bool,
        tools_named: bool,
    },
    Elsewhere,
}

macro_rules! members {
    ($($member:ident $name:literal,)+) => {
        /// A member of the body that matters.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Member { $($member,)+ }

        impl Member {
            const ALL: [Self; [$($name),+].len()] = [$(Self::$member),+];

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$member),)+
                    _ => None,
                }
            }

            /// The member whose name is the same without regard to case: there are readers of JSON that take them for one
            /// (`encoding/json` of Go, which folds as Unicode does).
            fn resembling(name: &str) -> Option<Self> {
                if name.is_ascii() {
                    let mut all = Self::ALL.into_iter();
                    return all.find(|member| member.name().eq_ignore_ascii_case(name));
                }
                let folded = name.to_lowercase().to_uppercase().to_lowercase();
                Self::named(&folded)
            }

            const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)+
                }
            }
        }

        const _: () = assert!($($name.len() <= MAX_NAME &&)+ true);
    };
}

members! {
    Model "model",
    MaxOutputTokens "max_output_tokens",
    ServiceTier "service_tier",
    Background "background",
    Store "store",
    Stream "stream",
    PreviousResponseId "previous_response_id",
    Conversation "conversation",
    Prompt "prompt",
    Tools "tools",
}

/// The members that matter of a body that is being read.
pub(super) struct Members {
    facts: Facts,
    /// A bit for each [`Member`] that was named.
    named: u16,
    levels: Vec<Level>,
    /// Of the value that follows a name.
    next: Place,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            facts: Facts::default(),
            named: 0,
            levels: Vec::new(),
            next: Place::Elsewhere,
        }
    }

    pub(super) fn facts(self) -> Facts {
        self.facts
    }

    fn place(&self) -> Place {
        match self.levels.last() {
            None => Place::Document,
            Some(Level::Body | Level::Tool { .. }) => self.next,
            Some(Level::ToolList) => Place::Tool,
            Some(Level::Elsewhere) => Place::Elsewhere,
        }
    }

    /// How much of the name that follows is to be kept, in bytes.
    pub(super) fn name_limit(&self) -> usize {
        match self.levels.last() {
            // Other cases of a letter can be three bytes long.
            Some(Level::Body | Level::Tool { .. }) => 3 * MAX_NAME,
            _ => 0,
        }
    }

    /// How much of the text that follows is to be kept, in bytes.
    pub(super) fn text_limit(&self) -> usize {
        match self.place() {
            Place::Member(Member::Model) => MAX_MODEL,
            Place::Member(Member::ServiceTier) | Place::ToolType => MAX_TYPE,
            _ => 0,
        }
    }

    /// The name of the member that follows; `None` if it is longer than [`Self::name_limit`].
    pub(super) fn name(&mut self, name: Option<&str>) -> Result<(), Malformed> {
        self.next = Place::Elsewhere;
        match self.levels.last_mut() {
            Some(Level::Body) => {
                let Some(member) = name.and_then(Member::named) else {
                    return match name.and_then(Member::resembling) {
                        Some(member) => Err(Malformed::Resembling(member.name())),
                        None => Ok(()),
                    };
                };
                let bit = 1 << member as u16;
                if self.named & bit != 0 {
                    return Err(Malformed::Repeated(member.name()));
                }
                self.named |= bit;
                self.next = Place::Member(member);
            }
            Some(Level::Tool {
                type_named,
                tools_named,
                ..
            }) => {
                let (place, named, shown) = match name {
                    Some("type") => (Place::ToolType, type_named, "tools[].type"),
                    Some("tools") => (Place::ToolTools, tools_named, "tools[].tools"),
                    _ => return Ok(()),
                };
                if *named {
                    return Err(Malformed::Repeated(shown));
                }
                *named = true;
                self.next = place;
            }
            Some(Level::ToolList | Level::Elsewhere) | None => {}
        }
        Ok(())
    }

    /// A value, or the beginning of an array or an object, which [`Self::end`] ends.
    pub(super) fn value(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        let level = match (self.place(), value) {
            (Place::Document, Value::Object) => Level::Body,
            (Place::Document, _) => return Err(Malformed::NotObject),
            (Place::Member(Member::Tools) | Place::ToolTools, Value::Array) => Level::ToolList,
            (Place::Tool, Value::Object) => Level::Tool {
                type_named: false,
                type_found: false,
                tools_named: false,
            },
            (Place::Tool, _) => return Err(wrong("tools[]", "an object")),
            (Place::ToolType, value) => {
                self.tool_type(value)?;
                Level::Elsewhere
            }
            (Place::Member(member), value) => {
                self.member(member, value)?;
                Level::Elsewhere
            }
            (Place::ToolTools | Place::Elsewhere, _) => Level::Elsewhere,
        };
        if matches!(value, Value::Array | Value::Object) {
            self.levels.push(level);
        }
        Ok(())
    }

    /// The innermost array or object ends.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        match self.levels.pop() {
            Some(Level::Tool {
                type_found: false, ..
            }) => Err(wrong("tools[].type", TYPE)),
            _ => Ok(()),
        }
    }

    fn member(&mut self, member: Member, value: Value<'_>) -> Result<(), Malformed> {
        let facts = &mut self.facts;
        let must_be = match (member, value) {
            (_, Value::Null) => return Ok(()),
            (Member::Model, Value::Text(Some(model))) if !model.is_empty() => {
                facts.model = Some(model.to_owned());
                return Ok(());
            }
            (Member::Model, _) => MODEL,
            (Member::MaxOutputTokens, Value::Number(Some(tokens))) => {
                facts.max_output_tokens = Some(tokens);
                return Ok(());
            }
            (Member::MaxOutputTokens, _) => "a number below 2^64, written in digits alone",
            (Member::ServiceTier, Value::Text(Some(tier))) => {
                facts.service_tier = Some(tier.to_owned());
                return Ok(());
            }
            (Member::ServiceTier, _) => TYPE,
            (Member::Background, Value::Bool(is_set)) => {
                facts.background = is_set;
                return Ok(());
            }
            (Member::Store, Value::Bool(is_set)) => {
                facts.store = Some(is_set);
                return Ok(());
            }
            (Member::Stream, Value::Bool(stream)) => {
                facts.stream = stream;
                return Ok(());
            }
            (Member::Background | Member::Store | Member::Stream, _) => "true or false",
            (Member::PreviousResponseId, _) => {
                facts.previous_response_id = true;
                return Ok(());
            }
            (Member::Conversation, _) => {
                facts.conversation = true;
                return Ok(());
            }
            (Member::Prompt, _) => {
                facts.prompt = true;
                return Ok(());
            }
            (Member::Tools, _) => "an array",
        };
        Err(wrong(member.name(), must_be))
    }

    fn tool_type(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        let Value::Text(Some(name)) = value else {
            return Err(wrong("tools[].type", TYPE));
        };
        if let Some(Level::Tool { type_found, .. }) = self.levels.last_mut() {
            *type_found = true;
        }
        let tools = &mut self.facts.tools;
        if tools.iter().any(|known| known == name) {
            return Ok(());
        }
        if tools.len() == MAX_TOOL_TYPES {
            return Err(Malformed::TooManyToolTypes);
        }
        tools.push(name.to_owned());
        Ok(())
    }
}

fn wrong(name: &'static str, must_be: &'static str) -> Malformed {
    Malformed::Member { name, must_be }
}
