//! `deepm3 devices`.

use anyhow::Result;
use serde_json::json;

use super::arguments::Common;
use super::output;
use crate::dynamics::device;

pub fn list(common: &Common) -> Result<()> {
    let devices = device::devices();
    if common.json {
        return output::json(&json!({ "devices": devices }));
    }
    for found in devices {
        let mark = if found.default { "*" } else { " " };
        println!("{mark} {}", found.label());
    }
    println!("\n* is used unless --device says otherwise.");
    Ok(())
}
