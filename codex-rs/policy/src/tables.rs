//! The tables of a policy file.

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::sync::Arc;

use codex_ledger::{Limit, Window};
use codex_pricing::Overlay;

use crate::account::Account;
use crate::document::{self, Node};
use crate::error::PolicyError;
use crate::limits::{WINDOWS, measure, most, window};
use crate::model_glob::{GlobError, ModelGlob};
use crate::policy::{Group, Policy, Table, Total};
use crate::rules::Rules;

/// Looks up users and groups of the machine.
pub trait Names {
    /// The ID of the user of this name; `None` if there is none.
    fn user(&self, name: &str) -> Option<u32>;

    /// The IDs of all users in the group of this name, also of those whose primary group it is; `None` if there
    /// is no such group.
    fn group(&self, name: &str) -> Option<Vec<u32>>;
}

/// Which callers a table covers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covers {
    One,
    Many,
}

pub(crate) fn parse(text: &str, names: &dyn Names) -> Result<Policy, PolicyError> {
    let document = document::parse(text)?;
    let mut policy = Policy::of_nobody();
    let mut of_callers = false;
    let root = document::entries(text, document.get_ref());
    if root.is_empty() {
        // What is left of a file that somebody is about to write, or failed to.
        return Err(PolicyError {
            line: 1,
            key: None,
            what: "the policy is empty; to allow everything, write [everyone]".to_owned(),
        });
    }
    for node in root {
        of_callers |= matches!(node.name(), "everyone" | "user" | "group" | "token");
        match node.name() {
            "everyone" => {
                policy.everyone = Some(table(&node, Account::everyone(), Covers::Many)?);
            }
            "user" => {
                for node in tables_below(&node)? {
                    add_user(&mut policy, &node, names)?;
                }
            }
            "group" => {
                for node in tables_below(&node)? {
                    policy.groups.push(group(&node, names)?);
                }
            }
            "token" => {
                for node in tables_below(&node)? {
                    let table = table(&node, token(&node)?, Covers::One)?;
                    policy.tokens.insert(node.name().to_owned(), table);
                }
            }
            "total" => policy.total = total(&node)?,
            "prices" => {
                let (name, value) = (node.spanned_name(), node.spanned_value());
                policy.prices = Some(Overlay::from_table(text, name, value)?);
            }
            _ => {
                let what = "is not known; everyone, user, group, token, total and prices are";
                return Err(node.fault(what));
            }
        }
    }
    if !of_callers {
        policy.everyone = Some(Table::of_everyone(Rules::default()));
    }
    Ok(policy)
}

/// The tables under `user`, `group` or `token`, of which there is one at least.
fn tables_below<'a, 'i>(node: &Node<'a, 'i>) -> Result<Vec<Node<'a, 'i>>, PolicyError> {
    let below = node.entries()?;
    if below.is_empty() {
        let name = node.name();
        return Err(node.fault(format!("is empty; write a table [{name}.NAME]")));
    }
    Ok(below)
}

fn add_user(
    policy: &mut Policy,
    node: &Node<'_, '_>,
    names: &dyn Names,
) -> Result<(), PolicyError> {
    let name = node.name();
    let uid = if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        // The highest stands for no user in system calls; see setreuid(2).
        name.parse().ok().filter(|uid| *uid != u32::MAX)
    } else {
        names.user(name)
    };
    let uid = uid.ok_or_else(|| node.fault("there is no such user on this machine"))?;
    match policy.users.entry(uid) {
        Entry::Vacant(place) => {
            place.insert(table(node, Account::user(uid), Covers::One)?);
            Ok(())
        }
        Entry::Occupied(_) => Err(node.fault(format!(
            "the user {uid} has a table above already, by another name"
        ))),
    }
}

fn group(node: &Node<'_, '_>, names: &dyn Names) -> Result<Group, PolicyError> {
    let name = node.name();
    // With a slash, its account could have the key of another account of one caller.
    let members = names.group(name).filter(|_| !name.contains('/'));
    let members = members.ok_or_else(|| node.fault("there is no such group on this machine"))?;
    Ok(Group {
        members: members.into_iter().collect(),
        table: table(node, Account::group(name), Covers::Many)?,
    })
}

fn token(node: &Node<'_, '_>) -> Result<Account, PolicyError> {
    let name = node.name();
    let is_of_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    if name.is_empty() || !name.bytes().all(is_of_name) {
        let what =
            "cannot be the name of a client token; those are of A-Z, a-z, 0-9, -, _, . and @";
        return Err(node.fault(what));
    }
    Ok(Account::token(name))
}

