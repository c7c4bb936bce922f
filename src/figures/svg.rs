//! Just enough SVG: elements appended to a string, numbers rounded, text escaped.

use std::fmt;

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    /// The mixture that is `share`, 0..=1, of the way to `other`.
    pub fn toward(self, other: Self, share: f64) -> Self {
        let mix =
            |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub bold: bool,
    pub color: Color,
    pub anchor: Anchor,
}

/// A picture being drawn; units are CSS pixels, y downward.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Self { text: String::new() };
        svg.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Inter, sans-serif\">\n"
        ));
        svg.push(format_args!("<title>{}</title>\n", escape(title)));
        svg
    }

    pub fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: Color) {
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>\n"
        ));
    }

    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], color: Color, width: f64) {
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" \
             stroke=\"{color}\" stroke-width=\"{width}\"/>\n"
        ));
    }

    pub fn circle(&mut self, [x, y]: [f64; 2], radius: f64, fill: Color) {
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\"/>\n"
        ));
    }

    pub fn ring(&mut self, [x, y]: [f64; 2], radius: f64, color: Color, width: f64) {
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"none\" stroke=\"{color}\" \
             stroke-width=\"{width}\"/>\n"
        ));
    }

    /// A thin dotted line.
    pub fn dotted(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], color: Color) {
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" \
             stroke=\"{color}\" stroke-width=\"1\" stroke-dasharray=\"3 3\"/>\n"
        ));
    }

    pub fn polyline(&mut self, points: &[[f64; 2]], color: Color) {
        self.push(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n",
            Points(points)
        ));
    }

    /// A line among many, of its own width and opacity.
    pub fn strand(&mut self, points: &[[f64; 2]], color: Color, width: f64, opacity: f64) {
        self.push(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" \
             stroke-opacity=\"{opacity:.2}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n",
            Points(points)
        ));
    }

    /// A filled area that lets the grid shine through.
    pub fn area(&mut self, points: &[[f64; 2]], color: Color) {
        self.push(format_args!(
            "<polygon points=\"{}\" fill=\"{color}\" fill-opacity=\"0.2\"/>\n",
            Points(points)
        ));
    }

    pub fn text(&mut self, [x, y]: [f64; 2], look: Type, text: &str) {
        self.text_with(x, y, look, "", text);
    }

    /// Text read from the bottom up.
    pub fn text_upward(&mut self, [x, y]: [f64; 2], look: Type, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"");
        self.text_with(x, y, look, &turn, text);
    }

    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn text_with(&mut self, x: f64, y: f64, look: Type, attributes: &str, text: &str) {
        let anchor = match look.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if look.bold { 600 } else { 400 };
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{}\" font-weight=\"{weight}\" \
             fill=\"{}\" text-anchor=\"{anchor}\"{attributes}>{}</text>\n",
            look.size,
            look.color,
            escape(text)
        ));
    }

    fn push(&mut self, element: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = fmt::Write::write_fmt(&mut self.text, element);
    }
}

struct Points<'a>(&'a [[f64; 2]]);

impl fmt::Display for Points<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for [x, y] in self.0 {
            write!(f, "{x:.1},{y:.1} ")?;
        }
        Ok(())
    }
}

/// Text for XML; characters that XML does not allow at all become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(
            escape("<b> & \"q\" 'a'\u{0}\n"),
            "&lt;b&gt; &amp; &quot;q&quot; &apos;a&apos;  "
        );
    }

    #[test]
    fn colours_are_hexadecimal() {
        assert_eq!(Color(1, 0xab, 255).to_string(), "#01abff");
    }
}
