//! The HTML of a report.

use super::{About, ExperimentResult};
use crate::figures::Theme;

const STYLE: &str = "body{font:16px/1.55 Inter,system-ui,sans-serif;max-width:1080px;margin:40px auto;\
padding:0 24px;color:#1d2129;background:#fff}h1{font-size:30px}h2{margin-top:56px;font-size:22px}\
.quiet{color:#5b6473}.headline{font-size:18px;font-weight:600}table{border-collapse:collapse;\
width:100%;font-size:14px;font-variant-numeric:tabular-nums}th,td{padding:7px 10px;border-bottom:1px \
solid #e4e7ec;text-align:right;vertical-align:top}th:first-child,td:first-child,.claim{text-align:left}\
th{color:#5b6473;font-weight:500}.claim{color:#5b6473}.simulated{border-left:4px solid #f0b429;\
background:#fdf6e3;padding:8px 14px}pre{background:#f3f4f7;padding:12px 16px;overflow-x:auto;\
font-size:13px}svg{max-width:100%;height:auto;margin:16px 0}.scroll{overflow-x:auto}";

/// Text that means nothing to HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An SVG as an address that holds it.
pub fn data_address(svg: &str) -> String {
    let mut address = String::from("data:image/svg+xml,");
    for byte in svg.bytes() {
        // What neither Markdown nor an address reads as its own.
        if byte.is_ascii_alphanumeric() || b"-_.~/:=,;!$&'*+@".contains(&byte) {
            address.push(byte as char);
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}

/// One experiment.
pub fn section(body: &mut String, about: &About, result: &ExperimentResult) {
    let findings = &result.findings;
    let mut put = |tag: &str, class: &str, text: &str| {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        body.push_str(&format!("<{tag}{class}>{}</{tag}>\n", escaped(text)));
    };
    put("h2", "", about.title);
    put("p", "quiet", about.asks);
    put("p", "headline", &findings.headline);
    if !findings.simulated.is_empty() {
        put("p", "simulated", &format!("Simulated: {}", findings.simulated));
    }
    if about.is_of_the_readme() {
        put("p", "quiet", &format!("The original claims: {} ({}).", about.claim, about.source));
    }
    table(body, result);
    body.push_str(&findings.figure.to_svg(Theme::Light));
    if !findings.facts.is_empty() {
        let facts: String =
            findings.facts.iter().map(|fact| format!("<li>{}</li>", escaped(fact))).collect();
        body.push_str(&format!("<ul>{facts}</ul>\n"));
    }
    for (name, text) in [("Method.", &findings.method), ("Limits.", &findings.limits)] {
        body.push_str(&format!("<p><strong>{name}</strong> {}</p>\n", escaped(text)));
    }
    body.push_str(&format!(
        "<p class=\"quiet\">{}</p>\n<pre>{}</pre>\n",
        escaped(&result.provenance()),
        escaped(&result.command)
    ));
}

fn table(body: &mut String, result: &ExperimentResult) {
    let (titles, rows) = result.findings.cells();
    let columns = result.findings.columns.len();
    let line = |tag: &str, cells: &[String]| -> String {
        let cells = cells.iter().enumerate().map(|(place, cell)| {
            let class = if place > columns { " class=\"claim\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escaped(cell))
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = rows.iter().map(|row| line("td", row)).collect();
    body.push_str(&format!(
        "<div class=\"scroll\"><table><thead>{}</thead><tbody>{rows}</tbody></table></div>\n",
        line("th", &titles)
    ));
}

/// The whole file.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}
