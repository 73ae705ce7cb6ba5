//! Pure: from what is to be shown to cells of a screen of any size. Nothing that callers chose gets there as it is.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table};

use super::view::View;
use crate::amounts::{count, dollars, of_measure, plural, span};
use crate::printable::printable;
use crate::status::{Budget, Caller, Phase, State, Status, Stream};

/// From so many columns on there is room for all that is known.
const WIDE: u16 = 80;

/// From this part of a limit on it is marked.
const NEARLY_SPENT: f64 = 0.8;

const HEAD: Style = Style::new().add_modifier(Modifier::REVERSED);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const ALERT: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let area = frame.area();
    let status = &view.status;
    let notice = notice(view);
    let budgets = most_spent(status);
    let rows = Rows::within(
        area.height,
        notice.is_some(),
        budgets.len(),
        status.callers.len(),
    );
    let [head, totals, alert, limits, callers, streams, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::from(notice.is_some())),
        Constraint::Length(rows.budgets),
        Constraint::Length(rows.callers),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(heading(status), head);
    frame.render_widget(Paragraph::new(totals_line(view)), totals);
    if let Some(notice) = notice {
        frame.render_widget(Paragraph::new(Span::styled(notice, ALERT)), alert);
    }
    let lines: Vec<Line<'_>> = budgets.into_iter().map(budget).collect();
    frame.render_widget(Paragraph::new(lines), limits);
    frame.render_widget(callers_table(&status.callers, area.width), callers);
    let shown = usize::from(streams.height.saturating_sub(1));
    let all = status.streams.as_deref().unwrap_or_default();
    // What was scrolled too far is where the last ones are seen.
    view.scroll = view.scroll.min(all.len().saturating_sub(shown));
    let visible = all.iter().skip(view.scroll).take(shown);
    frame.render_widget(streams_table(visible, area.width), streams);
    frame.render_widget(Paragraph::new(keys_line(view, area.width)).style(DIM), keys);
}

/// How many rows each part has; requests in flight have the rest.
struct Rows {
    budgets: u16,
    /// With the line of heads; 0 without room.
    callers: u16,
}

impl Rows {
    fn within(height: u16, has_notice: bool, budgets: usize, callers: usize) -> Self {
        let left = height.saturating_sub(3 + u16::from(has_notice));
        let most = match left {
            ..7 => 0,
            7..12 => 1,
            12..24 => 3,
            _ => 6,
        };
        let budgets = u16::try_from(budgets).unwrap_or(u16::MAX).min(most);
        let left = left - budgets;
        let callers = u16::try_from(callers).unwrap_or(u16::MAX);
        let callers = match left {
            ..6 => 0,
            _ => callers.min(left / 3) + 1,
        };
        Self { budgets, callers }
    }
}

fn heading(status: &Status) -> Paragraph<'static> {
    let state = match status.state {
        State::Serving => "serving",
        State::Draining => "draining",
        State::Unknown => "?",
    };
    let place = status.listening.first().map_or("-", String::as_str);
    let line = format!(
        "codex-proxy {state} {} -> {}, for {}",
        printable(place),
        printable(&status.upstream.name),
        span(status.uptime_seconds)
    );
    Paragraph::new(Span::styled(line, BOLD))
}

fn totals_line(view: &View) -> String {
    let status = &view.status;
    let refused: u64 = status.callers.iter().map(|caller| caller.refused).sum();
    let mut parts = vec![
        format!("{} in flight", status.requests.in_flight),
        format!("{:.0} tok/s", view.tokens_per_second()),
    ];
    if let Some(usd) = status.cost_usd {
        parts.push(dollars(usd));
    }
    parts.push(plural(status.requests.finished, "request"));
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    parts.push(format!(
        "{} -> {} tok",
        count(status.tokens.input),
        count(status.tokens.output)
    ));
    parts.join("  ")
}

/// What has to be said before all else.
fn notice(view: &View) -> Option<String> {
    if let Some(fault) = &view.fault {
        return Some(printable(fault));
    }
    if let Some(ledger) = &view.status.ledger
        && !ledger.up
    {
        return Some(printable(&format!(
            "{} is away: {}",
            ledger.address,
            ledger.error.as_deref().unwrap_or("it has not answered yet")
        )));
    }
    let fault = view.status.upstream.last_fault.as_ref()?;
    // An older one is in `status`.
    (fault.seconds_ago < 60.0).then(|| {
        printable(&format!(
            "{} ago: {}: {}",
            span(fault.seconds_ago),
            fault.code,
            fault.cause
        ))
    })
}

