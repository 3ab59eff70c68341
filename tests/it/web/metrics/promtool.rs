//! What Prometheus itself says. Ignored where its programs are not at hand: `.ci/run metrics` fetches them, and runs
//! these.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::within;
use crate::web::metrics::eventful;
use crate::web::said;

/// A program of Prometheus, from the folder that `GRAPHKEEPER_PROMETHEUS` names.
fn program(name: &str) -> Command {
    let folder: OsString = std::env::var_os("GRAPHKEEPER_PROMETHEUS").expect("GRAPHKEEPER_PROMETHEUS names a folder");
    Command::new(Path::new(&folder).join(name))
}

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs promtool: `.ci/run metrics`"]
async fn promtool_has_no_complaint_about_the_figures() {
    let (org, page) = eventful().await;
    org.reconcile().await;
    for job in ["licenses", "keepalive"] {
        org.run(&["run", job]).await.exits(0);
    }
    let figures = page.get("/metrics").await.body;
    page.stop().await;
    let complaints = |text: &str| {
        let mut check = program("promtool");
        check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut check = check.spawn().unwrap();
        check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = check.wait_with_output().unwrap();
        (
            done.status.success(),
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)),
        )
    };
    assert_eq!(complaints(&figures), (true, String::new()));
    let (fine, said) =
        complaints(&figures.replace("graphkeeper_vendor_wait_seconds_total", "graphkeeper_vendor_wait_ms_total"));
    assert!(!fine && said.contains("graphkeeper_vendor_wait_ms_total"), "it does look: {said}");
}

#[test]
#[ignore = "needs promtool: `.ci/run metrics`"]
fn the_alerts_are_rules_and_do_what_they_say() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let done = program("promtool").args(arguments).current_dir(docs()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && said.contains("SUCCESS"), "{arguments:?}: {said}");
    }
}

/// Killed when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus: `.ci/run metrics`"]
async fn prometheus_takes_the_figures_and_the_alerts_in() {
    let (org, page) = eventful().await;
    org.run(&["run", "licenses"]).await.exits(0);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = org.home().join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\nscrape_configs:\n  \
         - job_name: graphkeeper\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
        docs().join("alerts.yml").display(),
        page.address
    );
    fs::write(&file, text).unwrap();
    let mut server = program("prometheus");
    server.arg(format!("--config.file={}", file.display()));
    server.arg(format!("--storage.tsdb.path={}", org.home().join("tsdb").display()));
    server.arg(format!("--web.listen-address={address}"));
    let server = Server(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let asked = async |path: &str| -> Value {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        loop {
            if tokio::net::TcpStream::connect(address).await.is_ok()
                && let Some(answer) = said(address, request.as_bytes()).await
            {
                // The body comes in chunks or whole.
                let json = answer.body.find('{').zip(answer.body.rfind('}'));
                if let Some((from, to)) = json.filter(|_| answer.status == 200) {
                    return serde_json::from_str(&answer.body[from..=to]).unwrap();
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let found = async {
        loop {
            let query =
                "/api/v1/query?query=graphkeeper_runs_total%7Bjob_name%3D%22licenses%22%2Coutcome%3D%22succeeded%22%7D";
            let answer = asked(query).await;
            if let Some(result) = answer["data"]["result"].as_array().and_then(|found| found.first()) {
                return result.clone();
            }
        }
    };
    let result = within("Prometheus knows of the run", found).await;
    assert_eq!((&result["value"][1], &result["metric"]["job"]), (&"1".into(), &"graphkeeper".into()), "{result}");
    let targets = within("Prometheus tells of its targets", asked("/api/v1/targets")).await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    drop(server);
    page.stop().await;
}
