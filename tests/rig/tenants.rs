//! Several tenants on one machine, an instance of the template each.

use graphkeeper::sandbox::{Options, Sandbox};

use crate::machine::{EVERY_SECOND, Machine, configuration};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn two_tenants_live_side_by_side_and_know_nothing_of_each_other() {
    let machine = Machine::boot("tenants").await;
    let south = Sandbox::start(Options { seed: 7, ..Options::agreed(12) }).await.unwrap();
    for (name, tenants) in [("north", &machine.tenants), ("south", &south)] {
        let state = format!("graphkeeper-{name}");
        machine.configure(&format!("/etc/graphkeeper/{name}.toml"), &configuration(tenants, &state, EVERY_SECOND));
        machine.encrypt_credentials_of(&format!("graphkeeper@{name}"), tenants);
    }
    machine.sh("systemctl start graphkeeper@north graphkeeper@south").exits(0);
    let runs = |name: &str| {
        machine.asks("graphkeeper", &format!("--config /etc/graphkeeper/{name}.toml history --outcome succeeded"))
    };
    for name in ["north", "south"] {
        machine.until(&format!("a run of {name}"), || (!runs(name).as_array().unwrap().is_empty()).then_some(()));
        let modes = format!("stat --format='%a %U:%G' /run/graphkeeper-{name} /var/lib/graphkeeper-{name}");
        assert_eq!(machine.sh(&modes).exits(0).stdout, "750 graphkeeper:graphkeeper\n".repeat(2));
    }
    machine.sh("systemctl stop graphkeeper@north").exits(0);
    assert_eq!(machine.property("graphkeeper@north", "ActiveState"), "inactive");
    let before = runs("south").as_array().unwrap().len();
    machine.until("south goes on", || (runs("south").as_array().unwrap().len() > before).then_some(()));
    machine.sh("test ! -e /run/graphkeeper-north && test ! -e /var/lib/graphkeeper/graphkeeper.db").exits(0);
}
