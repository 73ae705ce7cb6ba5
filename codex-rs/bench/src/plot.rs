//! Figures: a row for each contestant, a dot for each value, on a logarithmic axis, since they are up
//! to a thousand times apart. On a light ground of their own, so that a dark page does not matter.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contestant::{Contestant, Kind};
use crate::measurement::Quantity;
use crate::report::number;
use crate::results::Results;
use crate::scenarios::Scenario;

const WIDTH: u32 = 860;
const ROW: u32 = 58;
/// Above and below the rows, in pixels.
const HEAD: u32 = 78;
const FOOT: u32 = 46;
/// Where the rows' names stand.
const NAMES: u32 = 130;

const FONT: &str = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif";
const GROUND: RGBColor = RGBColor(252, 252, 253);
const INK: RGBColor = RGBColor(31, 35, 40);
const PALE: RGBColor = RGBColor(101, 109, 118);
const LINES: RGBColor = RGBColor(225, 228, 232);
const BAND: RGBColor = RGBColor(232, 242, 255);
const COLOURS: [RGBColor; 3] = [
    RGBColor(9, 105, 218),
    RGBColor(188, 76, 0),
    RGBColor(130, 80, 223),
];

struct Figure {
    file: &'static str,
    title: &'static str,
    scenario: Scenario,
    quantities: &'static [Quantity],
}

const FIGURES: &[Figure] = &[
    Figure {
        file: "s1-latency.svg",
        title: "S1: one client at a time, milliseconds",
        scenario: Scenario::S1,
        quantities: &[Quantity::P50, Quantity::P99],
    },
    Figure {
        file: "s2-cpu.svg",
        title: "S2: CPU seconds of the proxy for 1,000 requests",
        scenario: Scenario::S2,
        quantities: &[Quantity::CpuPerThousand],
    },
    Figure {
        file: "s3-latency.svg",
        title: "S3: latency of an event among thousands of streams, milliseconds",
        scenario: Scenario::S3,
        quantities: &[Quantity::P50, Quantity::P99, Quantity::P999],
    },
    Figure {
        file: "s3-memory.svg",
        title: "S3: memory for each stream, KiB",
        scenario: Scenario::S3,
        quantities: &[Quantity::RssPerStream],
    },
    Figure {
        file: "s4-cpu.svg",
        title: "S4: CPU seconds of the proxy for 1 GB of large events",
        scenario: Scenario::S4,
        quantities: &[Quantity::CpuPerGigabyte],
    },
    Figure {
        file: "s9-far.svg",
        title: "S9: an answer of 8 MiB from an upstream 80 ms away, milliseconds",
        scenario: Scenario::S9,
        quantities: &[Quantity::P50],
    },
];

/// One contestant's values, with their spread.
struct Row<'a> {
    name: &'a str,
    is_ours: bool,
    values: Vec<Option<crate::statistics::Spread>>,
}

/// Draws what was measured, into a directory; returns the files and their titles.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn draw(
    results: &Results,
    contestants: &[Contestant],
    dir: &Path,
) -> Result<Vec<(&'static str, &'static str)>> {
    let mut drawn = Vec::new();
    for figure in FIGURES {
        let rows: Vec<Row<'_>> = contestants
            .iter()
            .map(|contestant| Row {
                name: &contestant.label,
                is_ours: contestant.kind == Kind::Ours,
                values: figure
                    .quantities
                    .iter()
                    .map(|quantity| results.spread(figure.scenario, &contestant.label, *quantity))
                    .collect(),
            })
            .filter(|row| row.values.iter().any(Option::is_some))
            .collect();
        if !rows.is_empty() {
            let svg = svg(figure, &rows).map_err(|error| anyhow!("{}: {error}", figure.file))?;
            std::fs::write(dir.join(figure.file), svg)?;
            drawn.push((figure.file, figure.title));
        }
    }
    Ok(drawn)
}

