//! What the requests of a caller may ask for.

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;

use codex_ledger::Limit;

use crate::denied::{Denied, quoted};
use crate::facts::Facts;
use crate::model_glob::ModelGlob;

/// The service tier of a request that does not name one, by the reference of the API.
const TIER_UNSAID: &str = "auto";

/// What is known of a request that is not in its body.
#[derive(Clone, Copy, Debug)]
pub struct Under {
    /// Whether the worst case is held: a request is sent only if it fits all limits, whatever it will cost.
    pub strict: bool,
    /// Whether a limit in tokens or US dollars applies, of the caller or of all.
    pub spends: bool,
    /// Whether the request has the header `OpenAI-Beta: responses_multi_agent=…`.
    pub multi_agent: bool,
}

/// The rules of one table. Everything is allowed that they do not restrict.
#[derive(Debug)]
pub struct Rules {
    pub(crate) models: Option<Vec<ModelGlob>>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) require_max_output_tokens: bool,
    pub(crate) service_tiers: Option<Vec<String>>,
    pub(crate) tools: Option<Vec<String>>,
    pub(crate) background: Option<bool>,
    pub(crate) previous_response_id: Option<bool>,
    pub(crate) conversation: Option<bool>,
    pub(crate) prompt: Option<bool>,
    pub(crate) multi_agent: Option<bool>,
    pub(crate) store: Option<bool>,
    pub(crate) limits: Arc<[Limit]>,
    pub(crate) concurrent: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            models: None,
            max_output_tokens: None,
            require_max_output_tokens: false,
            service_tiers: None,
            tools: None,
            background: None,
            previous_response_id: None,
            conversation: None,
            prompt: None,
            multi_agent: None,
            store: None,
            limits: Arc::new([]),
            concurrent: None,
        }
    }
}

impl Rules {
    /// How much may be spent from the account, and in which time.
    #[must_use]
    pub fn limits(&self) -> &Arc<[Limit]> {
        &self.limits
    }

    /// How many requests of the account may be under way at the same time.
    #[must_use]
    pub fn concurrent(&self) -> Option<u32> {
        self.concurrent
    }

    /// Whether a request may be sent, apart from limits; `who` names the caller in messages.
    ///
    /// # Errors
    ///
    /// [`Denied`], for the first rule that the request breaks; for its model before everything else.
    pub fn check(&self, facts: &Facts, under: &Under, who: &str) -> Result<(), Denied> {
        self.check_model(facts, under, who)?;
        self.check_output(facts.max_output_tokens, under, who)?;
        self.check_tier(facts.service_tier.as_deref(), who)?;
        self.check_tools(&facts.tools, who)?;
        for (key, asked, rule) in [
            ("background", facts.background, self.background),
            (
                "previous_response_id",
                facts.previous_response_id,
                self.previous_response_id,
            ),
            ("conversation", facts.conversation, self.conversation),
            ("multi_agent", under.multi_agent, self.multi_agent),
        ] {
            if asked {
                check_unbounded(key, rule, under, who)?;
            }
        }
        // The API stores a response unless the request says otherwise.
        if self.store == Some(false) && facts.store != Some(false) {
            return Err(Denied::request(format!("store has to be false for {who}")));
        }
        Ok(())
    }

    fn check_model(&self, facts: &Facts, under: &Under, who: &str) -> Result<(), Denied> {
        let denied = |model: &str, allowed: &[ModelGlob]| {
            let allowed = list(allowed);
            Denied::model(format!(
                "{model} is not allowed for {who}; allowed: {allowed}"
            ))
        };
        if let (Some(model), Some(allowed)) = (&facts.model, &self.models)
            && !allowed.iter().any(|glob| glob.matches(model))
        {
            return Err(denied(&format!("the model {}", quoted(model)), allowed));
        }
        if facts.prompt {
            check_unbounded("prompt", self.prompt, under, who)?;
            if self.prompt.is_none() && self.tools.is_some() {
                return Err(Denied::request(format!(
                    "prompt is not allowed for {who}: a stored prompt can have tools that are not"
                )));
            }
        } else if facts.model.is_none() {
            return Err(Denied::request("model is missing".to_owned()));
        }
        // Nor if the prompt is allowed: it would choose the model.
        match (&facts.model, &self.models) {
            (None, Some(allowed)) => Err(denied("a request without a model", allowed)),
            _ => Ok(()),
        }
    }

    fn check_output(&self, asked: Option<u64>, under: &Under, who: &str) -> Result<(), Denied> {
        match (asked, self.max_output_tokens) {
            (Some(asked), Some(most)) if asked > most => Err(Denied::request(format!(
                "max_output_tokens is {asked}, and at most {most} is allowed for {who}"
            ))),
            (None, most) if self.require_max_output_tokens => {
                let most = most.map_or_else(String::new, |most| format!(", at most {most}"));
                Err(Denied::request(format!(
                    "max_output_tokens is missing; it is required for {who}{most}"
                )))
            }
            (None, _) if under.strict && under.spends => Err(Denied::request(format!(
                "max_output_tokens is missing; the limits for {who} require it, as they are strict"
            ))),
            _ => Ok(()),
        }
    }

    fn check_tier(&self, asked: Option<&str>, who: &str) -> Result<(), Denied> {
        let Some(allowed) = &self.service_tiers else {
            return Ok(());
        };
        let tier = asked.unwrap_or(TIER_UNSAID);
        if allowed.iter().any(|it| it == tier) {
            return Ok(());
        }
        let tier = match asked {
            Some(tier) => format!("the service_tier {}", quoted(tier)),
            None => format!("a request without service_tier, which is {TIER_UNSAID},"),
        };
        let allowed = list(allowed);
        Err(Denied::request(format!(
            "{tier} is not allowed for {who}; allowed: {allowed}"
        )))
    }

    fn check_tools(&self, asked: &[String], who: &str) -> Result<(), Denied> {
        let Some(allowed) = &self.tools else {
            return Ok(());
        };
        match asked.iter().find(|tool| !allowed.contains(tool)) {
            Some(tool) => Err(Denied::request(format!(
                "the tool {} is not allowed for {who}; allowed: {}",
                quoted(tool),
                list(allowed)
            ))),
            None => Ok(()),
        }
    }
}

/// What makes the cost of a request unknown beforehand has to be allowed by name where the cost is limited.
fn check_unbounded(key: &str, rule: Option<bool>, under: &Under, who: &str) -> Result<(), Denied> {
    match rule {
        Some(true) => Ok(()),
        None if !under.spends => Ok(()),
        Some(false) => Err(Denied::request(format!("{key} is not allowed for {who}"))),
        None => Err(Denied::request(format!(
            "{key} is not allowed for {who} under a limit in tokens or US dollars"
        ))),
    }
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    items.join(", ")
}
