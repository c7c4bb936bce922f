//! `deepm3 data list | inspect | get`.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::arguments::{Common, DataCommand, DataOptions, Usage};
use super::output;
use crate::data::drift::DriftOptions;
use crate::data::{catalog, download, import::ImportOptions, load, stats};
use crate::settings::Config;

pub fn run(command: &DataCommand, common: &Common) -> Result<()> {
    match command {
        DataCommand::List => list(common),
        DataCommand::Inspect(options) => inspect(options, common),
        DataCommand::Get { name, agree } => get(name, *agree, common),
    }
}

fn list(common: &Common) -> Result<()> {
    let folder = catalog::data_dir();
    let entries = catalog::catalog()?;
    let here =
        |entry: &catalog::Entry| folder.as_ref().is_some_and(|folder| entry.is_downloaded(folder));
    if common.json {
        let mut sets = vec![json!({
            "name": "drift", "title": "Built-in set with known dynamics", "downloaded": true,
            "licence": "MIT",
        })];
        sets.extend(entries.iter().map(|entry| {
            json!({
                "name": entry.name, "title": entry.title, "users": entry.users,
                "items": entry.items, "events": entry.events, "clock": entry.clock,
                "licence": entry.licence.name, "homepage": entry.homepage,
                "download_bytes": entry.download_bytes(), "downloaded": here(entry),
            })
        }));
        return output::json(&json!({ "sets": sets }));
    }
    println!("{:<22} {:>10} {:>12}  {:<10}  clock", "name", "users", "events", "here");
    let users = DriftOptions::default().users;
    println!("{:<22} {users:>10} {:>12}  {:<10}  exact", "drift", "generated", "built in");
    for entry in entries {
        let state = if here(&entry) { "yes" } else { "no" };
        println!(
            "{:<22} {:>10} {:>12}  {:<10}  {}",
            entry.name, entry.users, entry.events, state, entry.clock
        );
    }
    println!("\n`deepm3 data get NAME` downloads a set; its licence is shown first.");
    Ok(())
}

fn inspect(options: &DataOptions, common: &Common) -> Result<()> {
    let mut config = Config::default();
    options.apply(&mut config)?;
    let context = output::context::<()>(common, |()| ())?;
    let import = ImportOptions::from_settings(&config.data)?;
    let data = load(&config.data.source, &import, &context)?;
    let stats = stats::stats(&data);
    if common.json {
        let mut object = serde_json::to_value(&stats)?;
        object["notes"] = json!(data.report.notes);
        return output::json(&object);
    }
    println!("{}\n", data.name);
    let lines = serde_json::to_value(&stats)?;
    print_fields(&lines, "");
    println!();
    for line in data.report.lines() {
        println!("{line}");
    }
    Ok(())
}

/// `name  value` lines, nested names joined by dots.
fn print_fields(value: &serde_json::Value, prefix: &str) {
    let Some(fields) = value.as_object() else { return };
    for (name, value) in fields {
        let name = format!("{prefix}{name}");
        match value {
            serde_json::Value::Object(_) => print_fields(value, &format!("{name}.")),
            serde_json::Value::Array(_) => {}
            serde_json::Value::String(text) => println!("{name:<22} {text}"),
            serde_json::Value::Number(number) if number.is_f64() => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                let is_time = name.starts_with("gaps.") && !name.ends_with("share");
                let unit = if is_time { " s" } else { "" };
                println!("{name:<22} {}{unit}", rounded(number));
            }
            other => println!("{name:<22} {other}"),
        }
    }
}

/// To four digits that say something, without zeros that say nothing.
fn rounded(number: f64) -> String {
    let digits = 3 - number.abs().max(1e-12).log10().floor() as i32;
    let text = format!("{number:.*}", digits.max(0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn get(name: &str, agree: bool, common: &Common) -> Result<()> {
    if name == "drift" {
        return Err(Usage("`drift` is built in; there is nothing to download".to_owned()).into());
    }
    let entry = catalog::find(name).map_err(|error| Usage(error.to_string()))?;
    let folder =
        catalog::data_dir().context("this system has no folder for application data; set HOME")?;
    note!(
        "{}\n{}: {}\n{}",
        entry.title,
        entry.licence.name,
        entry.licence.summary,
        entry.licence.url
    );
    if agree {
        entry.agree(&folder)?;
    } else if !entry.agreed(&folder) {
        return Err(Usage(format!(
            "read the licence above; `deepm3 data get {name} --agree` agrees to it and downloads"
        ))
        .into());
    }
    let context = output::context::<()>(common, |()| ())?;
    let path = download::download(&entry, &folder, &context)?;
    if common.json {
        return output::json(&json!({ "name": entry.name, "path": path }));
    }
    println!("{} is in {}", entry.name, path.display());
    Ok(())
}
