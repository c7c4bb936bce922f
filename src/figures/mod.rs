//! Pictures for export, drawn without a window: a [`Chart`], a [`Parallel`] or a [`Plane`] becomes SVG,
//! and SVG becomes PNG.

mod ablation;
mod chart;
mod labels;
mod parallel;
mod plane;
mod raster;
mod scale;
mod svg;

pub use ablation::ablation_chart;
pub use chart::{Axis, Chart, Kind, Series, Theme};
pub use labels::{Label, place as place_labels};
pub use parallel::{Parallel, ParallelAxis, ParallelLine};
pub use plane::{Mark, Plane, Sign, Way, viridis};
pub use raster::{FigureError, to_png};
pub use svg::Color;

/// GRU, on every page and in every picture.
pub const GRU: Color = Color(0x9a, 0xa3, 0xb2);
/// Euler.
pub const EULER: Color = Color(0xe6, 0x9f, 0x00);
/// RK4.
pub const RK4: Color = Color(0x2d, 0xb5, 0xa3);
/// SASRec.
pub const SASREC: Color = Color(0xf0, 0xe4, 0x42);
/// TiSASRec.
pub const TISASREC: Color = Color(0x4a, 0x72, 0xe0);
/// Decay.
pub const DECAY: Color = Color(0x87, 0x73, 0x4b);
/// CfC.
pub const CFC: Color = Color(0xff, 0xd7, 0x9b);
/// GRU-ODE.
pub const GRU_ODE: Color = Color(0x9b, 0x23, 0xff);
/// The most popular items.
pub const POPULARITY: Color = Color(0xcc, 0x79, 0xa7);
/// First-order Markov.
pub const MARKOV: Color = Color(0xd5, 0x5e, 0x00);
/// The items most popular of late.
pub const RECENT: Color = Color(0x9a, 0xd3, 0xf5);
/// Items like those of the history.
pub const ITEM_KNN: Color = Color(0xa0, 0x6d, 0x3a);
/// What has no colour of its own.
pub const OTHER: Color = Color(0x4c, 0x9b, 0xe8);

/// The colour of a model or baseline by its word.
pub fn model_color(model: &str) -> Color {
    match model {
        "gru" => GRU,
        "euler" => EULER,
        "rk4" => RK4,
        "sasrec" => SASREC,
        "tisasrec" => TISASREC,
        "decay" => DECAY,
        "cfc" => CFC,
        "gru-ode" => GRU_ODE,
        "popularity" => POPULARITY,
        "markov" => MARKOV,
        "recent" => RECENT,
        "item-knn" => ITEM_KNN,
        _ => OTHER,
    }
}
