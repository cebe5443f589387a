//! Plots the wall times.

use std::path::Path;

use plotters::prelude::*;

use crate::one::{Walls, ROUND_TRIPS_MS};

const FILE: &str = "benches/network/walls.svg";
const SIZE: (u32, u32) = (760, 380);

pub(crate) fn draw(walls: &[Walls]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    try_draw(&file, walls).expect("the plot can be drawn");
    println!("\ndrawn in {FILE}");
}

fn try_draw(file: &Path, walls: &[Walls]) -> Result<(), Box<dyn std::error::Error>> {
    let slowest = walls.iter().flat_map(|walls| &walls.milliseconds);
    let slowest = slowest.copied().fold(0.0, f64::max);
    let farthest = ROUND_TRIPS_MS[ROUND_TRIPS_MS.len() - 1];
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "One container to production and its invalidation",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0..farthest, 0.0..slowest * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("round trip in ms")
        .y_desc("wall time in ms")
        .y_label_formatter(&|milliseconds| format!("{milliseconds:.0}"))
        .draw()?;
    for (walls, colour) in walls.iter().zip([GREEN, BLUE, RED]) {
        let points = || {
            ROUND_TRIPS_MS
                .into_iter()
                .zip(walls.milliseconds.iter().copied())
        };
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)).point_size(3))?
            .label(walls.tool)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
