use super::*;

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

fn lanes() -> Lanes {
    let provider = rustls::crypto::ring::default_provider();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let make = move || {
        Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .build()
    };
    Lanes::new(make).unwrap()
}

type Taken = (Client, Seat, Departure);

/// The outcome of `future`, if it need not wait for anybody.
fn now<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    match future.poll(&mut cx) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn take_now(lanes: &Lanes) -> Option<Taken> {
    now(pin!(lanes.take()))
}

/// Requests that have gone.
fn under_way(lanes: &Lanes, count: usize) -> Vec<Seat> {
    let seats = (0..count).map(|_| {
        let (_client, seat, departure) = take_now(lanes).expect("nobody to wait for");
        departure.leave();
        seat
    });
    seats.collect()
}

fn taken(lanes: &Lanes) -> Vec<usize> {
    lanes.0.lock().iter().map(|lane| lane.taken).collect()
}

fn starting(lanes: &Lanes) -> usize {
    lanes.0.lock().iter().map(|lane| lane.starting).sum()
}

#[tokio::test]
async fn a_lane_is_opened_when_the_others_are_full_and_the_first_one_is_preferred() {
    let lanes = lanes();
    let mut seats = under_way(&lanes, COMFORTABLE * 2 + 1);
    assert_eq!(taken(&lanes), [COMFORTABLE, COMFORTABLE, 1]);
    seats.drain(..2);
    seats.extend(under_way(&lanes, 1));
    assert_eq!(taken(&lanes), [COMFORTABLE - 1, COMFORTABLE, 1]);
    drop(seats);
    assert_eq!((taken(&lanes), starting(&lanes)), (vec![0, 0, 0], 0));
}

#[tokio::test]
async fn one_goes_first_and_the_others_follow_when_it_has_gone() {
    let lanes = lanes();
    let (_client, _seat, departure) = take_now(&lanes).unwrap();
    let mut others: Vec<_> = (0..5).map(|_| Box::pin(lanes.take())).collect();
    assert!(others.iter_mut().all(|other| now(other.as_mut()).is_none()));
    departure.leave();
    let gone: Vec<_> = others.iter_mut().map(|other| now(other.as_mut())).collect();
    assert!(gone.iter().all(Option::is_some));
    assert_eq!(starting(&lanes), 5);
    assert!(take_now(&lanes).is_none(), "the five have not gone yet");
}

#[tokio::test]
async fn where_one_fails_two_start_and_not_all() {
    let lanes = lanes();
    let first = take_now(&lanes).unwrap();
    let mut others: Vec<_> = (0..5).map(|_| Box::pin(lanes.take())).collect();
    assert!(others.iter_mut().all(|other| now(other.as_mut()).is_none()));
    drop(first);
    let started: Vec<_> = others
        .iter_mut()
        .filter_map(|other| now(other.as_mut()))
        .collect();
    assert_eq!((started.len(), starting(&lanes)), (2, 2));
}

#[tokio::test]
async fn whoever_gives_up_waiting_leaves_no_trace() {
    let lanes = lanes();
    let (_client, seat, departure) = take_now(&lanes).unwrap();
    {
        let (mut early, mut late) = (pin!(lanes.take()), pin!(lanes.take()));
        assert!(now(early.as_mut()).is_none() && now(late.as_mut()).is_none());
        assert_eq!(taken(&lanes), [3]);
    }
    assert_eq!(taken(&lanes), [1]);
    let promised = {
        let mut late = Box::pin(lanes.take());
        assert!(now(late.as_mut()).is_none());
        departure.leave();
        late
    };
    assert_eq!(starting(&lanes), 1);
    drop(promised);
    assert_eq!((taken(&lanes), starting(&lanes)), (vec![1], 0));
    drop(seat);
    assert!(take_now(&lanes).is_some());
}

#[tokio::test(start_paused = true)]
async fn where_one_takes_long_one_other_tries_elsewhere_and_then_all_go() {
    let lanes = lanes();
    let stuck = take_now(&lanes).unwrap();
    let mut others: Vec<_> = (0..3).map(|_| Box::pin(lanes.take())).collect();
    assert!(others.iter_mut().all(|other| now(other.as_mut()).is_none()));
    tokio::time::advance(PATIENCE).await;
    let second: Vec<_> = others.iter_mut().map(|other| now(other.as_mut())).collect();
    assert_eq!(second.iter().flatten().count(), 1);
    assert_eq!(taken(&lanes), [1, 3]);
    tokio::time::advance(PATIENCE).await;
    assert!(second[0].is_some());
    assert!(
        others[1..]
            .iter_mut()
            .all(|other| now(other.as_mut()).is_some())
    );
    drop((stuck, second));
}

#[tokio::test]
async fn over_http_1_nobody_waits() {
    let lanes = lanes();
    lanes.note(Version::HTTP_11);
    let both = (take_now(&lanes), take_now(&lanes));
    assert!(both.0.is_some() && both.1.is_some());
    lanes.note(Version::HTTP_2);
    let _first = take_now(&lanes).unwrap();
    assert!(take_now(&lanes).is_none());
}
