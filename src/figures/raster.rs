//! SVG to PNG, with the fonts that ship with the product.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};

const FAMILY: &str = "Inter";
static FONTS: [&[u8]; 2] = [
    include_bytes!("../../assets/fonts/Inter-Regular.otf"),
    include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
];

/// Pixels on the longer side, at most.
const LARGEST: f32 = 16_384.0;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    #[error("the picture is not valid SVG: {0}")]
    Svg(#[from] resvg::usvg::Error),
    #[error(
        "a picture of {width:.0} × {height:.0} pixels cannot be drawn; choose a scale that keeps it between 1 and 16384"
    )]
    Size { width: f32, height: f32 },
    #[error("the picture cannot be written as PNG: {0}")]
    Png(String),
}

/// Draw an SVG as PNG, `scale` pixels for each of its own.
///
/// Text is drawn in Inter, whatever fonts the machine has, so that a picture looks the same
/// everywhere.
///
/// # Errors
/// [`FigureError`] where the text is not SVG, or the picture would be empty or too large.
pub fn to_png(svg: &str, scale: f32) -> Result<Vec<u8>, FigureError> {
    static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut database = Database::new();
        for font in FONTS {
            database.load_font_source(Source::Binary(Arc::new(font)));
        }
        database.set_sans_serif_family(FAMILY);
        Arc::new(database)
    });
    let options =
        Options { font_family: FAMILY.to_owned(), fontdb: DATABASE.clone(), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let width = (tree.size().width() * scale).round();
    let height = (tree.size().height() * scale).round();
    let fits = |side: f32| (1.0..=LARGEST).contains(&side);
    let mut pixmap = Some(())
        .filter(|()| fits(width) && fits(height))
        .and_then(|()| Pixmap::new(width as u32, height as u32))
        .ok_or(FigureError::Size { width, height })?;
    let transform = Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| FigureError::Png(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Theme;
    use crate::figures::chart::sample;

    fn pixels(png: &[u8]) -> image::RgbaImage {
        image::load_from_memory(png).unwrap().to_rgba8()
    }

    /// The same picture with every text element taken out.
    fn without_text(svg: &str) -> String {
        svg.lines().filter(|line| !line.starts_with("<text")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_chart_is_drawn_at_its_size_with_its_text() {
        for theme in [Theme::Dark, Theme::Light] {
            let svg = sample(theme).to_svg();
            let drawn = pixels(&to_png(&svg, 1.5).unwrap());
            assert_eq!(drawn.dimensions(), (1440, 900));
            let first = drawn.get_pixel(0, 0);
            assert!(drawn.pixels().any(|pixel| pixel != first));

            let bare = pixels(&to_png(&without_text(&svg), 1.5).unwrap());
            let differing = drawn.pixels().zip(bare.pixels()).filter(|(a, b)| a != b);
            assert!(differing.count() > 2_000);
        }
    }

    #[test]
    fn semi_bold_is_another_font() {
        let of = |weight: u32| {
            let svg = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"99\" height=\"30\">\
                 <text y=\"20\" font-family=\"Inter\" font-weight=\"{weight}\">Loss</text></svg>"
            );
            to_png(&svg, 1.0).unwrap()
        };
        assert_ne!(of(400), of(600));
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(matches!(to_png("no picture", 1.0), Err(FigureError::Svg(_))));
        let svg = sample(Theme::Dark).to_svg();
        for scale in [0.0, -1.0, 1000.0, f32::NAN, f32::INFINITY] {
            let result = to_png(&svg, scale);
            assert!(matches!(result, Err(FigureError::Size { .. })), "{scale}");
        }
    }
}
