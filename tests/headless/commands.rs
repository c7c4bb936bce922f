//! Every command once, its JSON, and its exit codes.

use crate::program::{TINY, json, program, run};

fn exit_code(arguments: &[&str]) -> (Option<i32>, String) {
    let runs = tempfile::tempdir().unwrap();
    let output = run(runs.path(), arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn without_a_display_the_window_explains_itself() {
    let (code, errors) = exit_code(&[]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("display") && errors.contains("deepm3 ablation"), "{errors}");
}

#[test]
fn wrong_usage_is_exit_code_2_and_names_the_nearest() {
    for (arguments, hint) in [
        (&["train", "--set", "model.hiden=3"][..], "model.hidden"),
        (&["train", "--set", "model.hidden=9999"], "1024"),
        (&["train", "--model", "rk5"], "rk4"),
        (&["ablation", "--models", "gru,nope"], "gru,rk4,sasrec"),
        (&["ablation", "--preset", "nope"], "readme-ablation"),
        (&["no-such-command"], "no-such-command"),
        (&["data", "get", "movielens"], "movielens"),
        (&["train", "--columns", "user=a,item=b,time=c"], "--data"),
        (&["data", "inspect", "--items", "titles.csv"], "--data"),
        // The run says which data; another is not quietly left aside.
        (&["experiment", "efficiency", "--data", "drift"], "--run"),
        (&["experiment", "efficiency", "--set", "data.source=clicks.csv"], "--run"),
        (&["experiment", "ablation", "-o", "table.xls"], ".svg"),
        (&["experiment", "ablation", "-o", "/no/such/folder/table.md"], "/no/such/folder"),
    ] {
        let (code, errors) = exit_code(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(hint), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_failure_is_exit_code_1_and_says_what_to_do() {
    let (code, errors) = exit_code(&["train", "--data", "/no/such/file.csv"]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("/no/such/file.csv"), "{errors}");
    let (code, errors) = exit_code(&["runs", "show", "latest"]);
    assert_eq!(code, Some(1), "{errors}");
    let (code, errors) = exit_code(&["train", "--device", "no such card"]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("no such card"), "{errors}");
}

#[test]
fn inspect_reports_the_contract() {
    let runs = tempfile::tempdir().unwrap();
    let stats = json(runs.path(), &["data", "inspect", "--data", "drift"]);
    for key in ["users", "items", "events", "density", "span", "gaps", "history", "skipped_rows"] {
        assert!(stats.get(key).is_some(), "{key} is missing: {stats}");
    }
    assert_eq!(stats["users"], 1500);
    for key in ["median", "p10", "p99", "zero_share"] {
        assert!(stats["gaps"][key].is_number(), "gaps.{key}");
    }
}

#[test]
fn devices_settings_and_sets_are_listed() {
    let runs = tempfile::tempdir().unwrap();
    let devices = json(runs.path(), &["devices"]);
    assert_eq!(devices["devices"][0]["hardware"], "cpu");
    let settings = json(runs.path(), &["settings"]);
    assert!(settings["settings"].as_array().unwrap().len() > 20);
    let sets = json(runs.path(), &["data", "list"]);
    assert!(sets["sets"].as_array().unwrap().len() >= 8);
}

#[test]
fn an_ablation_prints_the_contract_and_leaves_runs_to_work_with() {
    let runs = tempfile::tempdir().unwrap();
    let mut arguments = vec!["ablation", "--models", "gru,rk4", "--seeds", "2", "--data", "drift"];
    arguments.extend(TINY);
    let table = json(runs.path(), &arguments);
    assert_eq!(table["protocol"], "leave-one-out");
    for key in ["name", "users", "items", "events", "fingerprint"] {
        assert!(table["data"].get(key).is_some(), "data.{key}");
    }
    let rows = table["rows"].as_array().unwrap();
    let row = |model: &str| rows.iter().find(|row| row["model"] == model).unwrap();
    for model in ["gru", "rk4"] {
        let row = row(model);
        assert_eq!(row["seeds"], 2);
        assert_eq!(row["hr10"]["per_seed"].as_array().unwrap().len(), 2);
        assert_eq!(row["hr10"]["ci95"].as_array().unwrap().len(), 2);
        let latency = &row["latency_ms"];
        assert!(latency["batch64"].as_f64().unwrap() > 0.0, "{latency}");
        assert!(latency["single"].as_f64().unwrap() > 0.0, "{latency}");
        assert!(row["train_seconds"].as_f64().unwrap() > 0.0);
        assert!(row["params"].as_u64().unwrap() > 1000);
    }
    for baseline in ["popularity", "markov", "recent", "item-knn"] {
        assert_eq!(row(baseline)["baseline"], true);
    }
    // The built-in set's generator is known, so there is something to hold all rows against.
    let ceiling = row("ceiling");
    assert_eq!((&ceiling["ceiling"], &ceiling["baseline"]), (&true.into(), &false.into()));
    let best = ceiling["ndcg10"]["mean"].as_f64().unwrap();
    for row in rows {
        let share = row["ceiling_share"]["ndcg10"].as_f64().unwrap();
        assert!((share - row["ndcg10"]["mean"].as_f64().unwrap() / best).abs() < 1e-12);
        assert!(share <= 1.0, "{row}");
    }
    let comparison = &table["comparisons"][0];
    for key in ["a", "b", "delta", "ci95", "p", "p_adjusted"] {
        assert!(comparison.get(key).is_some(), "comparisons.{key}");
    }

    let list = json(runs.path(), &["runs", "list"]);
    let listed = list["runs"].as_array().unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|run| run["state"] == "done"));
    let group = listed[0]["group"].as_str().unwrap();
    let compared = json(runs.path(), &["runs", "compare", group]);
    assert_eq!(compared["table"]["rows"][0]["hr10"]["mean"], table["rows"][0]["hr10"]["mean"]);
    let keys: Vec<_> =
        compared["differences"].as_array().unwrap().iter().map(|row| &row["key"]).collect();
    assert_eq!(keys, ["model.solver", "training.seed"]);
    assert!(compared["differences"][0]["values"][0].is_string());
    assert!(compared["differences"][1]["values"][0].is_u64());
    // Stored runs are compared as at the end of the ablation: paired with the baselines too.
    assert_eq!(compared["table"]["comparisons"], table["comparisons"]);

    // The same model on the same data gives the same numbers again.
    let run = listed[0]["run"].as_str().unwrap();
    let again = json(runs.path(), &["evaluate", "--run", run]);
    assert_eq!(again["as_trained"], true, "{again}");
    let exact = json(runs.path(), &["evaluate", "--reference", "--run", run]);
    assert_eq!(exact["run"], run, "{exact}");

    for ending in ["csv", "md", "json", "svg", "png"] {
        let file = runs.path().join(format!("table.{ending}"));
        let output = crate::program::program(runs.path())
            .args(["runs", "export", group, "--output"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(std::fs::metadata(&file).unwrap().len() > 100, "{ending}");
    }

    let file = runs.path().join("again.json");
    let written = json(runs.path(), &["runs", "export", run, "--output", file.to_str().unwrap()]);
    assert_eq!(written["exported"], serde_json::json!([run]));
    assert_eq!(written["file"], file.to_str().unwrap());

    // A slip in one of them deletes nothing.
    assert!(!run_ok(runs.path(), &["runs", "delete", run, "no-such-run"]));
    let deleted = json(runs.path(), &["runs", "delete", run]);
    assert_eq!(deleted["deleted"], serde_json::json!([run]));
    assert_eq!(json(runs.path(), &["runs", "restore", run])["restored"], deleted["deleted"]);
    let output = crate::program::run(runs.path(), &["runs", "delete", run]);
    assert!(output.status.success() && output.stderr.is_empty() && output.stdout.is_empty());
    assert_eq!(json(runs.path(), &["runs", "list"])["runs"].as_array().unwrap().len(), 3);
    assert!(run_ok(runs.path(), &["runs", "restore", run]));
    assert_eq!(json(runs.path(), &["runs", "list"])["runs"].as_array().unwrap().len(), 4);
}

#[test]
fn the_readme_protocol_brings_its_own_preset() {
    let runs = tempfile::tempdir().unwrap();
    let mut arguments = vec!["train", "--model", "gru", "--data", "drift"];
    arguments.extend(["--protocol", "readme", "--epochs", "1"]);
    let result = json(runs.path(), &arguments);
    let shown = json(runs.path(), &["runs", "show", result["run"].as_str().unwrap()]);
    let config = &shown["config"];
    assert_eq!(config["evaluation"]["protocol"], "readme");
    assert_eq!(config["evaluation"]["mask_seen"], false);
    assert_eq!(config["data"]["max_len"], 20);
    assert_eq!(config["model"]["targets"], "last");
}

#[test]
fn seeds_beyond_the_largest_are_refused() {
    let arguments = ["ablation", "--seed", "4294967295", "--seeds", "2"];
    let (code, errors) = exit_code(&arguments);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("4294967295"), "{errors}");
}

fn run_ok(runs: &std::path::Path, arguments: &[&str]) -> bool {
    run(runs, arguments).status.success()
}

#[test]
fn runs_of_one_solver_are_told_apart_and_a_broken_run_says_why() {
    let runs = tempfile::tempdir().unwrap();
    for hidden in ["model.hidden=8", "model.hidden=12"] {
        let mut arguments = vec!["train", "--model", "gru", "--data", "drift"];
        arguments.extend(TINY);
        arguments.extend(["--set", hidden]);
        json(runs.path(), &arguments);
    }
    let list = json(runs.path(), &["runs", "list"]);
    let ids: Vec<&str> =
        list["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    let compared = json(runs.path(), &["runs", "compare", ids[1], ids[0]]);
    let rows = compared["table"]["rows"].as_array().unwrap();
    assert_eq!(rows[0]["model"], "gru (model.hidden=8)");
    assert_eq!(rows[1]["model"], "gru (model.hidden=12)");
    assert_eq!(rows[1]["solver"], "gru");

    std::fs::write(runs.path().join(ids[0]).join("summary.json"), "{").unwrap();
    let list = json(runs.path(), &["runs", "list"]);
    let broken = list["runs"].as_array().unwrap().iter().find(|run| run["run"] == ids[0]).unwrap();
    assert_eq!(broken["state"], "broken");
    assert!(broken["reason"].as_str().unwrap().contains("summary.json"), "{broken}");
}

#[test]
fn learned_half_lives_are_told_where_there_are_any() {
    let runs = tempfile::tempdir().unwrap();
    let told = |dynamics: &str| {
        let set = format!("model.item_dynamics={dynamics}");
        let mut arguments = vec!["train", "--model", "gru", "--data", "drift", "--set", &set];
        arguments.extend(TINY);
        json(runs.path(), &arguments)["half_lives_days"].clone()
    };
    let days = told("intensity");
    let days: Vec<f64> = days.as_array().unwrap().iter().filter_map(|one| one.as_f64()).collect();
    assert!(days.len() > 1 && days[0] > 0.0 && days.is_sorted(), "{days:?}");
    assert!(told("company").is_null() && told("none").is_null());
}

#[test]
fn ones_own_file_is_trained_on() {
    let runs = tempfile::tempdir().unwrap();
    let file = runs.path().join("clicks.csv");
    let mut text = String::from("visitor,sku,when\n");
    for user in 0..40 {
        for event in 0..8 {
            let day = 1 + event * 3;
            text.push_str(&format!("v{user},s{},2024-01-{day:02}\n", (user + event) % 12));
        }
    }
    std::fs::write(&file, text).unwrap();
    let mut arguments = vec!["train", "--model", "gru", "--data", file.to_str().unwrap()];
    arguments.extend(["--columns", "user=visitor,item=sku,time=when"]);
    arguments.extend(TINY);
    let result = json(runs.path(), &arguments);
    for key in ["run", "model", "hr10", "ndcg10", "epochs", "train_seconds", "device"] {
        assert!(result.get(key).is_some(), "{key}");
    }
    assert_eq!(result["data"]["users"], 40);
    assert_eq!(result["data"]["items"], 12);

    // Named as a setting it brings the same preset and is kept as a path that holds anywhere.
    let mut command = program(runs.path());
    command.current_dir(runs.path()).args(["train", "--set", "data.source=clicks.csv"]);
    command.args(["--set", "data.columns=user=visitor,item=sku,time=when"]);
    command.args(["--epochs", "1", "--json"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown = json(runs.path(), &["runs", "show", result["run"].as_str().unwrap()]);
    assert_eq!(shown["config"]["data"]["max_len"], 50, "leave-one-out's");
    assert_eq!(shown["config"]["data"]["source"], file.to_str().unwrap());
    assert_eq!(shown["state"], "done");

    // Once the file has moved, the run says where it was.
    std::fs::rename(&file, runs.path().join("moved.csv")).unwrap();
    let output = run(runs.path(), &["route"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no longer at") && said.contains("clicks.csv"), "{said}");
}

#[test]
fn what_the_filters_leave_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clicks.csv");
    let mut text = String::from("user,item,time\n");
    for user in 0..30 {
        // Every fifth user has but one event.
        for event in 0..if user % 5 == 0 { 1 } else { 8 } {
            text.push_str(&format!("u{user},i{},{}\n", (user + event) % 9, 1_700_000_000 + event));
        }
    }
    std::fs::write(&file, text).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_deepm3"))
        .args(["--device", "cpu", "--runs"])
        .arg(folder.path())
        .args(["train", "--epochs", "1", "--data"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("Left out by the filters: 6 of 30 users, 0 of 9 items, 6 of 198 events"),
        "{said}"
    );
    assert!(said.contains("data.min_user_events = 5"), "{said}");
}

#[test]
fn route_replays_the_held_out_requests_of_a_run() {
    let runs = tempfile::tempdir().unwrap();
    let mut train = vec!["train", "--model", "rk4"];
    train.extend(TINY);
    json(runs.path(), &train);
    let route = |share: &str| {
        let arguments = ["route", "--entropy", "0", "--share", share, "--rate", "1000"];
        let budget = ["--capacity", "10000", "--cost-per-hour", "10000"];
        json(runs.path(), &[&arguments[..], &budget[..]].concat())
    };
    let (open, closed) = (route("1"), route("0.1"));
    let requests = open["operating"]["requests"].as_u64().unwrap();
    assert!(requests > 0);
    assert_eq!(open["reasons"]["uncertain"], requests);
    assert_eq!(open["operating"]["quality"], open["operating"]["system2"]);
    assert_eq!(open["simulated"], true);
    let escalated = closed["operating"]["escalated"].as_f64().unwrap();
    // The share, and a burst of at most 2 requests.
    assert!(escalated > 0.09 && escalated <= 0.1 + 2.0 / requests as f64, "{escalated}");
    assert!(closed["denied_by"]["share"].as_u64().unwrap() > 0);
    assert!(open["temperature"]["value"].as_f64().unwrap() > 0.0);
    // What the run was trained with stays as it is.
    for (wrong, hint) in
        [(["--entropy", "1.5"], "router.entropy"), (["--set", "model.hidden=4"], "was trained")]
    {
        let output = run(runs.path(), &[&["route"], &wrong[..]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(hint), "{errors}");
    }
    let preset = runs.path().join("mine.toml");
    let text = "[router]\nentropy = 0.4\n[data]\nsource = \"/nowhere.csv\"\n";
    std::fs::write(&preset, text).unwrap();
    let from_preset = json(runs.path(), &["route", "--preset", preset.to_str().unwrap()]);
    assert_eq!(from_preset["settings"]["entropy"], 0.4);
    let set = ["--preset", preset.to_str().unwrap(), "--set", "router.entropy=0.3"];
    let over = json(runs.path(), &[&["route"], &set[..], &["--entropy", "0.2"]].concat());
    assert_eq!(over["settings"]["entropy"], 0.2);
}

#[test]
fn a_folder_of_runs_that_is_mistyped_is_said_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let mistyped = folder.path().join("rums");
    let output = run(&mistyped, &["runs", "list"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("rums"), "{errors}");
    assert!(!mistyped.exists());
}

#[test]
fn attractors_reports_the_contract_and_draws() {
    let runs = tempfile::tempdir().unwrap();
    let mut train = vec!["train", "--model", "rk4", "--set", "model.decay=1"];
    train.extend(TINY);
    json(runs.path(), &train);
    let picture = runs.path().join("portrait.png");
    let found = json(
        runs.path(),
        &["attractors", "--user", "7", "--starts", "200", "--png", picture.to_str().unwrap()],
    );
    let explained = found["explained_variance"].as_array().unwrap();
    assert!(explained[0].as_f64().unwrap() >= explained[1].as_f64().unwrap());
    let points = found["fixed_points"].as_array().unwrap();
    assert!(!points.is_empty(), "a decaying field has a place of rest");
    for key in [
        "kind",
        "residual",
        "eigenvalues",
        "relaxation_days",
        "basin_share",
        "position",
        "top_items",
    ] {
        assert!(points[0].get(key).is_some(), "{key} is missing: {}", points[0]);
    }
    assert_eq!(found["truth"]["attractors"].as_array().unwrap().len(), 4);
    assert_eq!(found["user"]["id"], "7");
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    // Again, from what is kept: the same.
    let again = json(runs.path(), &["attractors", "--user", "7", "--starts", "200"]);
    assert_eq!(again, found);

    let output = run(runs.path(), &["attractors", "--user", "no such user"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("did you mean"), "{errors}");
    let output = run(runs.path(), &["attractors", "--plane", "1,1"]);
    assert_eq!(output.status.code(), Some(2));

    let mut train = vec!["train", "--model", "gru"];
    train.extend(TINY);
    json(runs.path(), &train);
    let gru = json(runs.path(), &["attractors", "--starts", "200"]);
    assert_eq!(gru["fixed_points"], serde_json::json!([]), "a GRU does not flow");
}

#[test]
fn bench_reports_the_contract() {
    let runs = tempfile::tempdir().unwrap();
    let step = json(runs.path(), &["bench", "step", "--repeats", "2"]);
    assert!(step["device"].is_string(), "{step}");
    let rows = step["rows"].as_array().unwrap();
    let models: Vec<&str> = rows.iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["gru", "euler", "rk4", "decay", "cfc", "gru-ode"]);
    for key in ["step_ms", "forward_ms", "single_ms"] {
        assert!(rows[0][key].as_f64().unwrap() > 0.0, "{key}: {step}");
    }
    assert!(rows[0]["kernels"].is_string(), "{step}");
    let request = json(runs.path(), &["bench", "request", "--repeats", "2"]);
    assert!(request["rows"][0]["step_ms"].is_null(), "{request}");
}

#[test]
fn an_experiment_prints_its_table_and_is_kept_and_written_up() {
    let runs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let list = json(runs.path(), &["experiment", "list"]);
    assert!(list["experiments"].as_array().unwrap().iter().all(|one| one["result"].is_null()));
    let (code, errors) = exit_code(&["experiment", "alchemy"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("efficiency"), "{errors}");
    let (code, errors) = exit_code(&["experiment", "report"]);
    assert_eq!(code, Some(1), "{errors}");

    json(runs.path(), &[&["train", "--model", "gru"][..], TINY].concat());
    let csv = folder.path().join("table.csv");
    let result = json(
        runs.path(),
        &["experiment", "efficiency", "--run", "latest", "-o", csv.to_str().unwrap()],
    );
    assert_eq!(result["experiment"], "efficiency");
    for key in ["device", "version", "seconds", "method", "limits", "headline"] {
        assert!(!result[key].is_null(), "{key} is missing");
    }
    assert!(!result["data"]["fingerprint"].as_str().unwrap().is_empty());
    let slow = &result["rows"][0];
    assert_eq!(slow["name"], "System 2 always");
    assert!(slow["cells"]["latency_ms"]["value"].as_f64().unwrap() > 200.0);
    assert!(slow["cells"]["ndcg10"]["ci95"].is_array() && slow["claimed"].is_string());
    assert!(result["simulated"].as_str().unwrap().contains("mock"));
    assert!(std::fs::read_to_string(csv).unwrap().starts_with("name,escalated"));

    let list = json(runs.path(), &["experiment", "list"]);
    assert_eq!(list["experiments"][0]["result"], result["id"]);
    let report = folder.path().join("report.html");
    json(runs.path(), &["experiment", "report", "-o", report.to_str().unwrap()]);
    let html = std::fs::read_to_string(&report).unwrap();
    assert!(html.contains("<svg") && html.contains("All-L3"));
    assert!(report.with_extension("md").is_file());
    // The results are no runs.
    assert_eq!(json(runs.path(), &["runs", "list"])["runs"].as_array().unwrap().len(), 1);
}

/// A run that has no state is no reason to train and serve another model than the user's.
#[test]
fn where_no_run_has_a_state_none_is_made_up() {
    let runs = tempfile::tempdir().unwrap();
    let mut arguments = vec!["train", "--model", "sasrec", "--data", "drift"];
    arguments.extend(TINY);
    let id = json(runs.path(), &arguments)["run"].as_str().unwrap().to_owned();
    for arguments in [&["route"][..], &["recommend", "--items", "1", "--times", "1"]] {
        let output = run(runs.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&id) && errors.contains("SASRec"), "{errors}");
    }
    assert_eq!(json(runs.path(), &["runs", "list"])["runs"].as_array().unwrap().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_news_that_cannot_is_none() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let runs = tempfile::tempdir().unwrap();
    let output = crate::program::program(runs.path()).arg("settings").stdout(full()).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("could not be written"), "{errors}");

    // With progress, which nobody can read.
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_deepm3"))
        .args(["train", "--model", "gru", "--data", "drift", "--device", "cpu"])
        .args(TINY)
        .arg("--runs")
        .arg(runs.path())
        .stdout(std::process::Stdio::null())
        .stderr(full())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");

    // A reader that went away is no failure.
    let mut child = crate::program::program(runs.path())
        .arg("settings")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
