//! Authorities of one's own, made anew for each test, and the servers that they vouch for.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;

/// Whoever gives certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its own certificates that a server sends along.
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
}

impl Authority {
    /// One that stands by itself.
    pub(super) fn new(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(of_authority(name), KeyPair::generate().unwrap()).unwrap();
        Self { issuer, chain: Vec::new() }
    }

    /// One below this one.
    pub(super) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(of_authority(name), key, &self.issuer).unwrap();
        Self { chain: vec![issuer.der().clone()], issuer }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server with a certificate for these names.
    pub(super) fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_with(names, |_| {})
    }

    /// The same with a certificate that is changed before it is signed.
    pub(super) fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = of_server(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &self.issuer).unwrap();
        let chain = std::iter::once(own.der().clone()).chain(self.chain.iter().cloned()).collect();
        serving(chain, &key)
    }
}

/// A server that vouches for itself.
pub(super) fn alone(called_so: &str, name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = of_server(&[name]);
    params.distinguished_name = called(called_so, None);
    let own = params.self_signed(&key).unwrap();
    serving(vec![own.der().clone()], &key)
}

fn serving(chain: Vec<rustls::pki_types::CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

fn of_server(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name = called(&names[0], None);
    params
}

fn of_authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(name, Some("Contoso Ltd"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn called(name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        called.push(DnType::OrganizationName, organization);
    }
    called
}
