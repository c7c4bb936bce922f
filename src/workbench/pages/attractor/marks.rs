//! The signs of the phase portrait, in the plot and in its legend.

use eframe::egui::{Color32, Painter, Pos2, Shape, Stroke, vec2};

use crate::figures::viridis;
use crate::workbench::theme::{Palette, UNIT};

/// Colour of a way at `share` of its time, 0 to 1.
pub fn time_color(share: f64) -> Color32 {
    let color = viridis(share);
    Color32::from_rgb(color.0, color.1, color.2)
}

/// A sign of the legend.
pub enum Mark {
    /// The colours of time.
    Way,
    /// A way in one colour.
    Dot(Color32),
    Ring,
    Cross,
    Diamond,
}

impl Mark {
    pub fn paint(&self, painter: &Painter, at: Pos2, palette: &Palette) {
        match self {
            Self::Way => {
                const STEPS: usize = 12;
                let left = at - vec2(2.5 * UNIT, 0.0);
                let step = vec2(5.0 * UNIT / STEPS as f32, 0.0);
                for index in 0..STEPS {
                    let from = left + step * index as f32;
                    let color = time_color((index as f64 + 0.5) / STEPS as f64);
                    painter.line_segment([from, from + step], Stroke::new(3.0, color));
                }
            }
            Self::Dot(color) => {
                painter.circle_filled(at, UNIT, *color);
            }
            Self::Ring => attractor(painter, at, 0.5, palette.strong),
            Self::Cross => cross(painter, at, palette.strong.gamma_multiply(0.7)),
            Self::Diamond => diamond(painter, at, 0.6, palette.warning),
        }
    }
}

pub fn attractor(painter: &Painter, at: Pos2, size: f32, color: Color32) {
    painter.circle_stroke(at, 10.0 * size, Stroke::new(2.2 * size.sqrt(), color));
    painter.circle_filled(at, 3.5 * size, color);
}

pub fn cross(painter: &Painter, at: Pos2, color: Color32) {
    for [a, b] in [[-4.5, -4.5], [-4.5, 4.5]] {
        painter.line_segment([at + vec2(a, b), at - vec2(a, b)], Stroke::new(1.6, color));
    }
}

pub fn diamond(painter: &Painter, at: Pos2, size: f32, color: Color32) {
    let corners = [vec2(0.0, -9.0), vec2(9.0, 0.0), vec2(0.0, 9.0), vec2(-9.0, 0.0)];
    let corners = corners.iter().map(|corner| at + *corner * size).collect();
    painter.add(Shape::closed_line(corners, Stroke::new(1.6, color)));
}
