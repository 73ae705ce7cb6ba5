use super::*;

use codex_ledger::Window;

use crate::denied::DeniedCode;

struct Machine;

impl Names for Machine {
    fn user(&self, name: &str) -> Option<u32> {
        match name {
            "alice" => Some(1001),
            "bob" => Some(1002),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<Vec<u32>> {
        match name {
            "agents" => Some(vec![1001, 1003]),
            "builders" => Some(vec![1003, 1004]),
            _ => None,
        }
    }
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, &Machine).unwrap()
}

fn key(policy: &Policy, uid: Option<u32>, token: Option<&str>) -> String {
    let applied = policy.rules_for(uid, token).unwrap();
    applied.account.key().to_string()
}

fn limit(measure: Measure, most: u64) -> Limit {
    Limit {
        measure,
        most,
        window: Window::Day,
    }
}

#[test]
fn exactly_one_table_applies() {
    let policy = policy(
        "[everyone]\nconcurrent = 1\n\
         [group.builders]\nconcurrent = 2\n\
         [group.agents]\nconcurrent = 3\n\
         [user.alice]\n\
         [user.1005]\nconcurrent = 5\n\
         [token.ci]\nconcurrent = 6\n",
    );
    for (uid, token, expected, concurrent) in [
        (Some(1001), Some("ci"), "token:ci", Some(6)),
        (None, Some("ci"), "token:ci", Some(6)),
        (Some(1001), Some("other"), "user:1001", None),
        (Some(1001), None, "user:1001", None),
        (Some(1005), None, "user:1005", Some(5)),
        // In both groups: the first of the file, not of the alphabet.
        (Some(1003), None, "group:builders", Some(2)),
        (Some(1002), None, "everyone", Some(1)),
        (None, None, "everyone", Some(1)),
        (None, Some("other"), "everyone", Some(1)),
    ] {
        let applied = policy.rules_for(uid, token).unwrap();
        assert_eq!(&*applied.account.key(), expected, "{uid:?} {token:?}");
        assert_eq!(applied.rules.concurrent(), concurrent, "{uid:?} {token:?}");
    }
}

#[test]
fn a_table_can_have_an_account_for_each_caller() {
    let policy = policy(
        "[everyone]\neach_caller = true\nconcurrent = 2\n[group.agents]\neach_caller = true\n",
    );
    assert_eq!(key(&policy, Some(1002), None), "everyone/user:1002");
    assert_eq!(key(&policy, Some(1002), Some("ci")), "everyone/token:ci");
    assert_eq!(key(&policy, None, None), "everyone/unknown");
    assert_eq!(key(&policy, Some(1003), None), "group:agents/user:1003");
    let applied = policy.rules_for(Some(1002), None).unwrap();
    assert_eq!(applied.rules.concurrent(), Some(2));
}

#[test]
fn the_key_of_a_table_is_made_once() {
    let policy = policy("[everyone]\n");
    let account = |uid| policy.rules_for(Some(uid), None).unwrap().account;
    assert!(Arc::ptr_eq(&account(1).key(), &account(2).key()));
}

#[test]
fn a_caller_without_a_table_is_denied() {
    let policy = policy("[user.alice]\n[total]\nconcurrent = 3\n");
    for (uid, token, who) in [
        (Some(1002), None, "the user 1002"),
        (None, Some("c\ni"), "the token c\\ni"),
        (Some(1002), Some("ci"), "the token ci or the user 1002"),
        (None, None, "a caller whose user is not known"),
    ] {
        let denied = policy.rules_for(uid, token).unwrap_err();
        assert_eq!(denied.code, DeniedCode::Caller);
        assert_eq!(denied.message, format!("the policy has no table for {who}"));
    }
    assert_eq!(key(&policy, Some(1001), None), "user:1001");
}

#[test]
fn without_tables_of_callers_everybody_may_do_everything() {
    let policy = policy(
        "[total]\nconcurrent = 3\n[[total.limits]]\nrequests = 5\nper = \"day\"\n\
         [prices.mine]\ninput = 1\noutput = 2\n",
    );
    assert_eq!(key(&policy, None, None), "everyone");
    let applied = policy.rules_for(Some(1), None).unwrap();
    assert!(applied.rules.limits().is_empty());
    assert_eq!(applied.rules.concurrent(), None);
    assert_eq!(policy.total().concurrent(), Some(3));
    let limits = [limit(Measure::Requests, 5)];
    assert_eq!(policy.total().limits().as_ref(), limits);
    let prices = Overlay::parse("[prices.mine]\ninput = 1\noutput = 2\n").unwrap();
    assert_eq!(policy.prices(), Some(&prices));
}

#[test]
fn all_limits_are_listed_with_their_accounts() {
    let policy = policy(
        "[[everyone.limits]]\nrequests = 1\nper = \"day\"\n\
         [[group.agents.limits]]\nrequests = 2\nper = \"day\"\n\
         [[user.alice.limits]]\nrequests = 3\nper = \"day\"\n\
         [[token.ci.limits]]\nrequests = 4\nper = \"day\"\n\
         [[total.limits]]\ntokens = 5\nper = \"day\"\n",
    );
    let limits: Vec<_> = policy
        .limits()
        .into_iter()
        .map(|(account, limit)| (account.to_string(), limit.most))
        .collect();
    let expected = [
        ("total", 5),
        ("everyone", 1),
        ("group:agents", 2),
        ("user:1001", 3),
        ("token:ci", 4),
    ];
    assert_eq!(limits, expected.map(|(key, most)| (key.to_owned(), most)));
    assert!(policy.has(Measure::Requests));
    assert!(policy.has(Measure::Tokens));
    assert!(!policy.has(Measure::Usd));
}

#[test]
fn flags_are_for_everyone() {
    let limits = vec![
        limit(Measure::Usd, 20),
        limit(Measure::Requests, 60),
        limit(Measure::Usd, 10),
    ];
    let policy = Policy::of_everyone(vec!["gpt-5*".parse().unwrap()], limits);
    let applied = policy.rules_for(Some(1001), Some("ci")).unwrap();
    assert_eq!(&*applied.account.key(), "everyone");
    let smallest = [limit(Measure::Requests, 60), limit(Measure::Usd, 10)];
    assert_eq!(applied.rules.limits().as_ref(), smallest);
    assert_eq!(applied.rules.models.as_ref().map(Vec::len), Some(1));
    let free = Policy::of_everyone(Vec::new(), Vec::new());
    let applied = free.rules_for(None, None).unwrap();
    assert_eq!(applied.rules.models, None);
}
