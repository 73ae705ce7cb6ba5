use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use super::draw::draw;
use super::view::{After, View};
use crate::status::{
    Budget, Caller, Fault, Phase, Requests, State, Status, Stream, Tokens, Upstream,
};

fn stream(id: &str, caller: &str, model: &str, age: f64, tokens: u64) -> Stream {
    Stream {
        id: id.to_owned(),
        caller: caller.to_owned(),
        model: Some(model.to_owned()),
        phase: if tokens > 0 {
            Phase::Streaming
        } else {
            Phase::Waiting
        },
        age_seconds: age,
        tokens,
        tokens_per_second: 10.0,
        ..Stream::default()
    }
}

fn caller(name: &str, in_flight: u64, cost: f64) -> Caller {
    Caller {
        name: name.to_owned(),
        connections: in_flight,
        in_flight,
        requests: 40,
        refused: 1,
        tokens: Tokens {
            input: 10_140,
            output: 312,
            ..Tokens::default()
        },
        cost_usd: Some(cost),
        ..Caller::default()
    }
}

fn status() -> Status {
    Status {
        v: 1,
        state: State::Serving,
        uptime_seconds: 7_980.0,
        listening: vec!["127.0.0.1:8787".to_owned()],
        upstream: Upstream {
            name: "api.openai.com".to_owned(),
            tls: true,
            ..Upstream::default()
        },
        requests: Requests {
            finished: 80,
            in_flight: 3,
            ..Requests::default()
        },
        tokens: Tokens {
            input: 20_280,
            output: 624,
            ..Tokens::default()
        },
        cost_usd: Some(2.5),
        callers: vec![caller("alice", 2, 2.0), caller("bob/ci", 1, 0.5)],
        budgets: Some(vec![
            Budget {
                account: "total".to_owned(),
                measure: "usd".to_owned(),
                per: "day".to_owned(),
                limit: 20.0,
                spent: 2.5,
                reserved: 0.5,
                remaining: 17.0,
                ..Budget::default()
            },
            Budget {
                account: "user:1001".to_owned(),
                measure: "tokens".to_owned(),
                per: "hour".to_owned(),
                limit: 10_000.0,
                spent: 9_000.0,
                remaining: 1_000.0,
                ..Budget::default()
            },
        ]),
        streams: Some(vec![
            stream("r-1", "alice", "gpt-5.6", 65.0, 812),
            stream("r-2", "bob/ci", "gpt-5.6-mini", 9.0, 40),
            stream("r-3", "alice", "o9", 0.5, 0),
        ]),
        ..Status::default()
    }
}

fn view(status: Status) -> View {
    let mut view = View::default();
    view.update(status, Instant::now());
    view
}

/// The rows of a screen of this size, without the blanks at their ends.
fn screen(view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width));
    rows.map(|row| {
        let text: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.trim_end().to_owned()
    })
    .collect()
}

#[test]
fn a_screen_of_the_usual_size_has_all_of_it() {
    let rows = screen(&mut view(status()), 80, 24);
    assert_eq!(rows.join("\n"), include_str!("golden_80x24.txt").trim_end());
}

#[test]
fn the_smallest_screen_has_the_streams_and_the_keys() {
    let rows = screen(&mut view(status()), 40, 10);
    assert_eq!(rows.join("\n"), include_str!("golden_40x10.txt").trim_end());
}

#[test]
fn no_size_is_too_small_nor_too_large() {
    for (width, height) in [(1, 1), (2, 3), (10, 4), (39, 9), (79, 11), (300, 100)] {
        assert_eq!(
            screen(&mut view(status()), width, height).len(),
            usize::from(height)
        );
    }
    // The line of keys is the last to go.
    assert!(screen(&mut view(status()), 40, 3)[2].starts_with("q quit"));
}

#[test]
fn what_others_chose_moves_no_cursor() {
    let mut hostile = status();
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\r\n\u{9b}31m";
    hostile.streams = Some(vec![stream(evil, evil, evil, 1.0, 1)]);
    hostile.callers = vec![caller(evil, 1, 0.0)];
    hostile.upstream.name = evil.to_owned();
    hostile.upstream.last_fault = Some(Fault {
        cause: evil.to_owned(),
        code: evil.to_owned(),
        ..Fault::default()
    });
    if let Some(budget) = hostile.budgets.as_mut().and_then(|them| them.first_mut()) {
        budget.account = evil.to_owned();
        budget.per = evil.to_owned();
        budget.measure = evil.to_owned();
    }
    let rows = screen(&mut view(hostile), 200, 30).join("");
    assert!(rows.contains("\\u{1b}[2J"), "{rows}");
    let steers = |character: char| character.is_control() || character == '\u{202e}';
    assert!(!rows.contains(steers), "{rows}");
}

fn press(view: &mut View, code: KeyCode) -> After {
    view.on_event(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn ids(view: &View) -> Vec<&str> {
    let streams = view.status.streams.iter().flatten();
    streams.map(|stream| &*stream.id).collect()
}

#[test]
fn keys_order_scroll_and_leave() {
    let mut view = view(status());
    assert_eq!(ids(&view), ["r-1", "r-2", "r-3"]);
    for (key, order) in [
        ('r', ["r-3", "r-2", "r-1"]),
        ('r', ["r-1", "r-2", "r-3"]),
        ('c', ["r-1", "r-3", "r-2"]),
        ('m', ["r-1", "r-2", "r-3"]),
        ('t', ["r-1", "r-2", "r-3"]),
        ('s', ["r-1", "r-2", "r-3"]),
        ('x', ["r-1", "r-2", "r-3"]),
    ] {
        assert_eq!(press(&mut view, KeyCode::Char(key)), After::Stay);
        assert_eq!(ids(&view), order, "after {key}");
    }
    // Of ten rows two are for streams, and no further is scrolled than to the last.
    press(&mut view, KeyCode::End);
    screen(&mut view, 40, 6);
    assert_eq!(view.scroll, 1);
    press(&mut view, KeyCode::Home);
    assert_eq!(view.scroll, 0);
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(press(&mut view, code), After::Leave);
    }
    let control = |letter| Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
    assert_eq!(view.on_event(&control('c')), After::Leave);
    assert_eq!(view.on_event(&control('l')), After::Redraw);
    assert_eq!(view.on_event(&control('q')), After::Stay);
    assert_eq!(view.on_event(&Event::Resize(40, 10)), After::Stay);
}

#[test]
fn rates_are_those_since_the_status_before() {
    let at = Instant::now();
    let mut view = View::default();
    view.update(status(), at);
    let mut next = status();
    for stream in next.streams.iter_mut().flatten() {
        stream.tokens += 20;
    }
    next.streams
        .get_or_insert_default()
        .push(stream("r-4", "alice", "o9", 0.1, 6));
    view.update(next, at + Duration::from_secs(2));
    assert!((view.tokens_per_second() - 33.0).abs() < 1e-9);
    let of = |name: &str| {
        let mut callers = view.status.callers.iter();
        let found = callers.find(|caller| caller.name == name);
        found.map(|caller| caller.tokens_per_second)
    };
    assert_eq!((of("alice"), of("bob/ci")), (Some(23.0), Some(10.0)));
}

#[test]
fn a_proxy_that_does_not_answer_is_said_to_until_it_does() {
    let mut view = view(status());
    view.fault("no proxy is running".to_owned());
    assert_eq!(screen(&mut view, 80, 24)[2], "no proxy is running");
    view.update(status(), Instant::now());
    assert!(!screen(&mut view, 80, 24).join("").contains("no proxy"));
}