fn total(node: &Node<'_, '_>) -> Result<Total, PolicyError> {
    let mut total = Total::default();
    for node in node.entries()? {
        match node.name() {
            "limits" => total.limits = limits(&node)?,
            "concurrent" => total.concurrent = Some(concurrent(&node)?),
            _ => return Err(node.fault("is not known here; limits and concurrent are")),
        }
    }
    Ok(total)
}

fn table(node: &Node<'_, '_>, account: Account, covers: Covers) -> Result<Table, PolicyError> {
    let mut rules = Rules::default();
    let mut each_caller = false;
    for node in node.entries()? {
        match node.name() {
            "models" => rules.models = Some(models(&node)?),
            "max_output_tokens" => rules.max_output_tokens = Some(node.count(u64::MAX)?),
            "require_max_output_tokens" => rules.require_max_output_tokens = node.boolean()?,
            "service_tiers" => rules.service_tiers = Some(strings(&node)?),
            "tools" => rules.tools = Some(strings(&node)?),
            "background" => rules.background = Some(node.boolean()?),
            "previous_response_id" => rules.previous_response_id = Some(node.boolean()?),
            "conversation" => rules.conversation = Some(node.boolean()?),
            "prompt" => rules.prompt = Some(node.boolean()?),
            "multi_agent" => rules.multi_agent = Some(node.boolean()?),
            "store" => rules.store = Some(node.boolean()?),
            "limits" => rules.limits = limits(&node)?,
            "concurrent" => rules.concurrent = Some(concurrent(&node)?),
            "each_caller" if covers == Covers::Many => each_caller = node.boolean()?,
            "each_caller" => return Err(node.fault("is for [everyone] and [group.NAME] only")),
            _ => return Err(node.fault(UNKNOWN)),
        }
    }
    Ok(Table {
        account,
        each_caller,
        rules: Arc::new(rules),
    })
}

const UNKNOWN: &str = "is not known; models, max_output_tokens, require_max_output_tokens, service_tiers, \
                       tools, background, previous_response_id, conversation, prompt, multi_agent, store, \
                       limits, concurrent and each_caller are";

fn models(node: &Node<'_, '_>) -> Result<Vec<ModelGlob>, PolicyError> {
    let models = node.names()?.into_iter();
    models
        .map(|(node, model)| {
            model
                .parse()
                .map_err(|error: GlobError| node.fault(error.to_string()))
        })
        .collect()
}

fn strings(node: &Node<'_, '_>) -> Result<Vec<String>, PolicyError> {
    let strings = node.names()?.into_iter();
    Ok(strings.map(|(_, string)| string.to_owned()).collect())
}

fn concurrent(node: &Node<'_, '_>) -> Result<u32, PolicyError> {
    let what = "has to be an integer";
    let concurrent = node.count(u32::MAX.into())?;
    u32::try_from(concurrent).map_err(|_| node.fault(what))
}

fn limits(node: &Node<'_, '_>) -> Result<Arc<[Limit]>, PolicyError> {
    let mut limits: Vec<Limit> = Vec::new();
    for node in node.elements("has to be an array of tables, each with its [[…limits]]")? {
        let limit = limit(&node)?;
        let is_same = |it: &Limit| it.measure == limit.measure && it.window == limit.window;
        if limits.iter().any(is_same) {
            return Err(node.fault("there is a limit of this measure and window above already"));
        }
        limits.push(limit);
    }
    Ok(limits.into())
}

fn limit(node: &Node<'_, '_>) -> Result<Limit, PolicyError> {
    let mut counted = None;
    let mut per: Option<Window> = None;
    for node in node.entries()? {
        if let Some(measure) = measure(node.name()) {
            if counted.is_some() {
                let what = "may not stand beside another measure; write a table for each";
                return Err(node.fault(what));
            }
            let most = most(measure, node.value()).map_err(|what| node.fault(what))?;
            counted = Some((measure, most));
        } else if node.name() == "per" {
            per = Some(window(node.string(WINDOWS)?).ok_or_else(|| node.fault(WINDOWS))?);
        } else {
            return Err(node.fault("is not known; requests, tokens, usd and per are"));
        }
    }
    let (measure, most) =
        counted.ok_or_else(|| node.fault("has none of requests, tokens and usd"))?;
    let window = per.ok_or_else(|| node.fault("has no per, such as \"day\""))?;
    Ok(Limit {
        measure,
        most,
        window,
    })
}
