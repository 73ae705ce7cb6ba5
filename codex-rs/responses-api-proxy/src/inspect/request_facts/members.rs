//! Which members of a request matter, and what may be in them. Pure.

use codex_policy::Facts;

use super::Malformed;

/// The longest service tier and the longest type of a tool, in bytes.
const MAX_NAME: usize = 64;

/// The most types of tools in one request.
const MAX_TOOLS: usize = 64;

/// The longest number that is read, in digits: that of the largest one there is.
pub(super) const MAX_DIGITS: usize = 20;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The body itself.
    Body,
    /// A member of the body that matters.
    Member(Member),
    /// An element of `tools`.
    Tool,
    /// The type of a tool.
    ToolType,
    /// Tools of a tool.
    ToolTools,
    /// Anything else.
    Other,
}

/// Members of the body that matter. Names are letter by letter, as the API reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Model,
    MaxOutputTokens,
    ServiceTier,
    Background,
    Store,
    Stream,
    PreviousResponseId,
    Conversation,
    Prompt,
    Tools,
}

impl Member {
    const ALL: [Self; 10] = [
        Self::Model,
        Self::MaxOutputTokens,
        Self::ServiceTier,
        Self::Background,
        Self::Store,
        Self::Stream,
        Self::PreviousResponseId,
        Self::Conversation,
        Self::Prompt,
        Self::Tools,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::ServiceTier => "service_tier",
            Self::Background => "background",
            Self::Store => "store",
            Self::Stream => "stream",
            Self::PreviousResponseId => "previous_response_id",
            Self::Conversation => "conversation",
            Self::Prompt => "prompt",
            Self::Tools => "tools",
        }
    }

    /// What it has to be.
    fn kind(self) -> &'static str {
        match self {
            Self::Model => "a text of 1 to 256 bytes",
            Self::MaxOutputTokens => "a whole number",
            Self::ServiceTier => "a text of 1 to 64 bytes",
            Self::Background | Self::Store | Self::Stream => "true or false",
            Self::PreviousResponseId | Self::Conversation | Self::Prompt => "what it should be",
            Self::Tools => "an array of objects that have a type",
        }
    }

    fn wrong(self) -> Malformed {
        Malformed::Not(self.name(), self.kind())
    }
}

/// A value, as far as it is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// `None` if it is too long to matter.
    String(Option<&'a str>),
    /// As written; `None` if it is too long to be read.
    Number(Option<&'a str>),
    Boolean(bool),
    Null,
    Object,
    Array,
}

/// Which of the members that matter an object has had, a bit for each.
pub(super) type Seen = u16;

/// The type of a tool, among what it has had.
const TYPE: Seen = 1;
const TOOLS: Seen = 2;

/// What has been found.
#[derive(Debug, Default)]
pub(super) struct Members {
    facts: Facts,
}

impl Role {
    /// The role of what is in an array in this role.
    pub(super) fn of_element(self) -> Self {
        match self {
            Self::Member(Member::Tools) | Self::ToolTools => Self::Tool,
            _ => Self::Other,
        }
    }

    /// Whether names of members are of interest in an object in this role.
    pub(super) fn has_members(self) -> bool {
        matches!(self, Self::Body | Self::Tool)
    }

    /// Whether the text of a string in this role is of interest.
    pub(super) fn keeps_text(self) -> bool {
        matches!(
            self,
            Self::Member(Member::Model | Member::ServiceTier) | Self::ToolType
        )
    }

    /// The role of the member `name` in an object in this role, which has had `seen`.
    ///
    /// # Errors
    ///
    /// It has had this one.
    pub(super) fn of_member(self, name: Option<&str>, seen: &mut Seen) -> Result<Self, Malformed> {
        let Some(name) = name else {
            return Ok(Self::Other);
        };
        let (role, name, bit) = match (self, name) {
            (Self::Tool, "type") => (Self::ToolType, "the type of a tool", TYPE),
            (Self::Tool, "tools") => (Self::ToolTools, "the tools of a tool", TOOLS),
            (Self::Body, name) => {
                let mut all = Member::ALL.iter().enumerate();
                match all.find(|(_, member)| member.name() == name) {
                    Some((at, &member)) => (Self::Member(member), member.name(), 1 << at),
                    None => return Ok(Self::Other),
                }
            }
            _ => return Ok(Self::Other),
        };
        if *seen & bit != 0 {
            return Err(Malformed::Twice(name));
        }
        *seen |= bit;
        Ok(role)
    }

    /// What an object in this role has to have had at its end.
    ///
    /// # Errors
    ///
    /// It has not.
    pub(super) fn check_end(self, seen: Seen) -> Result<(), Malformed> {
        match self {
            Self::Tool if seen & TYPE == 0 => Err(Member::Tools.wrong()),
            _ => Ok(()),
        }
    }
}

impl Members {
    /// A value, an object or array when it begins.
    ///
    /// # Errors
    ///
    /// It is not what it has to be.
    pub(super) fn value(&mut self, role: Role, value: Value<'_>) -> Result<(), Malformed> {
        let facts = &mut self.facts;
        match (role, value) {
            (Role::Body, Value::Object) | (Role::Tool, Value::Object) | (Role::Other, _) => {}
            (Role::Body, _) => return Err(Malformed::NotAnObject),
            (Role::Tool, _) => return Err(Member::Tools.wrong()),
            (Role::ToolType, Value::String(Some(name))) if is_name(name, MAX_NAME) => {
                if !facts.tools.iter().any(|known| known == name) {
                    if facts.tools.len() >= MAX_TOOLS {
                        return Err(Malformed::TooManyTools);
                    }
                    facts.tools.push(name.to_owned());
                }
            }
            (Role::ToolType, _) => return Err(Member::Tools.wrong()),
            // What is not an array there has no tools in it that anybody would look for.
            (Role::ToolTools, _) => {}
            (Role::Member(_), Value::Null) => {}
            (Role::Member(member), value) => match (member, value) {
                (Member::Model, Value::String(Some(model))) if !model.is_empty() => {
                    facts.model = Some(model.to_owned());
                }
                (Member::ServiceTier, Value::String(Some(tier))) if is_name(tier, MAX_NAME) => {
                    facts.service_tier = Some(tier.to_owned());
                }
                (Member::MaxOutputTokens, Value::Number(Some(number))) => {
                    let is_whole = number.bytes().all(|byte| byte.is_ascii_digit());
                    let number = number.parse().ok().filter(|_| is_whole);
                    facts.max_output_tokens = Some(number.ok_or_else(|| member.wrong())?);
                }
                (Member::Background, Value::Boolean(is_set)) => facts.background = is_set,
                (Member::Store, Value::Boolean(is_set)) => facts.store = Some(is_set),
                (Member::Stream, Value::Boolean(_)) => {}
                (Member::PreviousResponseId, _) => facts.previous_response_id = true,
                (Member::Conversation, _) => facts.conversation = true,
                (Member::Prompt, _) => facts.prompt = true,
                (Member::Tools, Value::Array) => {}
                _ => return Err(member.wrong()),
            },
        }
        Ok(())
    }

    pub(super) fn into_facts(self) -> Facts {
        self.facts
    }
}

fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
}
