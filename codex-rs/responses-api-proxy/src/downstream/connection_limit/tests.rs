use super::*;

fn limit(slots: usize) -> Arc<ConnectionLimit> {
    Arc::new(ConnectionLimit::new(slots, None, u64::MAX))
}

fn connect_as(
    limit: &Arc<ConnectionLimit>,
    user: Option<u32>,
) -> (Arc<ConnectionState>, Result<ConnectionPermit, LimitReached>) {
    let connection_state = Arc::new(ConnectionState::default());
    let permit = limit.admit(&connection_state, user);
    connection_state.become_idle(limit.tick());
    (connection_state, permit)
}

fn connect(
    limit: &Arc<ConnectionLimit>,
) -> (Arc<ConnectionState>, Result<ConnectionPermit, LimitReached>) {
    connect_as(limit, None)
}

/// Connections that stay busy, as many of `wanted` as get a slot.
fn busy(limit: &Arc<ConnectionLimit>, user: u32, wanted: usize) -> Vec<ConnectionPermit> {
    (0..wanted)
        .map_while(|_| {
            limit
                .admit(&Arc::new(ConnectionState::default()), Some(user))
                .ok()
        })
        .collect()
}

#[test]
fn the_one_that_was_idle_for_longest_is_evicted() {
    let limit = limit(2);
    let (first, _permit) = connect(&limit);
    let (second, _permit) = connect(&limit);
    assert!(first.become_busy());
    first.become_idle(limit.tick());
    let (third, permit) = connect(&limit);
    assert!(permit.is_ok());
    assert!(second.is_evicted());
    assert!(
        !second.become_busy(),
        "a request began on a slot that is gone"
    );
    assert!(!first.is_evicted() && !third.is_evicted());
}

#[test]
fn one_that_was_not_looked_at_yet_is_not_evicted() {
    let limit = limit(1);
    let fresh = Arc::new(ConnectionState::default());
    let _permit = limit.admit(&fresh, None).unwrap();
    assert_eq!(connect(&limit).1.unwrap_err(), LimitReached::Everywhere);
    fresh.become_idle(limit.tick());
    assert!(connect(&limit).1.is_ok());
}

#[test]
fn busy_ones_stay_and_the_new_connection_is_rejected() {
    let limit = limit(1);
    let (busy, permit) = connect(&limit);
    assert!(busy.become_busy());
    assert!(connect(&limit).1.is_err());
    assert!(!limit.evict_one());
    drop(permit);
    assert!(connect(&limit).1.is_ok());
}

#[test]
fn a_limit_that_was_set_holds_and_a_slot_is_given_back_once() {
    let limit = Arc::new(ConnectionLimit::new(10, Some(2), u64::MAX));
    let connect = |user| connect_as(&limit, Some(user)).1;
    let (first, second) = (connect(1), connect(1));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(connect(1).unwrap_err(), LimitReached::ForThisUser);
    assert!(connect(2).is_ok());
    drop(first);
    assert!(connect(1).is_ok());
}

#[test]
fn busy_connections_of_one_user_leave_half_of_the_slots() {
    let limit = limit(64);
    let flood = busy(&limit, 1, 100);
    assert_eq!(flood.len(), 32);
    let own = connect_as(&limit, Some(1)).1;
    assert_eq!(own.unwrap_err(), LimitReached::ForThisUser);
    assert_eq!(busy(&limit, 2, 20).len(), 20);
}

#[test]
fn users_with_their_halves_do_not_lock_a_further_one_out() {
    let limit = limit(64);
    let (first, second) = (busy(&limit, 1, 100), busy(&limit, 2, 100));
    assert_eq!(first.len() + second.len(), 56);
    let late = busy(&limit, 3, 100);
    assert_eq!(late.len(), 4);
    assert_eq!(busy(&limit, 4, 100).len(), 4);
    drop(second);
    assert!(connect_as(&limit, Some(3)).1.is_ok());
}

#[test]
fn a_user_beyond_its_half_evicts_its_own() {
    let limit = limit(8);
    let (stays, _permit) = connect_as(&limit, Some(2));
    let mut flood: Vec<_> = (0..4).map(|_| connect_as(&limit, Some(1))).collect();
    let fifth = connect_as(&limit, Some(1));
    assert!(fifth.1.is_ok());
    assert!(flood.remove(0).0.is_evicted());
    assert!(!stays.is_evicted());
}

#[test]
fn a_connection_of_the_user_who_has_most_is_evicted() {
    let limit = limit(6);
    let (stays, _permit) = connect_as(&limit, Some(2));
    let many: Vec<_> = (0..3).map(|_| connect_as(&limit, Some(1))).collect();
    let _others = [connect_as(&limit, Some(3)), connect_as(&limit, Some(4))];
    let (own, _permit) = connect_as(&limit, Some(5));
    assert!(many[0].0.is_evicted());
    assert!(many[1].0.become_busy() && many[2].0.become_busy());
    // Who has as many or more does not evict another.
    let (_next, permit) = connect_as(&limit, Some(5));
    assert!(permit.is_ok() && own.is_evicted());
    assert!(!stays.is_evicted());
}

#[test]
fn descriptors_are_a_limit_too() {
    assert_eq!(ConnectionLimit::new(1000, None, 64).slots, 16);
    assert_eq!(ConnectionLimit::new(1000, None, 10).slots, 1);
    assert_eq!(ConnectionLimit::new(1000, None, u64::MAX).slots, 1000);
}

#[test]
fn unfinished_heads_are_counted_together_and_by_user() {
    let limit = limit(8);
    let permit_of = |user| connect_as(&limit, Some(user)).1.unwrap();
    let (mut one, mut another, mut other) = (permit_of(1), permit_of(1), permit_of(2));
    assert!(!one.buffer(MAX_UNFINISHED));
    assert!(another.buffer(1));
    assert!(!other.buffer(UNFINISHED_OF_ONE));
    assert!(other.buffer(UNFINISHED_OF_ONE + 1));
    // As much as before is not too much again.
    assert!(!other.buffer(UNFINISHED_OF_ONE + 1));
    drop(one);
    assert!(!other.buffer(UNFINISHED_OF_ONE + 100));
    drop((another, other));
    assert_eq!(limit.unfinished.load(Ordering::Relaxed), 0);
}
