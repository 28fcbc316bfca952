//! What a unit of work costs, against how many sessions or streams there are.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (800, 420);
const COLOURS: [RGBColor; 5] = [BLACK, BLUE, RED, MAGENTA, CYAN];

/// A contender's name and its points: how many there are, what a unit costs then.
pub(crate) type Line = (String, Vec<(f64, f64)>);

/// Writes an SVG with a line for each contender; the axis of numbers is logarithmic.
pub(crate) fn write(path: &Path, numbers: &str, costs: &str, lines: &[Line]) -> Result<()> {
    draw(path, numbers, costs, lines)
        .map_err(|error| anyhow!("{} could not be drawn: {error}", path.display()))
}

fn draw(path: &Path, numbers: &str, costs: &str, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let page = SVGBackend::new(path, SIZE).into_drawing_area();
    page.fill(&WHITE)?;
    let all = || lines.iter().flat_map(|(_, points)| points);
    let ticks: Vec<f64> =
        lines.first().map(|(_, points)| points.iter().map(|point| point.0).collect()).unwrap_or_default();
    let left = all().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let right = all().map(|point| point.0).fold(left, f64::max);
    let top = all().map(|point| point.1).fold(1.0, f64::max) * 1.3;
    let across = (left * 0.8..right * 1.25).log_scale().with_key_points(ticks);
    let mut chart = ChartBuilder::on(&page)
        .caption(format!("{costs}, by number of {numbers}"), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(across, 0.0..top)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(numbers)
        .y_desc(costs)
        .light_line_style(WHITE)
        .x_label_formatter(&|number| format!("{number:.0}"));
    mesh.draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    let mut names = chart.configure_series_labels();
    names
        .position(SeriesLabelPosition::UpperMiddle)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(page.present()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_the_contenders_and_what_was_measured() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plot.svg");
        let line = |name: &str, cost: f64| (name.to_owned(), vec![(1.0, cost), (10_000.0, cost * 2.0)]);
        write(&path, "sessions", "CPU us/echo", &[line("quinn", 20.0), line("KWIK", 25.0)]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["quinn", "KWIK", "sessions", "CPU us/echo", "10000"] {
            assert!(svg.contains(text), "{text}");
        }
        // One size only is no error.
        write(&path, "streams", "CPU us/stream", &[("quinn".to_owned(), vec![(1.0, 20.0)])]).unwrap();
    }
}
