//! A browser, driven by `WebDriver`: plain JSON over HTTP on loopback.
//!
//! Source: <https://www.w3.org/TR/webdriver2/>, and for what begins with `goog/` the driver of Chromium.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The name under which `WebDriver` hands out an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How a page is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) name: &'static str,
    pub(crate) is_dark: bool,
    pub(crate) width: u32,
}

pub(crate) const LIGHT: Look = Look { name: "light", is_dark: false, width: 1280 };
pub(crate) const DARK: Look = Look { name: "dark", is_dark: true, width: 1280 };
pub(crate) const LOOKS: [Look; 3] = [LIGHT, DARK, Look { name: "phone", is_dark: false, width: 380 }];

/// A running browser with one window. It ends with this.
pub(crate) struct Browser {
    driver: Child,
    client: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver's process group: the browser is in it.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}

impl Browser {
    pub(crate) async fn start() -> Self {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().expect("Debian's chromium-driver is installed");
        let said = BufReader::new(driver.stdout.take().unwrap());
        // `ChromeDriver was started successfully on port 12345.`
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        let root = format!("http://127.0.0.1:{}", port.expect("chromedriver says on which port it listens"));
        let profile = tempfile::tempdir().unwrap();
        let client = reqwest::Client::builder().timeout(super::BOUND).no_proxy().build().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(), // CI runs as root, in which Chromium has no sandbox
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--window-size=1280,900".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let mut browser = Self { driver, client, session: root, _profile: profile };
        let session = browser.ask("/session", &wanted).await;
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}")).to_owned();
        browser.session = format!("{}/session/{id}", browser.session);
        browser.cdp("Network.enable", json!({})).await;
        browser
    }

    /// Sends a command and takes its value; a refusal fails the test with the driver's words.
    async fn ask(&self, path: &str, body: &Value) -> Value {
        self.tried(path, body).await.unwrap_or_else(|refused| panic!("{path} {body}: {refused}"))
    }

    /// The same, where a refusal is for the caller to judge.
    async fn tried(&self, path: &str, body: &Value) -> Result<Value, Value> {
        let answer = self.client.post(format!("{}{path}", self.session)).json(body).send().await.unwrap();
        let status = answer.status();
        let value = answer.json::<Value>().await.unwrap()["value"].take();
        if status.is_success() { Ok(value) } else { Err(value) }
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.ask("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.ask("/url", &json!({ "url": url })).await;
    }

    /// What a script returns; it is the body of a function.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// The same for a script that calls its last argument when it is done.
    pub(crate) async fn run_to_end(&self, script: &str) -> Value {
        self.ask("/execute/async", &json!({ "script": script, "args": [] })).await
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({}).innerText", json!(selector));
        self.run(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks what a person would click. A part of the page that moves may be replaced between the look and the click.
    pub(crate) async fn click(&self, selector: &str) {
        super::until(selector, || async {
            let found = self.ask("/element", &json!({ "using": "css selector", "value": selector })).await;
            let element = found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector}: {found}"));
            match self.tried(&format!("/element/{element}/click"), &json!({})).await {
                Ok(_) => Some(()),
                Err(refused) if refused["error"] == "stale element reference" => None,
                Err(refused) => panic!("{selector}: {refused}"),
            }
        })
        .await;
    }

    /// Presses a key, by its code point in `WebDriver`.
    pub(crate) async fn press(&self, key: char) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.ask("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": keys }] })).await;
    }

    /// Looks at pages so from now on.
    pub(crate) async fn look(&self, look: Look) {
        let scheme = if look.is_dark { "dark" } else { "light" };
        let media = json!({ "media": "", "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.cdp("Emulation.setEmulatedMedia", media).await;
        let mobile = look.width < 600;
        let size = json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(crate) async fn scripts(&self, are_run: bool) {
        self.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": !are_run })).await;
    }

    /// The page as far down as `height`, or whole, as PNG.
    pub(crate) async fn picture(&self, height: Option<u32>) -> Vec<u8> {
        let size = self.cdp("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
        let whole = size["height"].as_f64().unwrap().min(6_000.0);
        let height = height.map_or(whole, f64::from);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true });
        let taken = self.cdp("Page.captureScreenshot", wanted).await;
        STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser complained of since this was asked last: scripts that failed, policies that were broken, answers
    /// that were errors.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.ask("/se/log", &json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The addresses of all that was asked for since this was asked last.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let log = self.ask("/se/log", &json!({ "type": "performance" })).await;
        let message = |entry: &Value| serde_json::from_str::<Value>(entry["message"].as_str()?).ok();
        let url = |entry: &Value| {
            let message = message(entry)?["message"].take();
            let asked = message["method"] == "Network.requestWillBeSent";
            asked.then(|| message["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
        };
        log.as_array().into_iter().flatten().filter_map(url).collect()
    }
}
