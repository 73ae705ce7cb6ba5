use std::sync::mpsc;

use super::*;
use crate::config::UpstreamUrl;
use crate::credential::Credential;
use crate::credential::locked::Room;

/// Says what it was told to, one after the other, and then that there will be nothing more.
struct Scripted {
    keys: Vec<Result<&'static str, &'static str>>,
    reads: mpsc::Sender<()>,
}

impl KeySource for Scripted {
    type Error = &'static str;

    fn read(&mut self, mut slot: EmptySlot) -> Result<Option<LockedCredential>, &'static str> {
        self.reads.send(()).unwrap();
        if self.keys.is_empty() {
            return Ok(None);
        }
        let key = self.keys.remove(0)?;
        slot.token_mut()[..key.len()].copy_from_slice(key.as_bytes());
        let read = slot.finish(key.len());
        Ok(Some(read.map_err(|_| "not a key")?))
    }
}

/// A rotation with the first of these keys in force, and how often it has read since.
fn rotation(
    keys: &[Result<&'static str, &'static str>],
    reading: Reading,
) -> (Rotation<Scripted>, mpsc::Receiver<()>) {
    let url = UpstreamUrl::parse("https://example.com/").unwrap();
    let (generations, _) = Credential::changing("file", &url, None);
    let (pool, _) = SlotPool::new(Room::Token, true).unwrap();
    let (reads, read) = mpsc::channel();
    let keys = keys.to_vec();
    let source = Scripted { keys, reads };
    let mut rotation = Rotation::new(
        source,
        "--key-file k".to_owned(),
        reading,
        pool,
        generations,
    );
    assert!(matches!(rotation.read(), Read::Replaced(1)));
    read.recv().unwrap();
    (rotation, read)
}

const FIRST: Result<&str, &str> = Ok("sk-first-0000001");
const SECOND: Result<&str, &str> = Ok("sk-second-000002");
const THIRD: Result<&str, &str> = Ok("sk-third-0000003");

#[tokio::test(start_paused = true)]
async fn it_is_read_again_when_somebody_asks_and_when_its_time_is_over() {
    let ttl = Some(Duration::from_secs(300));
    let keys = [FIRST, FIRST, SECOND, Err("it is empty"), THIRD];
    let (mut rotation, read) = rotation(&keys, Reading::WhenAsked { ttl });
    let generations = rotation.generations;
    let begun = Instant::now();
    let rotating = rotation.read_when_asked(ttl);
    let watching = async {
        generations.reload_requests().reload();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The same one again.
        assert_eq!(generations.standing().generation, 1);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(generations.standing().generation, 2);
        generations.reload_requests().reload();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let standing = generations.standing();
        assert_eq!((standing.generation, standing.failures), (2, 1));
        assert!(standing.age.is_some());
    };
    // It ends with the script: twice more when its time is over.
    tokio::join!(rotating, watching);
    assert_eq!(generations.standing().generation, 3);
    assert_eq!(read.try_iter().count(), 5);
    let seconds = begun.elapsed().as_secs();
    assert_eq!(seconds, 301 + 600);
}

#[tokio::test(start_paused = true)]
async fn refusals_by_the_upstream_make_it_be_read_once_a_minute_at_most() {
    let keys = [FIRST, FIRST, SECOND];
    let (mut rotation, read) = rotation(&keys, Reading::WhenAsked { ttl: None });
    let generations = rotation.generations;
    let rotating = rotation.read_when_asked(None);
    let refusing = async {
        for _ in 0..119 {
            generations.reload_requests().refused(1);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(generations.standing().generation, 2);
        assert_eq!(read.try_iter().count(), 2);
        // One that is not in force any more is nobody's business.
        tokio::time::sleep(Duration::from_secs(60)).await;
        generations.reload_requests().refused(1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(read.try_iter().count(), 0);
        generations.reload_requests().reload();
    };
    tokio::join!(rotating, refusing);
    assert_eq!(read.try_iter().count(), 1);
}

#[test]
fn keys_that_come_by_themselves_are_taken_until_there_are_no_more() {
    let keys = [FIRST, SECOND, Err("not a key"), THIRD];
    let (mut rotation, read) = rotation(&keys, Reading::AsTheyCome);
    rotation.take_each();
    let standing = rotation.generations.standing();
    assert_eq!((standing.generation, standing.failures), (3, 1));
    assert_eq!(read.try_iter().count(), 4);
}

#[test]
fn a_key_that_comes_when_all_were_thrown_away_has_replaced_none() {
    let (mut rotation, _read) = rotation(&[FIRST, SECOND], Reading::AsTheyCome);
    rotation.generations.expire();
    assert!(matches!(rotation.read(), Read::Ended));
    assert_eq!(rotation.generations.standing().generation, 1);
}