fn svg(figure: &Figure, rows: &[Row<'_>]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    let count = u32::try_from(rows.len())?;
    // The first row is the highest.
    let places = || {
        (0..count)
            .rev()
            .map(|below| f64::from(below) + 0.5)
            .zip(rows)
    };
    let size = (WIDTH, HEAD + count * ROW + FOOT);
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&GROUND)?;
        root.draw(&Text::new(
            figure.title,
            (20, 18),
            style(18.0, FontStyle::Bold, &INK),
        ))?;
        legend(&root, figure)?;
        let (least, most) = range(rows);
        let mut chart = ChartBuilder::on(&root)
            .margin_top(HEAD)
            .margin_right(50)
            .margin_bottom(10)
            .margin_left(NAMES)
            .x_label_area_size(FOOT - 10)
            .build_cartesian_2d((least..most).log_scale(), 0.0..f64::from(count))?;
        // Under the lines of the axis.
        for (height, _) in places().filter(|(_, row)| row.is_ours) {
            let corners = [(least, height + 0.46), (most, height - 0.46)];
            chart.draw_series([Rectangle::new(corners, BAND.filled())])?;
        }
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .bold_line_style(LINES)
            .light_line_style(TRANSPARENT)
            .axis_style(LINES)
            .x_labels(8)
            .x_label_style(style(13.0, FontStyle::Normal, &PALE))
            .x_label_formatter(&|value| number(*value))
            .draw()?;
        for (height, row) in places() {
            for (at, spread) in row.values.iter().enumerate() {
                let Some(spread) = spread else { continue };
                let colour = COLOURS.get(at).unwrap_or(&INK);
                let line = |from: f64, to: f64, width| {
                    let ends = vec![(from.max(least), height), (to.max(least), height)];
                    PathElement::new(ends, colour.stroke_width(width))
                };
                if row.values.len() == 1 {
                    chart.draw_series([line(least, spread.median, 2)])?;
                }
                chart.draw_series([line(spread.least, spread.most, 5)])?;
                // Neighbours stand on either side of the line, so that they do not cover each other.
                let side = if at % 2 == 0 { -22 } else { 9 };
                let label =
                    style(13.0, FontStyle::Normal, colour).pos(Pos::new(HPos::Center, VPos::Top));
                chart.draw_series([EmptyElement::at((spread.median, height))
                    + Circle::new((0, 0), 6, colour.filled())
                    + Text::new(number(spread.median), (0, side), label)])?;
            }
        }
        let mut y = i32::try_from(HEAD + ROW / 2)?;
        for row in rows {
            let weight = if row.is_ours {
                FontStyle::Bold
            } else {
                FontStyle::Normal
            };
            let name = style(15.0, weight, &INK).pos(Pos::new(HPos::Right, VPos::Center));
            root.draw(&Text::new(row.name, (i32::try_from(NAMES)? - 14, y), name))?;
            y += i32::try_from(ROW)?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// What the colours stand for, where there are several.
fn legend<B: DrawingBackend>(
    root: &DrawingArea<B, plotters::coord::Shift>,
    figure: &Figure,
) -> Result<(), Box<dyn std::error::Error>>
where
    B::ErrorType: 'static,
{
    let mut x = 26;
    let lower = "logarithmic, less is better";
    for (quantity, colour) in figure.quantities.iter().zip(&COLOURS) {
        if figure.quantities.len() > 1 {
            let label =
                style(13.0, FontStyle::Normal, colour).pos(Pos::new(HPos::Left, VPos::Center));
            let name = quantity.heading().trim_end_matches(" ms");
            root.draw(&Circle::new((x, 53), 5, colour.filled()))?;
            root.draw(&Text::new(name, (x + 10, 53), label))?;
            x += 66;
        }
    }
    let label = style(13.0, FontStyle::Normal, &PALE).pos(Pos::new(HPos::Left, VPos::Center));
    root.draw(&Text::new(lower, (x - 6, 53), label))?;
    Ok(())
}

fn style<'a>(size: f64, weight: FontStyle, colour: &RGBColor) -> TextStyle<'a> {
    (FONT, size, weight).into_font().color(colour)
}

/// Where the axis begins and ends: a little beyond the least and the most.
fn range(rows: &[Row<'_>]) -> (f64, f64) {
    let spreads = rows.iter().flat_map(|row| &row.values).flatten();
    let (least, most) = spreads.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), spread| {
        // No logarithm of nothing: a CPU time below one tick.
        let low = if spread.least > 0.0 {
            spread.least
        } else {
            spread.median
        };
        (
            if low > 0.0 { least.min(low) } else { least },
            most.max(spread.most),
        )
    });
    (least.min(most) / 1.7, most * 1.4)
}
