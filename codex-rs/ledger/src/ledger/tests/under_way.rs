//! What requests under way may come to together, however little is expected of each.

use super::*;

#[test]
fn beside_one_that_may_cost_all_that_is_left_no_other_one_is_sent() {
    let (ledger, _) = ledger();
    let who = subjects(100);
    let enter = || ledger.enter(who.clone(), Mode::Expected).unwrap();
    let (mut first, mut second) = (enter(), enter());
    first.hold(usd(1), usd(500)).unwrap();
    let refused = second.hold(usd(1), usd(1)).unwrap_err();
    let Which::Limit { spent: 0, held, .. } = refused.what else {
        panic!("{refused:?}")
    };
    assert_eq!((&*refused.account, held), ("alice", 500));
    first.settle(usd(1));
    second.hold(usd(1), usd(99)).unwrap();
    // 1 is spent, and 99 may be.
    let mut third = enter();
    third.hold(usd(1), usd(500)).unwrap();
    assert!(enter().hold(usd(1), usd(1)).is_err());
    third.settle(usd(1));
    // 2 are spent.
    assert!(enter().hold(usd(1), usd(1)).is_err());
    second.settle(usd(50));
    assert!(enter().hold(usd(1), usd(1)).is_ok());
}

proptest! {
    #[test]
    fn a_limit_is_passed_by_no_more_than_one_request_may_cost(
        steps in proptest::collection::vec((any::<bool>(), 1..60_u64, 0..60_u64), 1..100),
    ) {
        let (ledger, _) = ledger();
        let who = subjects(100);
        let mut under_way = Vec::new();
        for (begins, most, charge) in steps {
            if !begins {
                if let Some((mut grant, most)) = under_way.pop() {
                    let _: Vec<_> = Grant::settle(&mut grant, usd(charge.min(most)));
                }
            } else if let Ok(mut grant) = ledger.enter(who.clone(), Mode::Expected)
                && grant.hold(usd(1), usd(most)).is_ok()
            {
                under_way.push((grant, most));
            }
            let (spent, _) = spent(&ledger, "alice");
            let largest = under_way.iter().map(|(_, most)| *most).max().unwrap_or(0);
            let all = under_way.iter().map(|(_, most)| *most).sum::<u64>();
            prop_assert!(spent + all <= 100 + largest.max(59), "{spent} and {all}");
        }
        for (mut grant, most) in under_way {
            grant.settle(usd(most));
        }
        prop_assert!(spent(&ledger, "alice").0 < 100 + 60);
        prop_assert!(ledger.lock().accounts.values().all(|account| account.at_most(Measure::Usd) == 0));
    }
}
