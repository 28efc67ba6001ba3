//! The plots of docs/performance.

use std::path::Path;

use anyhow::anyhow;
use plotters::{chart::SeriesLabelPosition, prelude::*};

use crate::{
    load::{Latency, count},
    plan::{Call, Subject},
    results::{Results, Summary},
};

const SIZE: (u32, u32) = (880, 480);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x25, 0x63, 0xEB),
    RGBColor(0xDC, 0x26, 0x26),
    RGBColor(0x05, 0x96, 0x69),
    RGBColor(0xD9, 0x77, 0x06),
    RGBColor(0x7C, 0x3A, 0xED),
    RGBColor(0x64, 0x74, 0x8B),
];

/// A line: its name and its points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// What a plot says beside its lines.
pub struct Captions<'c> {
    pub title: &'c str,
    pub x: &'c str,
    pub y: &'c str,
}

/// A percentile: its name and where it is.
type Percentile = (&'static str, fn(&Latency) -> f64);

/// Throughput of flags against calls in flight.
pub fn throughput(path: &Path, results: &Results) -> anyhow::Result<()> {
    let subjects = [
        Subject::Postgres,
        Subject::Sqlite,
        Subject::Pgbench,
        Subject::NaivePostgres,
        Subject::NaiveSqlite,
        Subject::Echo,
    ];
    let lines = subjects.map(|subject| Line {
        name: subject.to_string(),
        points: points(results, subject, |summary| Some(summary.per_second)),
    });
    let captions = Captions { title: "Flags a second", x: "calls in flight", y: "calls/s" };
    logarithmic(path, &captions, &lines)
}

/// Percentiles of the latency of flags against calls in flight.
pub fn latency(path: &Path, results: &Results) -> anyhow::Result<()> {
    let percentiles: [Percentile; 4] = [
        ("p50", |latency| latency.p50),
        ("p90", |latency| latency.p90),
        ("p99", |latency| latency.p99),
        ("p99.9", |latency| latency.p999),
    ];
    let stores = [("PostgreSQL", Subject::Postgres), ("SQLite", Subject::Sqlite)];
    let root = SVGBackend::new(path, (SIZE.0 * 3 / 2, SIZE.1)).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    for ((store, subject), area) in stores.into_iter().zip(root.split_evenly((1, 2))) {
        let lines = percentiles.map(|(name, part)| Line {
            name: name.to_owned(),
            points: points(results, subject, |summary| summary.latency.as_ref().map(part)),
        });
        let title = format!("FlagEntity on {store}");
        draw(&area, &Captions { title: &title, x: "calls in flight", y: "ms" }, &lines)?;
    }
    root.present().map_err(failed)
}

fn points(results: &Results, subject: Subject, value: impl Fn(&Summary) -> Option<f64>) -> Vec<(f64, f64)> {
    let flags = results.summaries().filter(|(key, _)| key.subject == subject && key.call == Call::Flag);
    flags.filter_map(|(key, summary)| Some((count(key.in_flight as u64), value(&summary)?))).collect()
}

/// Draws lines on axes that are both logarithmic.
pub fn logarithmic(path: &Path, captions: &Captions<'_>, lines: &[Line]) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    draw(&root, captions, lines)?;
    root.present().map_err(failed)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(area: &Area<'_>, captions: &Captions<'_>, lines: &[Line]) -> anyhow::Result<()> {
    let xs = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
    let ys = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let least = |numbers: &mut dyn Iterator<Item = f64>| numbers.fold(f64::INFINITY, f64::min);
    let most = |numbers: &mut dyn Iterator<Item = f64>| numbers.fold(0.0, f64::max);
    let x = (least(&mut xs())..most(&mut xs()) * 1.1).log_scale();
    let y = (least(&mut ys()) * 0.7..most(&mut ys()) * 1.6).log_scale();
    let mut chart = ChartBuilder::on(area)
        .caption(captions.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)
        .map_err(failed)?;
    let label = |number: &f64| format!("{number}");
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(captions.x).y_desc(captions.y).x_label_formatter(&label).y_label_formatter(&label);
    mesh.light_line_style(RGBColor(0xF1, 0xF5, 0xF9)).draw().map_err(failed)?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let drawn = chart.draw_series(LineSeries::new(line.points.clone(), style).point_size(3));
        drawn
            .map_err(failed)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8));
    legend.border_style(RGBColor(0xCB, 0xD5, 0xE1)).draw().map_err(failed)
}

fn failed<E: std::fmt::Display>(error: E) -> anyhow::Error {
    anyhow!("drawing a plot: {error}")
}
