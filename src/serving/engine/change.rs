//! What changes while an engine serves: the model, the adapter on it, the settings.

use std::sync::{Arc, PoisonError};

use super::{Answers, Engine, Live};
use crate::jobs::{self, Control};
use crate::reasoning::reasoner;
use crate::serving::wire::AdapterState;
use crate::serving::{ServeError, ServedModel};
use crate::settings::Config;

impl Engine {
    /// Put another model, and other settings of router, System 2 or cache, in place. Requests in
    /// flight finish with what they began with.
    ///
    /// # Errors
    /// [`ServeError::Reasoner`] where System 2's settings cannot work; then nothing changed.
    pub fn replace(&self, model: Arc<ServedModel>, config: &Config) -> Result<(), ServeError> {
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(model, config)
    }

    /// The same for the settings alone, whichever model is in place.
    ///
    /// # Errors
    /// As [`Self::replace`].
    pub fn configure(&self, config: &Config) -> Result<(), ServeError> {
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(self.model(), config)
    }

    fn put(&self, model: Arc<ServedModel>, config: &Config) -> Result<(), ServeError> {
        let before = self.live.load_full();
        let same_model = Arc::ptr_eq(&before.model, &model);
        // A breaker that is open stays open unless System 2 itself changed.
        let reasoner = if same_model && before.settings == config.reasoner {
            before.reasoner.clone()
        } else {
            reasoner(&config.reasoner, model.evidence.clone())?
        };
        // First: what is decided by new thresholds may be kept among the old answers, which are forgotten,
        // but nothing decided by old ones among the new.
        self.router.apply(config.router.clone(), self.now());
        self.live.store(Arc::new(Live {
            generation: before.generation + u64::from(!same_model),
            reasoner,
            answers: Arc::new(Answers::new(&config.server)),
            settings: config.reasoner.clone(),
            server: config.server.clone(),
            model,
        }));
        Ok(())
    }

    /// Put the adapter `bytes`, called `file` for people, on the model in place, or with `None`
    /// take off the one that is on. Merging and fitting the temperature take a while, up to some
    /// seconds for large catalogues; requests go on with the old weights meanwhile, and those in
    /// flight finish with them.
    ///
    /// # Errors
    /// [`ServeError::Adapter`] for anything that is not an adapter of the run; then nothing changed.
    pub fn adapt(&self, adapter: Option<(&str, &[u8])>) -> Result<AdapterState, ServeError> {
        // Held all along: another change must not be lost under this one.
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.live.load_full();
        let context = jobs::detached::<()>(Control::default(), |_, _| ());
        let model = match adapter {
            Some((file, bytes)) => before.model.adapted(file, bytes, &context)?,
            None if before.model.adapter.is_none() => return Ok(self.adapter()),
            None => before.model.bare(&context)?,
        };
        self.live.store(Arc::new(Live {
            // States of users and answers belong to the weights that they were computed with.
            generation: before.generation + 1,
            model: Arc::new(model),
            reasoner: before.reasoner.clone(),
            settings: before.settings.clone(),
            answers: Arc::new(Answers::new(&before.server)),
            server: before.server.clone(),
        }));
        Ok(self.adapter())
    }

    /// Which adapter is on which model.
    pub fn adapter(&self) -> AdapterState {
        let model = self.model();
        AdapterState {
            status: "success".to_owned(),
            model: model.run.clone(),
            adapter: model.adapter.clone(),
        }
    }
}
