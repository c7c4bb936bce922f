//! The API's description, made from the handlers and the bodies' own types.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, ResponsesBuilder,
    SecurityRequirement,
};
use utoipa::{IntoParams, IntoResponses, OpenApi};

use super::{adapter, routes};
use crate::serving::wire::ErrorBody;

const BEARER: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "DeepM3 Workbench",
        description = "Recommendations from System 1, and from System 2 where a request is \
                       uncertain and the budget allows it. Every error of a request that HTTP can \
                       read is JSON with a code for machines and a sentence for people.",
        license(name = "MIT", identifier = "MIT")
    ),
    servers((url = "/", description = "this server")),
    paths(
        routes::index,
        routes::recommend,
        routes::feedback,
        adapter::which,
        adapter::put,
        adapter::remove,
        routes::health,
        routes::metrics,
        routes::openapi
    ),
    components(schemas(ErrorBody))
)]
struct Api;

/// The description as JSON; `token` says whether the server wants one.
pub fn document(token: bool) -> String {
    let mut api = Api::openapi();
    if token {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token shown when the server started."))
            .build();
        api.components
            .get_or_insert_with(Components::new)
            .add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        api.security = Some(vec![SecurityRequirement::new(BEARER, [""; 0])]);
        for path in api.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                add_unauthorized(operation);
            }
        }
    }
    // Strings and maps with string keys can always be written.
    api.to_json().unwrap_or_default()
}

fn add_unauthorized(operation: &mut Operation) {
    let header = Header::new(ObjectBuilder::new().schema_type(Type::String));
    let response =
        refusal("`unauthorized`: the token is missing or wrong").header("WWW-Authenticate", header);
    let status = StatusCode::UNAUTHORIZED.as_str().to_owned();
    operation.responses.responses.insert(status, response.build().into());
}

/// The header that forces a path. Derived from an `Option`, it could be null, which no header can.
pub struct DemoMode;

impl IntoParams for DemoMode {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let words = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some([routes::FORCE_FAST, routes::FORCE_SLOW]));
        let header = ParameterBuilder::new()
            .name(routes::DEMO_MODE)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("Forces a path for this request, whatever its uncertainty."))
            .schema(Some(words));
        vec![header.build()]
    }
}

/// What any route may answer.
pub struct Every;

impl IntoResponses for Every {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let seconds = Header::new(ObjectBuilder::new().schema_type(Type::Integer));
        ResponsesBuilder::new()
            .response("403", refusal("`foreign_host`: the Host header names another server"))
            .response("500", refusal("`internal`: the server failed on this request and goes on"))
            .response(
                "503",
                refusal("`overloaded`: too many requests at once; `stopping`: the server stopped")
                    .header("Retry-After", seconds),
            )
            .build()
            .into()
    }
}

/// What `/recommend` may answer besides.
pub struct WithHistory;

impl IntoResponses for WithHistory {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        with_body(
            "; `unknown_demo_mode` for a wrong header",
            "what the model cannot answer: `lengths_differ`, `count_range`, `user_id_length`…",
        )
    }
}

/// What `/feedback` may answer besides.
pub struct WithItem;

impl IntoResponses for WithItem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        with_body("", "`unknown_item`: the item is not in the catalogue")
    }
}

/// What a route that reads JSON may answer, with what its own 400 and 422 may be besides.
fn with_body(malformed: &str, unfit: &str) -> BTreeMap<String, RefOr<Response>> {
    let codes = "`invalid_json`, `empty_body`, `nested_too_deeply`, `broken_body`";
    ResponsesBuilder::new()
        .response("400", refusal(&format!("{codes}{malformed}")))
        .response("408", refusal("`body_timeout`: the body took too long to arrive"))
        .response("411", refusal("`length_required`: there is no body"))
        .response("413", refusal("`body_too_large`: the body is over server.body_limit"))
        .response("415", refusal("`not_json` or `encoded`: the body must be plain JSON"))
        .response("422", refusal(&format!("`invalid_body`, `number_out_of_range`, or {unfit}")))
        .build()
        .into()
}

/// What a route that reads a file may answer besides.
pub struct WithFile;

impl IntoResponses for WithFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        ResponsesBuilder::new()
            .response("400", refusal("`empty_body`, `broken_body`"))
            .response("408", refusal("`body_timeout`: the body took too long to arrive"))
            .response("411", refusal("`length_required`: there is no body"))
            .response("413", refusal("`body_too_large`: the file is larger than any of ours"))
            .response("415", refusal("`encoded`: the body must not be compressed"))
            .response(
                "422",
                refusal(
                    "`not_an_adapter`: the file is none; `other_model`: it was trained on another \
                     run's weights, or the model takes none",
                ),
            )
            .build()
            .into()
    }
}

fn refusal(description: &str) -> ResponseBuilder {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(description).content("application/json", body)
}
