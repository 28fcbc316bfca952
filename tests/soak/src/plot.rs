//! The run as a picture: what each process held, and what it moved, over time.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::child::Account;
use crate::judge::FIGURES;
use crate::message::Sample;

const SIZE: (u32, u32) = (1_000, 1_500);
const COLOURS: [RGBColor; 2] = [BLUE, RED];

type Points = Vec<(f64, f64)>;

/// Writes an SVG with one diagram for each figure, and a line in it for each process.
pub(crate) fn write(path: &Path, title: &str, processes: &[(&str, &Account)]) -> Result<()> {
    draw(path, title, processes).map_err(|error| anyhow!("{} could not be drawn: {error}", path.display()))
}

fn draw(path: &Path, title: &str, processes: &[(&str, &Account)]) -> Result<(), Box<dyn std::error::Error>> {
    let page = SVGBackend::new(path, SIZE).into_drawing_area();
    page.fill(&WHITE)?;
    let page = page.titled(title, ("sans-serif", 20))?;
    let areas = page.split_evenly((FIGURES.len() + 1, 1));
    for (area, figure) in areas.iter().zip(&FIGURES) {
        let caption = format!("{} {}", figure.name, figure.unit);
        let points = |samples: &[Sample]| samples.iter().map(|s| (s.seconds, (figure.of)(s))).collect();
        diagram(area, &caption, processes, points, Some(figure.judged_from))?;
    }
    diagram(&areas[FIGURES.len()], "checked MB/s", processes, rate, None)?;
    Ok(page.present()?)
}

/// Between each sample and the next.
fn rate(samples: &[Sample]) -> Points {
    let pairs = samples.windows(2);
    let rate = |pair: &[Sample]| {
        let bytes = pair[1].checked_bytes.saturating_sub(pair[0].checked_bytes) as f64;
        (pair[1].seconds, bytes / 1e6 / (pair[1].seconds - pair[0].seconds).max(0.001))
    };
    pairs.map(rate).collect()
}

fn diagram(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    caption: &str,
    processes: &[(&str, &Account)],
    points: impl Fn(&[Sample]) -> Points,
    judged_from: Option<fn(f64) -> f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let lines: Vec<(&str, Points)> =
        processes.iter().map(|(name, account)| (*name, points(&account.samples))).collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    let right = all().map(|point| point.0).fold(1.0, f64::max);
    let top = all().map(|point| point.1).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart.configure_mesh().x_desc("seconds").light_line_style(WHITE).draw()?;
    if let Some(from) = judged_from.map(|judged_from| judged_from(right)) {
        chart.draw_series(LineSeries::new([(from, 0.0), (from, top)], BLACK.mix(0.3)))?;
    }
    for ((name, points), colour) in lines.into_iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points, colour))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}
