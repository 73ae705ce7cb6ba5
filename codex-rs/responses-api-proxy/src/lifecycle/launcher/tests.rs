use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::*;

async fn is_closed(lifeline: &Lifeline) -> bool {
    let waited = tokio::time::timeout(Duration::from_millis(30), lifeline.closed()).await;
    waited.is_ok()
}

#[tokio::test]
async fn a_lifeline_holds_until_the_other_end_is_closed() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let lifeline = Lifeline::new(ours.into()).unwrap();
    assert!(!is_closed(&lifeline).await);
    theirs.write_all(&[b'x'; 1000]).unwrap();
    assert!(!is_closed(&lifeline).await);
    theirs.write_all(b"last words").unwrap();
    drop(theirs);
    assert!(is_closed(&lifeline).await);
    assert!(is_closed(&lifeline).await);
}

#[tokio::test]
async fn a_pipe_of_another_process_is_a_lifeline() {
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lifeline = Lifeline::new(child.stdout.take().unwrap().into()).unwrap();
    assert!(!is_closed(&lifeline).await);
    drop(child.stdin.take());
    lifeline.closed().await.unwrap();
    child.wait().unwrap();
}

fn refused<T: fmt::Debug>(result: Result<T, DescriptorError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_has_no_other_end_is_not_a_lifeline() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("s")).unwrap();
    for descriptor in [
        OwnedFd::from(File::open("/dev/null").unwrap()),
        listener.into(),
    ] {
        let refused = refused(Lifeline::new(descriptor));
        assert!(refused.contains("no other end"), "{refused}");
    }
    let (_reader, writer) = io::pipe().unwrap();
    let refused = refused(Lifeline::new(writer.into()));
    assert!(refused.contains("written to"), "{refused}");
}

/// As after pipe(2) and fork(2) without a close(2).
#[test]
#[cfg(target_os = "linux")]
fn a_pipe_whose_other_end_is_ours_would_never_be_closed() {
    let (reader, writer) = io::pipe().unwrap();
    let refused = refused(Lifeline::new(reader.into()));
    let number = format!("descriptor {};", writer.as_raw_fd());
    assert!(refused.contains(&number), "{refused}");
}

#[test]
fn that_it_is_ready_is_one_line_and_then_the_end() {
    let (mut reader, writer) = io::pipe().unwrap();
    let ready = ReadyFd::new(writer.into()).unwrap();
    ready.announce("{\"port\":1}\n").unwrap();
    let mut heard = String::new();
    reader.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "{\"port\":1}\n");
}

#[test]
fn whoever_does_not_listen_is_not_waited_for() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let ready = ReadyFd::new(writer.into()).unwrap();
    let gone = ready.announce("x\n").unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
    let (_reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while (&writer).write(&[0; 4096]).is_ok() {}
    let full = ReadyFd::new(writer.into()).unwrap().announce("x\n");
    assert_eq!(full.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let (reader, _writer) = io::pipe().unwrap();
    let refused = refused(ReadyFd::new(reader.into()));
    assert!(refused.contains("cannot be written to"), "{refused}");
}

#[test]
#[cfg(target_os = "linux")]
fn only_what_is_above_this_process_is_its_parent() {
    let own = rustix::process::getppid().unwrap().as_raw_pid();
    assert_eq!(Parent::open(own).unwrap().pid(), own);
    Parent::open(1).unwrap();
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let below = i32::try_from(child.id()).unwrap();
    let refused = Parent::open(below);
    assert!(matches!(refused, Err(ParentError::NotAbove(pid)) if pid == below));
    drop(child.stdin.take());
    child.wait().unwrap();
    let gone = Parent::open(below);
    assert!(matches!(gone, Err(ParentError::Missing(_))), "{gone:?}");
}
