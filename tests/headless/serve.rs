//! `deepm3 serve` over a real socket with a real HTTP client, `recommend` and `traffic`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::program::{TINY, json as json_of, program, run};

/// A server that is stopped by SIGINT at the latest when it is dropped.
struct Serving {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Serving {
    fn start(runs: &Path, more: &[&str]) -> Self {
        let mut child = program(runs)
            .args(["serve", "--port", "0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "{line}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Another test may have set it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { child, output, address, client, runtime }
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> (StatusCode, String) {
        self.runtime.block_on(async {
            let mut request = self.client.request(method, format!("{}{path}", self.address));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(body) = body {
                request = request.header("Content-Type", "application/json").body(body);
            }
            let response = request.send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        })
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (StatusCode, Value) {
        let (status, text) = self.ask(Method::POST, path, headers, Some(body.to_string()));
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Ask it to stop as Ctrl-C does; what it said on its way out.
    fn stop(mut self) -> (bool, String) {
        interrupt(&self.child);
        let ended = wait(&mut self.child);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
        (ended, rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(status.success());
}

fn wait(child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn trained(runs: &Path) {
    let mut train = vec!["train", "--model", "rk4"];
    train.extend(TINY);
    json_of(runs, &train);
}

#[test]
fn deepm3s_requests_are_answered_by_the_trained_model() {
    let runs = tempfile::tempdir().unwrap();
    trained(runs.path());
    let log = runs.path().join("log");
    let serving = Serving::start(
        runs.path(),
        &["--impressions", log.to_str().unwrap(), "--set", "reasoner.mock_latency=false"],
    );
    let body = json!({"user_id": "demo_user", "recent_items": [1, 2], "recent_times": [0.1, 0.2]});
    let (status, fast) = serving.post("/recommend", &[("X-Demo-Mode", "force_fast")], &body);
    assert_eq!(status, 200, "{fast}");
    assert_eq!(fast["status"], "success");
    assert_eq!(fast["data"]["reasoning_source"], "fast_path");
    assert_eq!(fast["data"]["meta"]["reason"], "forced");
    assert_eq!(fast["data"]["trace"], json!(["perception", "fusion", "recall", "decision"]));
    assert_eq!(fast["data"]["recommendations"].as_array().unwrap().len(), 10);
    let (_, slow) = serving.post("/recommend", &[("X-Demo-Mode", "force_slow")], &body);
    assert_eq!(slow["data"]["reasoning_source"], "slow_path");
    assert_eq!(slow["data"]["meta"]["reasoner"]["kind"], "mock");
    assert_eq!(slow["data"]["meta"]["reasoner"]["simulated"], true);
    let (_, again) = serving.post("/recommend", &[("X-Demo-Mode", "force_fast")], &body);
    assert_eq!(again["data"]["meta"]["reason"], "cache");
    assert_eq!(again["data"]["recommendations"], fast["data"]["recommendations"]);

    // The same answer without a server.
    let alone = json_of(
        runs.path(),
        &["recommend", "--items", "1,2", "--times", "0.1,0.2", "--force", "fast"],
    );
    assert_eq!(alone["data"]["recommendations"], fast["data"]["recommendations"]);
    // Another history, another answer: nothing is canned.
    let other = json_of(
        runs.path(),
        &["recommend", "--items", "200,40", "--times", "0.1,0.2", "--force", "fast"],
    );
    assert_ne!(other["data"]["recommendations"], fast["data"]["recommendations"]);

    let feedback = json!({"impression_id": fast["impression_id"], "item": 1});
    let (status, noted) = serving.post("/feedback", &[], &feedback);
    assert_eq!((status, &noted["known_impression"]), (StatusCode::OK, &json!(true)));
    let (_, metrics) = serving.ask(Method::GET, "/metrics", &[], None);
    for line in [
        "api_requests_total{strategy=\"fast_path\"} 1",
        "api_requests_total{strategy=\"slow_path\"} 1",
        "cache_operations_total{status=\"hit\"} 1",
        "reasoner_requests_total{kind=\"mock\",outcome=\"ok\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing:\n{metrics}");
    }
    let (_, health) = serving.ask(Method::GET, "/health", &[], None);
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((&health["status"], &health["items"]), (&json!("ok"), &json!(300)));

    let (ended, said) = serving.stop();
    assert!(ended, "{said}");
    let lines: Vec<Value> = std::fs::read_dir(&log)
        .unwrap()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        })
        .collect();
    assert_eq!(lines.len(), 4, "three answers and a click, none lost: {lines:?}");
}

#[test]
fn wrong_requests_are_refused_with_a_code_and_a_sentence() {
    let runs = tempfile::tempdir().unwrap();
    trained(runs.path());
    let log = runs.path().join("log");
    let serving = Serving::start(runs.path(), &["--impressions", log.to_str().unwrap()]);
    let many: Vec<u32> = (0..10_000).collect();
    let times = vec![0.0; 10_000];
    let history = |items: Value, times: Value| {
        json!({"user_id": "u", "recent_items": items, "recent_times": times}).to_string()
    };
    let long = json!({"user_id": "u".repeat(2 << 20), "recent_items": []}).to_string();
    for (body, status, code) in [
        (history(json!([1, 2]), json!([0.1])), 422, "lengths_differ"),
        (history(json!("1"), json!([0.1])), 422, "invalid_body"),
        (
            "{\"user_id\": \"u\", \"recent_items\": [1], \"recent_times\": [NaN]}".to_owned(),
            400,
            "invalid_json",
        ),
        (
            "{\"user_id\": \"u\", \"recent_items\": [1], \"recent_times\": [1e999]}".to_owned(),
            422,
            "number_out_of_range",
        ),
        (history(json!([1]), json!([1e300])), 422, "absurd_time"),
        (history(json!(many), json!(times)), 422, "history_too_long"),
        (long, 413, "body_too_large"),
        (String::new(), 411, "length_required"),
    ] {
        let short: String = body.chars().take(60).collect();
        let (found, text) = serving.ask(Method::POST, "/recommend", &[], Some(body));
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((found.as_u16(), &answer["code"]), (status, &json!(code)), "{short}: {text}");
        assert!(answer["message"].as_str().unwrap().len() > 20, "{text}");
    }
    let body = history(json!([1]), json!([0.1]));
    let demo = [("X-Demo-Mode", "force_everything")];
    let (status, _) = serving.ask(Method::POST, "/recommend", &demo, Some(body.clone()));
    assert_eq!(status, 400);
    for host in ["evil.example", "127.0.0.1.evil.example", "[::1]x"] {
        let (status, text) = serving.ask(Method::GET, "/metrics", &[("Host", host)], None);
        assert!(status.is_client_error(), "{host}: {status} {text}");
    }
    // Unusual, and answered with a warning.
    let odd = json!({
        "user_id": "u", "recent_items": [3, "no such item", 5, 5], "recent_times": [0.5, 0.1, 0.2, 0.2],
    });
    let (status, answer) = serving.post("/recommend", &[("X-Demo-Mode", "force_fast")], &odd);
    assert_eq!(status, 200, "{answer}");
    let codes: Vec<&str> = answer["data"]["meta"]["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    for code in ["unknown_items", "unordered_times", "equal_times"] {
        assert!(codes.contains(&code), "{code} is missing: {codes:?}");
    }
}

#[test]
fn a_taken_port_is_explained_and_the_next_one_offered() {
    let runs = tempfile::tempdir().unwrap();
    trained(runs.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(runs.path(), &["serve", "--port", &port]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&port) && errors.contains("is free"), "{errors}");
}

#[test]
fn mixed_traffic_hits_the_cache_exactly_half_the_time() {
    let runs = tempfile::tempdir().unwrap();
    trained(runs.path());
    let log = runs.path().join("log");
    let serving = Serving::start(runs.path(), &["--impressions", log.to_str().unwrap()]);
    let report = json_of(
        runs.path(),
        &[
            "traffic",
            "--url",
            &serving.address,
            "--pattern",
            "mixed",
            "--rate",
            "200",
            "--seconds",
            "2",
            "--connections",
            "8",
        ],
    );
    assert_eq!(report["failed"], 0, "{report}");
    assert!(report["sent"].as_u64().unwrap() >= 390, "{report}");
    assert_eq!(report["hit_rate"], 0.5, "{report}");
    // Nobody answers there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let failed = run(runs.path(), &["traffic", "--url", &url, "--rate", "5", "--seconds", "1"]);
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stdout));
    let away = run(runs.path(), &["traffic", "--url", "http://192.0.2.1:8000"]);
    let errors = String::from_utf8_lossy(&away.stderr);
    assert_eq!(away.status.code(), Some(1), "{errors}");
    assert!(errors.contains("--allow-remote"), "{errors}");
}

#[test]
fn an_adapter_is_put_on_a_served_run_swapped_and_merged_into_a_run_of_its_own() {
    let runs = tempfile::tempdir().unwrap();
    let mut experiment = vec!["experiment", "dora"];
    experiment.extend(TINY);
    experiment.extend(["--set", "adapter.seeds=2", "--set", "adapter.epochs=2"]);
    experiment.extend(["--set", "adapter.parts=head+recurrent", "--set", "adapter.shift=later"]);
    let result = json_of(runs.path(), &experiment);
    assert_eq!(result["files"], json!(["adapter-lora.safetensors", "adapter-dora.safetensors"]));
    let run = result["run"].as_str().unwrap();
    let folder = runs.path().join(".experiments").join(result["id"].as_str().unwrap());
    let [lora, dora] =
        ["lora", "dora"].map(|kind| folder.join(format!("adapter-{kind}.safetensors")));
    let dora_path = dora.to_str().unwrap();
    trained(runs.path());

    let serving = Serving::start(
        runs.path(),
        &["--run", run, "--adapter", dora_path, "--set", "reasoner.mock_latency=false"],
    );
    let body = json!({"user_id": "ann", "recent_items": [1, 2], "recent_times": [0.1, 0.2]});
    let fast = [("X-Demo-Mode", "force_fast")];
    let answer = || {
        let (status, answer) = serving.post("/recommend", &fast, &body);
        assert_eq!(status, StatusCode::OK);
        answer["data"].clone()
    };
    let state = |method: Method| -> Value {
        let (status, text) = serving.ask(method, "/adapter", &[], None);
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let on = state(Method::GET);
    assert_eq!((&on["model"], &on["adapter"]["kind"]), (&json!(run), &json!("dora")));
    assert!(on["adapter"]["changes"].as_array().unwrap().len() > 3, "{on}");
    let with_dora = answer();
    assert_eq!(with_dora["meta"]["adapter"], on["adapter"]["fingerprint"]);
    assert_eq!(answer()["meta"]["cached"], true);

    // Off, on with another, and refused.
    assert_eq!(state(Method::DELETE)["adapter"], Value::Null);
    let bare = answer();
    assert_eq!(bare["meta"]["cached"], false);
    assert_ne!(bare["recommendations"], with_dora["recommendations"]);
    let put = |bytes: Vec<u8>| {
        serving.runtime.block_on(async {
            let url = format!("{}/adapter", serving.address);
            let response = serving.client.put(url).body(bytes).send().await.unwrap();
            (response.status(), response.json::<Value>().await.unwrap())
        })
    };
    let (status, answered) = put(std::fs::read(&lora).unwrap());
    assert_eq!((status, &answered["adapter"]["kind"]), (StatusCode::OK, &json!("lora")));
    let with_lora = answer();
    let (status, answered) = put(b"nonsense".to_vec());
    assert_eq!((status.as_u16(), &answered["code"]), (422, &json!("not_an_adapter")));
    assert_eq!(answer()["recommendations"], with_lora["recommendations"]);
    put(std::fs::read(&dora).unwrap());
    assert_eq!(answer()["recommendations"], with_dora["recommendations"]);
    assert!(serving.stop().0);

    // The other run takes none of it.
    let refused = run_of(runs.path(), &["serve", "--port", "0", "--adapter", dora_path]);
    assert!(refused.contains("another run") || refused.contains("other weights"), "{refused}");

    // Merged, the run answers as the adapter did.
    let merged = json_of(runs.path(), &["runs", "merge", run, "--adapter", dora_path]);
    assert_eq!(
        (&merged["origin"]["kind"], &merged["origin"]["run"]),
        (&json!("merged"), &json!(run))
    );
    let merged_run = merged["run"].as_str().unwrap();
    let again = json_of(runs.path(), &["evaluate", "--run", merged_run]);
    assert_eq!(again["as_trained"], true);
    // Its settings are those of the other, but it is not the same model.
    let compared = json_of(runs.path(), &["runs", "compare", run, merged_run]);
    let rows = compared["table"]["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["solver"].is_string());
    let models: Vec<&str> = rows.map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!((models.len(), models[0]), (2, "rk4 (dora)"));
    assert!(models[1].starts_with("rk4 (adapter-dora"), "{models:?}");
    json_of(runs.path(), &["attractors", "--run", merged_run, "--starts", "50"]);
    let serving = Serving::start(runs.path(), &["--run", merged_run]);
    let (_, answer) = serving.post("/recommend", &fast, &body);
    let items = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|one| one["item"].clone()).collect()
    };
    assert_eq!(items(&answer["data"]["recommendations"]), items(&with_dora["recommendations"]));
}

/// What a command that fails says.
fn run_of(runs: &Path, arguments: &[&str]) -> String {
    let output = run(runs, arguments);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}