fn part_spent(budget: &Budget) -> f64 {
    if budget.limit > 0.0 {
        (budget.spent + budget.reserved) / budget.limit
    } else {
        1.0
    }
}

/// The limits that are nearest first.
fn most_spent(status: &Status) -> Vec<&Budget> {
    let mut budgets: Vec<&Budget> = status.budgets.iter().flatten().collect();
    budgets.sort_by(|a, b| part_spent(b).total_cmp(&part_spent(a)));
    budgets
}

fn budget(budget: &Budget) -> Line<'static> {
    let of = |value| of_measure(&budget.measure, value);
    let unit = match budget.measure.as_str() {
        "usd" => String::new(),
        other => format!(" {}", printable(other)),
    };
    let part = part_spent(budget);
    let reserved = match budget.reserved > 0.0 {
        true => format!(", {} reserved", of(budget.reserved)),
        false => String::new(),
    };
    let text = format!(
        "{:3.0}% {}: {} of {}{unit}/{}{reserved}",
        part * 100.0,
        printable(&budget.account),
        of(budget.spent),
        of(budget.limit),
        printable(&budget.per)
    );
    let style = if part >= NEARLY_SPENT {
        ALERT
    } else {
        Style::new()
    };
    Line::from(Span::styled(text, style))
}

/// A number at the right end of its column.
fn right(text: impl Into<String>) -> Line<'static> {
    Line::from(text.into()).right_aligned()
}

fn callers_table(callers: &[Caller], width: u16) -> Table<'static> {
    let usd = |caller: &Caller| caller.cost_usd.map_or_else(|| "-".to_owned(), dollars);
    let is_wide = width >= WIDE;
    let rows = callers.iter().map(|caller| {
        let mut cells = vec![
            Line::from(printable(&caller.name)),
            right(caller.in_flight.to_string()),
            right(format!("{:.0}", caller.tokens_per_second)),
            right(usd(caller)),
        ];
        if is_wide {
            cells.extend([
                right(caller.requests.to_string()),
                right(caller.refused.to_string()),
                right(caller.connections.to_string()),
                right(count(caller.tokens.input)),
                right(count(caller.tokens.output)),
            ]);
        }
        Row::new(cells)
    });
    let mut heads = vec![
        Line::from("CALLER"),
        right("FLIGHT"),
        right("TOK/S"),
        right("COST"),
    ];
    let mut widths = vec![
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(9),
    ];
    if is_wide {
        heads.extend(["REQUESTS", "REFUSED", "CONNS", "INPUT", "OUTPUT"].map(right));
        widths.extend([8, 7, 6, 8, 8].map(Constraint::Length));
    }
    Table::new(rows, widths).header(Row::new(heads).style(HEAD))
}

fn streams_table<'a>(streams: impl Iterator<Item = &'a Stream>, width: u16) -> Table<'static> {
    let is_wide = width >= WIDE;
    let rows = streams.map(|stream| {
        let mut cells = vec![
            Line::from(printable(&stream.caller)),
            Line::from(printable(stream.model.as_deref().unwrap_or("-"))),
            right(span(stream.age_seconds)),
            right(count(stream.tokens)),
        ];
        if is_wide {
            cells.extend([
                right(format!("{:.0}", stream.tokens_per_second)),
                Line::from(phase(stream.phase)),
                Line::from(printable(&stream.id)),
            ]);
        }
        Row::new(cells)
    });
    let mut heads = vec![
        Line::from("CALLER"),
        Line::from("MODEL"),
        right("AGE"),
        right("TOKENS"),
    ];
    let mut widths = vec![
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Length(7),
        Constraint::Length(7),
    ];
    if is_wide {
        heads.extend([right("TOK/S"), Line::from("STATE"), Line::from("REQUEST")]);
        widths.extend([6, 9, 18].map(Constraint::Length));
    }
    Table::new(rows, widths).header(Row::new(heads).style(HEAD))
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waiting",
        Phase::Answering => "answering",
        Phase::Streaming => "streaming",
        Phase::Unknown => "?",
    }
}

fn keys_line(view: &View, width: u16) -> String {
    let by = view.sort.name();
    let reversed = if view.is_reversed { ", reversed" } else { "" };
    let above = match view.scroll {
        0 => String::new(),
        above => format!("  {above} above"),
    };
    let keys = if width >= WIDE {
        "sort: a age, t tokens, s speed, c caller, m model; r reverse"
    } else {
        "keys: a t s c m r"
    };
    format!("q quit  by {by}{reversed}  {keys}{above}")
}
