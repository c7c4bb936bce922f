//! From the words in `data.source` to events in memory.

use std::path::Path;

use super::Dataset;
use super::catalog::{self, CatalogError};
use super::download::{self, DownloadError};
use super::drift::{DriftOptions, drift};
use super::import::{ImportError, ImportOptions, Mapping, MappingError, import};
use crate::jobs::{Cancelled, Context};
use crate::settings::DataSettings;

/// Why a source could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Import(ImportError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Download(DownloadError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(
        "`{name}` is in the catalogue but not on this machine; get it with `deepm3 data get {name}`, which shows its licence first"
    )]
    NotDownloaded { name: String },
    #[error("there is no file or folder `{given}`; {hint}")]
    NoSuchSource { given: String, hint: String },
}

impl From<ImportError> for LoadError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Import(error),
        }
    }
}

impl From<DownloadError> for LoadError {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Download(error),
        }
    }
}

impl ImportOptions {
    /// The options that settings name.
    ///
    /// # Errors
    /// [`LoadError::Mapping`] where `data.columns` cannot be read.
    pub fn from_settings(settings: &DataSettings) -> Result<Self, LoadError> {
        let mapping = match settings.columns.as_str() {
            "" => None,
            text => Some(text.parse::<Mapping>()?),
        };
        let items_path = match settings.items_file.as_str() {
            "" => None,
            path => Some(path.into()),
        };
        Ok(Self { mapping, items_path, ..Self::default() })
    }
}

/// Load a path, a set of the catalogue that was downloaded, or `drift`.
///
/// # Errors
/// [`LoadError`], saying what to do, or [`LoadError::Cancelled`].
pub fn load<E>(
    source: &str,
    options: &ImportOptions,
    context: &Context<E>,
) -> Result<Dataset, LoadError> {
    if source == "drift" {
        context.progress(None, "Generating the drift set");
        return Ok(drift(DriftOptions::default(), || context.checkpoint())?);
    }
    let path = Path::new(source);
    // What may not be looked at is there as well: opening it says why.
    if path.try_exists().unwrap_or(true) {
        return Ok(import(path, options, context)?);
    }
    let no_such_source =
        |hint: &str| LoadError::NoSuchSource { given: source.to_owned(), hint: hint.to_owned() };
    if source.contains("://") {
        return Err(no_such_source("download it first and give the file"));
    }
    let entry = catalog::find(source).map_err(|error| {
        // The nearest name of the catalogue says nothing of a path.
        let is_path = source.contains(['/', '\\', '.']);
        let nearest = error.to_string();
        no_such_source(if is_path { "check the path" } else { &nearest })
    })?;
    let missing = || LoadError::NotDownloaded { name: entry.name.clone() };
    let folder = catalog::data_dir().ok_or_else(missing)?;
    if !entry.is_downloaded(&folder) {
        return Err(missing());
    }
    let mut options = options.clone();
    if options.mapping.is_none() {
        options.mapping = entry.mapping();
    }
    download::verify(&entry, &folder, context)?;
    let mut data = import(&entry.folder(&folder), &options, context)?;
    data.name = entry.title;
    data.source = entry.name;
    Ok(data)
}
