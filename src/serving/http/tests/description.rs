//! `GET /openapi.json`.

use serde_json::Value;

use super::{Running, settings};

async fn document(token: Option<&str>) -> Value {
    let running = Running::with_token(&settings(), token).await;
    let lines = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    running.line().await.ask("GET /openapi.json", &lines, "").await.json()
}

fn statuses(operation: &Value) -> Vec<&str> {
    operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every `$ref` in the document leads somewhere.
fn check_references(value: &Value, root: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get("$ref") {
                assert!(root.pointer(to.trim_start_matches('#')).is_some(), "{to}");
            }
            fields.values().for_each(|field| check_references(field, root));
        }
        Value::Array(values) => values.iter().for_each(|value| check_references(value, root)),
        _ => {}
    }
}

#[tokio::test]
async fn it_lists_every_route_with_every_status() {
    let document = document(None).await;
    check_references(&document, &document);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let mut routes: Vec<&str> = paths.keys().map(String::as_str).collect();
    routes.sort_unstable();
    let known =
        ["/", "/adapter", "/feedback", "/health", "/metrics", "/openapi.json", "/recommend"];
    assert_eq!(routes, known);
    let body = ["400", "403", "408", "411", "413", "415", "422", "500", "503"];
    for path in known {
        let operation = if let Some(post) = paths[path].get("post") {
            assert!(statuses(post).contains(&"200"));
            assert!(body.iter().all(|status| statuses(post).contains(status)), "{path}");
            post
        } else {
            assert_eq!(statuses(&paths[path]["get"]), ["200", "403", "500", "503"], "{path}");
            &paths[path]["get"]
        };
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = response["content"].as_object().unwrap();
            let kind = if (path, status.as_str()) == ("/metrics", "200") {
                "text/plain; version=0.0.4; charset=utf-8"
            } else {
                "application/json"
            };
            assert!(content.contains_key(kind), "{path} {status}");
        }
    }
    let file = ["400", "408", "409", "411", "413", "415", "422"];
    assert!(file.iter().all(|status| statuses(&paths["/adapter"]["put"]).contains(status)));
    assert!(
        paths["/adapter"]["put"]["requestBody"]["content"]["application/octet-stream"].is_object()
    );
    assert_eq!(statuses(&paths["/adapter"]["delete"]), ["200", "403", "409", "500", "503"]);
    assert!(statuses(&paths["/recommend"]["post"]).contains(&"504"));
    assert!(document.pointer("/components/securitySchemes").is_none());
}

#[tokio::test]
async fn it_describes_the_header_that_forces_a_path() {
    let document = document(None).await;
    let header = &document["paths"]["/recommend"]["post"]["parameters"][0];
    assert_eq!((&header["name"], &header["in"]), (&"X-Demo-Mode".into(), &"header".into()));
    assert_eq!(header["required"], false);
    let words = serde_json::json!({"type": "string", "enum": ["force_fast", "force_slow"]});
    assert_eq!(header["schema"], words);
}

#[tokio::test]
async fn it_describes_the_token_where_one_is_wanted() {
    let document = document(Some("s3cret")).await;
    let scheme = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&"http".into(), &"bearer".into()));
    assert_eq!(document["security"], serde_json::json!([{"bearer": []}]));
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            assert!(statuses(operation).contains(&"401"));
        }
    }
    assert!(!document.to_string().contains("s3cret"));
}
